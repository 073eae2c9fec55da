"""Rows of a bare program that its sample statements alone do not draw: censored, truncated, sorted ones."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from pyro import poutine
from pyro.distributions import Unit
from torch import Tensor

from ppl_gen.core import variables
from ppl_gen.diagnostics.trees.subsamples import whole_plates
from ppl_gen.inference import PyroFit
from ppl_gen.inference.elbo import Node, delta
from ppl_gen.isolation import isolated


def selected_rows(found: PyroFit, seed: int) -> dict[str, str]:
    """Observed variable -> why its rows cannot be held against rows drawn anew; the others are left out.

    A factor may score what no sample statement draws: the tail beyond which a row was censored, or what a
    truncated density leaves out. It does if it lies in a plate with the rows, or if other rows change it. And
    two variables whose masks share out the rows between them hold those that came out this way or that.
    """
    args, kwargs = found.arguments
    with isolated(seed), whole_plates():
        guided = [poutine.trace(found.guide).get_trace(*args, **kwargs) for _ in range(2)]

    def run(latents: poutine.Trace, place: Any = None, value: Any = None) -> dict[str, Node]:
        new = [value if i == place else old for i, old in enumerate(args)]
        its = {name: value if name == place else old for name, old in kwargs.items()}
        with isolated(seed), whole_plates():
            trace = poutine.trace(poutine.replay(found.model, trace=latents)).get_trace(*new, **its)
            trace.compute_log_prob()
            return variables(trace)

    plain, other = map(run, guided)
    data = [name for name, site in plain.items() if site["is_observed"] and not delta(site)]
    factors = [name for name in data if isinstance(plain[name]["fn"], Unit)]
    factors = [name for name in factors if not _equal(plain[name]["log_prob"], other[name]["log_prob"])]
    scoring = {name for name in factors if _moved(run, guided[0], plain, name, found, seed)}
    why = dict[str, str]()
    for name in data:
        for factor in factors:
            if factor in scoring or _plates(plain[name]) & _plates(plain[factor]):
                why[name] = f"the factor {factor!r} scores data that are not drawn"
        for twin in data:
            if twin not in (name, *factors) and _shared_out(plain[name], plain[twin]):
                why[name] = f"a mask sorts rows into {name} and {twin}"
    return {name: words for name, words in why.items() if name not in factors}


def _moved(
    run: Callable[..., dict[str, Node]],
    latents: poutine.Trace,
    plain: Mapping[str, Node],
    factor: str,
    found: PyroFit,
    seed: int,
) -> bool:
    """Whether other rows, some of them twice, or fewer change a factor."""
    args, kwargs = found.arguments
    for place, value in [*enumerate(args), *kwargs.items()]:
        if not isinstance(value, torch.Tensor | np.ndarray) or not value.ndim or len(value) < 2:
            continue
        some = np.random.default_rng(seed).integers(len(value), size=len(value))
        for rows in (some, some[: len(value) // 2]):  # fewer: a factor may sum rows that are all alike
            try:
                after = run(latents, place, value[rows])
            except Exception:  # a program of somebody else's, on what it was not written for
                continue
            if factor in after and not _equal(plain[factor]["log_prob"], after[factor]["log_prob"]):
                return True
    return False


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), equal_nan=True)


def _plates(site: Node) -> set[str]:
    return {frame.name for frame in site["cond_indep_stack"]}


def _shared_out(one: Node, other: Node) -> bool:
    """Whether each row of a plate is left to one of the two by their masks."""
    masks = [site["mask"] for site in (one, other)]
    if not all(isinstance(mask, Tensor) for mask in masks) or not _plates(one) & _plates(other):
        return False
    a, b = masks
    return a.shape == b.shape and bool((a ^ b).all()) and bool(a.any()) and bool(b.any())

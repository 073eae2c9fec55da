"""Rows of a bare program that its sample statements alone do not draw: censored, truncated, sorted ones."""

from collections.abc import Mapping

import numpy as np
import torch
from pyro import poutine
from pyro.distributions import Unit
from torch import Tensor

from ppl_gen.diagnostics.trees.pyro_scores import is_data
from ppl_gen.diagnostics.trust.pyro_rerun import arguments_of, equal, latents_of, numbers, rerun
from ppl_gen.inference import PyroFit
from ppl_gen.inference.elbo import Node, delta
from ppl_gen.isolation import isolated


def selected_rows(found: PyroFit, seed: int) -> dict[str, str]:
    """Observed variable -> why its rows cannot be held against rows drawn anew; the others are left out.

    A factor may score what no sample statement draws: the tail beyond which a row was censored, or what a
    truncated density leaves out. It does if it lies in a plate with the rows, or if other rows change it. So
    may data that the program makes up, all alike: ones, whose probabilities are the factor. And two variables
    whose masks share out the rows between them hold those that came out this way or that.
    """
    with isolated(seed):
        guided = [latents_of(found) for _ in range(2)]
    plain, other = (rerun(found, latents, seed) for latents in guided)
    data = [name for name, site in plain.items() if site["is_observed"] and not delta(site)]
    given = [torch.from_numpy(numbers(value)) for _, value in arguments_of(found).values()]
    made_up = [name for name in data if is_data(plain[name]) and _made_up(plain[name], given)]
    factors = [name for name in data if name in made_up or isinstance(plain[name]["fn"], Unit)]
    factors = [name for name in factors if not equal(plain[name]["log_prob"], other[name]["log_prob"])]
    scoring = {name for name in factors if _moved(found, guided[0], plain, name, seed)}
    why = dict[str, str]()
    for name in data:
        for factor in factors:
            if factor in made_up:
                words = f"the program makes up data of {factor}, all alike, to score others"
            else:
                words = f"the factor {factor!r} is scored with them"
            if factor in scoring or _plates(plain[name]) & _plates(plain[factor]):
                why[name] = words
        for twin in data:
            if twin not in (name, *factors) and _shared_out(plain[name], plain[twin]):
                why.setdefault(name, f"a mask sorts rows into {name} and {twin}")
    return {name: words for name, words in why.items() if is_data(plain[name])}


def _made_up(site: Node, given: list[Tensor]) -> bool:
    """Whether its data are all alike, and no argument."""
    value = site["value"]
    if value.numel() < 2 or not bool((value == value.flatten()[0]).all()):
        return False
    return not any(equal(value, each) for each in given)


def _moved(found: PyroFit, latents: poutine.Trace, plain: Mapping[str, Node], factor: str, seed: int) -> bool:
    """Whether other rows, some of them twice, or fewer change a factor."""
    for place, value in arguments_of(found).values():
        some = np.random.default_rng(seed).integers(len(value), size=len(value))
        for rows in (some, some[: len(value) // 2]):  # fewer: a factor may sum rows that are all alike
            try:
                after = rerun(found, latents, seed, place, value[rows])
            except Exception:  # a program of somebody else's, on what it was not written for
                continue
            if factor in after and not equal(plain[factor]["log_prob"], after[factor]["log_prob"]):
                return True
    return False


def _plates(site: Node) -> set[str]:
    return {frame.name for frame in site["cond_indep_stack"]}


def _shared_out(one: Node, other: Node) -> bool:
    """Whether each row of a plate is left to one of the two by their masks."""
    masks = [site["mask"] for site in (one, other)]
    if not all(isinstance(mask, Tensor) for mask in masks) or not _plates(one) & _plates(other):
        return False
    a, b = masks
    return a.shape == b.shape and bool((a ^ b).all()) and bool(a.any()) and bool(b.any())

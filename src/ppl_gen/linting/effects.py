"""What follows from what: the sites that another value of a latent, or of an argument, changes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppl_gen.linting.pair import Pair, shape_of
from ppl_gen.linting.recording import Run, Site

TRIES = 4  # other values of a latent, one of which may do nothing, as below zero under relu


def forgotten(pair: Pair) -> dict[str, str]:
    """Latents that look like data, with the arguments that nothing scores."""
    if pair.declared or not pair.works:
        return {}
    found: dict[str, str] = {}
    for argument in idle_arguments(pair):
        shape = shape_of(pair.tensors[argument])
        alike = [n for n, s in pair.latents.items() if shape_of(s.value) == shape and childless(pair, n)]
        alike = [n for n in alike if n == argument or pair.automatic or n not in pair.q.samples]
        if alike:
            found[argument if argument in alike else alike[0]] = argument
    return found


def idle_arguments(pair: Pair) -> list[str]:
    """The arguments whose values nothing in the model depends on."""
    if pair.idle is None:
        pair.idle = [
            a for a, v in pair.tensors.items() if v.ndim and len(v) > 1 and not moves(pair, "model", a)
        ]
    return pair.idle


def moves(pair: Pair, part: str, argument: str) -> set[str]:
    """The sites of a program that other values of an argument change."""
    run, value = getattr(pair, "p" if part == "model" else "q"), pair.tensors[argument]
    other = resampled(value)
    if other is None:
        return {""}  # its rows are all alike: not known
    given = [name for name, plate in run.plates.items() if plate.given]  # its rows are arguments, too
    values = {n: v for n, v in run.values.items() if n not in given}
    return moved(run, pair.run(part, values, arguments=pair.replaced(value, other)))


def resampled(value: Any) -> Any:
    """Rows drawn from those of ``value`` with replacement, so that no mean stays; None if all are alike."""
    for seed in range(5):
        index = torch.randint(len(value), (len(value),), generator=torch.Generator().manual_seed(seed))
        other = value[index] if isinstance(value, Tensor) else value[index.numpy()]
        if not _alike(torch.as_tensor(other), torch.as_tensor(value)):
            return other
    return None


def childless(pair: Pair, name: str) -> bool:
    """Whether no other value of a latent changes any other site, or what the model returns."""
    site = pair.p.samples[name]
    for seed in range(TRIES):
        torch.manual_seed(seed)
        try:
            other = site.fn.sample().to(site.value.dtype)
        except Exception:
            return False  # it cannot be told
        if moved(pair.p, pair.run("model", {**pair.p.values, name: other})) - {name}:
            return False
    return True


def has_parents(pair: Pair, name: str) -> bool:
    """Whether a latent's distribution depends on other latents."""
    values = {n: pair.p.values[n] for n in (name, *pair.p.plates)}
    return name in moved(pair.p, pair.run("model", values, seed=1))


def moved(before: Run, after: Run, indices: bool = True) -> set[str]:
    """The sites whose values or densities differ between two runs, "" among them if what they return does.

    Other ``indices`` of a plate count as a difference, unless it is these that were changed.
    """
    if after.error is not None or before.samples.keys() != after.samples.keys():
        return {*before.samples, ""}
    rows = [(s.value, after.plates[n].value) for n, s in before.plates.items() if n in after.plates]
    if indices and any(not _alike(torch.as_tensor(a), torch.as_tensor(b)) for a, b in rows):
        return {*before.samples, ""}
    found = {name for name, s in before.samples.items() if _differs(s, after.samples[name])}
    ends = zip(_leaves(before.returned), _leaves(after.returned), strict=False)
    return found | ({""} if any(not _alike(a, b) for a, b in ends) else set())


def _differs(one: Site, other: Site) -> bool:
    a, b = one.log_prob, other.log_prob
    if a is None or b is None:
        return True
    seen = one.observed and isinstance(one.value, Tensor) and isinstance(other.value, Tensor)
    weights = ((one.scale, other.scale), (one.mask, other.mask))
    if any(not _alike(*(torch.as_tensor(True if w is None else w) for w in pair)) for pair in weights):
        return True
    return not _alike(a, b) or (seen and not _alike(one.value, other.value))


def scored(run: Run) -> bool:
    """Whether a model observes something, or multiplies in a term."""
    return any(s.factor or (s.observed and not s.deterministic) for s in run.samples.values())


def _leaves(value: Any) -> list[Tensor]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [leaf for part in value for leaf in _leaves(part)]
    return [torch.as_tensor(value)] if isinstance(value, Tensor | np.ndarray | float) else []


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(
        a.detach().double(), b.detach().double(), rtol=1e-6, atol=0, equal_nan=True
    )

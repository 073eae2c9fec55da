"""A rule about ranges: scales stay positive, whatever real numbers they are computed from."""

import copy
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import pyro
import torch
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import BrokenModel
from ppl_gen.inference.elbo import delta
from ppl_gen.normalisation.arguments import arguments_of, room
from ppl_gen.normalisation.integrals import base_of
from ppl_gen.testing.case import Case

STEPS = (-100.0, -10.0, 10.0, 100.0)  # in both directions, so that a number alone gets below zero
PARAMETERS = "the model's parameters"
_ROUNDING = 1e-3  # of a step: what rounding takes out of a range is less


class Found(NamedTuple):
    """An argument out of its range."""

    variable: str
    argument: str
    distribution: str
    number: float


def in_range(c: Case) -> None:
    """No value that may be takes an argument of a distribution out of its range.

    What may be any real number is pushed far out, in random directions: variables on the real line, columns
    of an input that have both signs, parameters. Positive variables and positive inputs may be so by nature.
    """
    for part in ("model", "guide")[: 1 + c.guided]:
        movable = _movable(c, part)
        for seed in (1, 2):
            for step in STEPS:
                found = _pushed(c, part, [*movable, PARAMETERS], step, seed)
                if found is None:
                    continue
                alone = [one for one in [*movable, PARAMETERS] if _pushed(c, part, [one], step, seed)]
                c.refuse(
                    f"{part}() draws {found.variable!r} with a parameter that may be out of its range: "
                    f"{found.argument} of {found.distribution}, which is {found.number:.3g} for some values "
                    f"of {' or of '.join(alone) or 'what it is computed from'}",
                    _mend(c, found.argument, alone),
                    part,
                    found.variable,
                )


def _mend(c: Case, argument: str, alone: list[str]) -> str:
    if argument == "probs":
        return "pass it through sigmoid, or softmax where they sum to one; or give logits= in its place"
    if alone == [PARAMETERS]:
        return "pass it through exp or softplus, or make it a PyroParam with a constraint"
    if len(alone) == 1 and alone[0] in c.joint:
        return (
            f"pass it through exp or softplus, or draw {alone[0]!r} from a distribution of positive numbers, "
            f"such as Gamma or LogNormal"
        )
    return "pass it through exp or softplus"


def _movable(c: Case, part: str) -> dict[str, Tensor]:
    """Of what a program looks at or draws, where it may be any real number: a mask for each name."""
    latents, sites = c.drawn if part == "model" else c.drawn | c.latents, c.sites
    found = {
        name: torch.ones_like(value, dtype=torch.bool)
        for name, value in latents.items()
        if not delta(sites[name]) and _on_the_line(sites[name]["fn"])
    }
    for name in c.joint.given:
        if (value := c.values[name]).is_floating_point() and value.dim():
            found[name] = ((value < 0).any(0) & (value > 0).any(0)).expand_as(value)
    return found


def _on_the_line(fn: Any) -> bool:
    support = fn.support
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return support is constraints.real


def _pushed(c: Case, part: str, names: Collection[str], step: float, seed: int) -> Found | None:
    """The first argument that is out of its range with these ``names`` a step away.

    Variables are clamped where they are. The ends of a range are inside: exp makes 0 of -200.
    """
    random = torch.Generator().manual_seed(seed)
    moved: dict[str, Any] = {**c.values, **c.drawn, **(c.latents if part == "guide" else {})}
    for name, mask in _movable(c, part).items():
        away = _away(moved[name], step, random)
        if name in names:
            moved[name] = torch.where(mask, away, moved[name])
    p = _with_other_parameters(c.p, step, random) if PARAMETERS in names else c.p
    free = [name for name, site in c.sites.items() if delta(site)]
    try:
        with torch.no_grad(), pyro.validation_enabled(False):
            clamped = {name: v for name, v in moved.items() if name in c.sites and name not in free}
            sites = c.run(part, moved, clamped, p=p)
    except BrokenModel:  # with numbers as large as these it need not run
        return None
    return _first_outside(sites, _ROUNDING * abs(step))


def _first_outside(sites: Mapping[str, Any], margin: float) -> Found | None:
    for name, site in sites.items():
        for argument, value, bound in arguments_of(site["fn"]):
            inside = room(value, bound)
            if inside is not None and bool((inside < -margin).any()):
                numbers = value if value.shape == inside.shape else inside  # a matrix has a diagonal in range
                worst = float(numbers.flatten()[inside.nan_to_num(0.0).argmin()])
                return Found(name, argument, type(base_of(site["fn"])).__name__, worst)
    return None


def _away(value: Tensor, step: float, random: torch.Generator) -> Tensor:
    """A step from ``value`` into a random direction, long against its numbers."""
    direction = torch.randn(value.shape, generator=random, dtype=value.dtype)
    return value + step * (1 + value.detach().abs().mean()) * direction


def _with_other_parameters(p: ProbabilisticModel, step: float, random: torch.Generator) -> ProbabilisticModel:
    p = copy.deepcopy(p)
    with torch.no_grad():
        for w in p.parameters():
            if w.is_floating_point() and w.requires_grad:
                w.copy_(_away(w, step, random))
    return p

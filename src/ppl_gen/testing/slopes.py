"""The rule about gradients of the joint: autograd's are those of the log density."""

import copy
import math
import warnings
from dataclasses import dataclass
from typing import Any

import pyro
import torch
from torch import Tensor
from torch.distributions import biject_to

from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import BrokenModel
from ppl_gen.inference.elbo import delta
from ppl_gen.testing.case import Case, log_density
from ppl_gen.testing.densities import is_fixed


def slopes(c: Case) -> None:
    """The gradient of the log density in each continuous latent is what a small step finds.

    Along a random direction of unconstrained coordinates, in double precision where the program runs in it;
    two sizes of the step tell where the density is smooth enough to compare. All latents move together first.
    """
    latents = _latents(c)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of a tensor with a gradient that is made a number
        if not latents or not (setting := _setting(c)).cut(latents):
            return
        for name in latents:
            for child in setting.cut([name]):
                c.refuse(
                    f"{child!r} depends on {name!r} in model(), and the gradient of its log density misses "
                    f"that: no method that follows gradients learns {name!r} from {child!r}",
                    f"use {name!r} as a tensor, without .detach(), .data, .item(), .numpy() or "
                    f"torch.tensor(…); if {name!r} is data: check_model(model, {name}=…)",
                    "model",
                    child,
                )


def _latents(c: Case) -> list[str]:
    """Numbers that others depend on and that are no data: a guide may have to draw them."""
    looked_at = frozenset().union(*c.joint.values(), *c.potentials.values())
    found = []
    for name in c.joint:
        site = c.sites[name]
        drawn = name in c.q if c.guided else name not in c.data
        if not drawn or name not in looked_at or is_fixed(site) or site["fn"].support.is_discrete:
            continue
        try:
            biject_to(site["fn"].support)
        except NotImplementedError:
            continue
        found.append(name)
    return found


def _setting(c: Case) -> "_Setting":
    """Double precision, if the program runs in it."""
    double = _Setting(c, copy.deepcopy(c.p).double(), torch.float64, 1e-4, 1e-3)
    try:
        double.run(0)
    except BrokenModel:
        return _Setting(c, c.p, torch.get_default_dtype(), 1e-2, 0.05)
    return double


@dataclass
class _Setting:
    """How the two slopes are compared: with which model, in which type, by what step, how near."""

    c: Case
    p: ProbabilisticModel
    dtype: torch.dtype
    step: float
    tolerance: float

    def run(self, seed: int, clamped: dict[str, Tensor] | None = None) -> Any:
        outside = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        try:
            values = {k: self._cast(v) for k, v in self.c.values.items()}
            data = {k: self._cast(v) for k, v in (self.c.data | (clamped or {})).items()}
            with pyro.validation_enabled(False):
                return self.c.run("model", values, data, seed, self.p)
        finally:
            torch.set_default_dtype(outside)

    def _cast(self, value: Any) -> Any:
        floating = isinstance(value, Tensor) and value.is_floating_point()
        return value.to(self.dtype) if floating else value

    def cut(self, names: list[str]) -> list[str]:
        """The variables whose slope is wrong at two draws of three or more, and right at none."""
        right: set[str] = set()
        wrong: dict[str, int] = {}
        for seed in (1, 2, 3):
            for child, (autograd, small) in self._slopes(names, seed).items():
                if abs(autograd - small) > self.tolerance * (abs(small) + 0.1):
                    wrong[child] = wrong.get(child, 0) + 1
                elif abs(small) > 1e-6:
                    right.add(child)
        return [child for child, times in wrong.items() if times > 1 and child not in right]

    def _slopes(self, names: list[str], seed: int) -> dict[str, tuple[float, float]]:
        """Of each variable's log density along a random direction: autograd's, and that of a small step."""
        drawn = self.run(seed)
        fixed = {k: v["value"].detach() for k, v in drawn.items() if k in self.c.joint and not delta(v)}
        maps = {name: biject_to(drawn[name]["fn"].support) for name in names}
        start = {name: maps[name].inv(fixed[name]).detach() for name in names}
        generator = torch.Generator().manual_seed(seed)
        towards = {
            name: (1 + u.abs()) * torch.randn(u.shape, generator=generator, dtype=torch.float64).to(u)
            for name, u in start.items()
        }

        def scores(t: Tensor) -> dict[str, Tensor]:
            moved = {name: maps[name](start[name] + t * towards[name]) for name in names}
            nodes = self.run(seed, fixed | moved)
            return {k: log_density(site).sum() for k, site in nodes.items() if not delta(site)}

        def at(t: float) -> dict[str, float]:
            with torch.no_grad():
                return {k: float(v) for k, v in scores(torch.tensor(t, dtype=self.dtype)).items()}

        leaf = torch.zeros((), dtype=self.dtype, requires_grad=True)
        try:
            autograd = {k: _slope(score, leaf) for k, score in scores(leaf).items()}
        except RuntimeError:
            return {}  # torch does not know the derivative
        h = self.step
        far, near = (
            {k: (a - at_less[k]) / (2 * size) for k, a in at_more.items()}
            for size, at_more, at_less in ((h, at(h), at(-h)), (h / 2, at(h / 2), at(-h / 2)))
        )
        return {
            k: (autograd[k], near[k])
            for k in near
            if math.isfinite(near[k]) and abs(far[k] - near[k]) <= self.tolerance / 3 * (abs(near[k]) + 0.1)
        }


def _slope(score: Tensor, leaf: Tensor) -> float:
    if not score.requires_grad:
        return 0.0
    (found,) = torch.autograd.grad(score, [leaf], allow_unused=True, retain_graph=True)
    return 0.0 if found is None else float(found)

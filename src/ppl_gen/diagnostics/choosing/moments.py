"""Means and standard deviations of draws with their Monte-Carlo errors, and two sets of them compared."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BATCHES = 20  # of a chain: the scatter of their means tells what its draws are worth
SURE = 4.5  # standard errors: one in 100,000 parameters is called different by chance
ROUNDINGS = 8  # operations, of half a unit in the last place each, that make draws of one number differ
LEAST = 0.05  # a smaller difference, of a mean in sds or of an sd as a fraction, is not worth a word


@dataclass(frozen=True, eq=False)
class Moments:
    """Of every parameter, by name, in its own shape.

    Attributes:
        means, sds: of the draws. effective: how many independent draws their mean is worth.
        sd_errors: standard errors of log sd. Of draws that differ by rounding alone, sds are 0 and these nan.
    """

    means: Mapping[str, Tensor]
    sds: Mapping[str, Tensor]
    effective: Mapping[str, Tensor]
    sd_errors: Mapping[str, Tensor]

    def errors(self, best: "Moments") -> tuple[float, float]:
        """Root mean squares of the means' errors, in sds of ``best``, and of the sds' relative errors."""
        names = [name for name in best.means if name in self.means]
        pairs = ((self.means, best.means), (self.sds, best.sds))
        found = [torch.cat([((a[v] - b[v]) / best.sds[v]).flatten() for v in names]) for a, b in pairs]
        mean, sd = (float(v[v.isfinite()].square().mean().sqrt()) for v in found)
        return mean, sd

    def differences(self, best: "Moments") -> Iterator[tuple[str, float, float]]:
        """Elements that differ by more than Monte-Carlo error: name, shift in sds of ``best``, ratio of sds.

        What does not differ is 0 or 1, nor does what never varies by one of the two.
        """
        for name, sd in best.sds.items():
            if name not in self.means:
                continue
            shift = (self.means[name] - best.means[name]) / sd
            ratio = self.sds[name] / sd
            noise = (ratio.square() / self.effective[name] + 1 / best.effective[name]).sqrt()
            spread = torch.hypot(self.sd_errors[name], best.sd_errors[name])
            moved = (shift.abs() > SURE * noise) & (shift.abs() > LEAST)
            scaled = (ratio.log().abs() > SURE * spread) & (ratio.log().abs() > LEAST)
            for index in np.ndindex(tuple(sd.shape)):
                if bool(moved[index]) or bool(scaled[index]):
                    called = f"{name}[{', '.join(map(str, index))}]" if index else name
                    far = float(shift[index]) if moved[index] else 0.0
                    yield called, far, float(ratio[index]) if scaled[index] else 1.0


def moments(drawn: Mapping[str, Tensor], weights: Tensor | None = None, chains: int = 0) -> Moments:
    """Of draws, name -> (draws, *shape).

    Args:
        weights: of the draws, which add up to one; equal by default.
        chains: of how many chains, one after the other, the draws are; 0 for independent ones.

    >>> m = moments({"w": torch.tensor([1.0, 2.0, 3.0, 2.0])})
    >>> m.means["w"].item(), round(m.sds["w"].item(), 3), m.effective["w"].item()
    (2.0, 0.707, 4.0)
    """
    means, sds, effective, errors = {}, {}, {}, {}
    for name, value in drawn.items():
        eps = torch.finfo(value.dtype if value.is_floating_point() else torch.double).eps
        value = value.double()
        n, ends = len(value), torch.aminmax(value, dim=0)
        w = torch.full((n,), 1 / n, dtype=value.dtype) if weights is None else weights.double()
        w = w.reshape(-1, *[1] * (value.dim() - 1))
        means[name] = (w * value).sum(0)
        size = torch.maximum(ends.max.abs(), ends.min.abs())
        fixed = ends.max - ends.min < ROUNDINGS * eps * size  # the mean's own rounding is no scatter either
        from_mean = torch.where(fixed, 0.0, value - means[name])
        variance = (w * from_mean.square()).sum(0)
        sds[name] = variance.sqrt()
        # by the delta method: where the large weights lie far out, draws are worth less than 1 / Σ w²
        worth = variance / (w.square() * from_mean.square()).sum(0)
        error = (w.square() * (from_mean.square() / variance - 1).square()).sum(0).sqrt() / 2
        if chains and n // chains >= 2 * BATCHES:
            each = value[: n // chains * chains].unflatten(0, (chains, -1))
            size = each.shape[1] // BATCHES
            batches = each[:, : size * BATCHES].unflatten(1, (BATCHES, size)).mean(2).flatten(0, 1)
            share = (variance / (size * batches.var(0))).clamp(max=1.0)
            worth, error = worth * share, error / share.sqrt()
        effective[name], errors[name] = worth, error
    return Moments(means, sds, effective, errors)


def in_words(found: Moments, best: Moments, reference: str, shown: int = 3) -> str:
    """Which means and sds differ from those of the ``reference`` by more than chance, the worst first."""
    moved: list[tuple[float, str]] = []
    narrow: list[tuple[float, str]] = []
    wide: list[tuple[float, str]] = []
    for name, shift, ratio in found.differences(best):
        if shift:
            moved.append((abs(shift), f"{name} by {shift:+.2f} sd"))
        if ratio != 1:
            (narrow if ratio < 1 else wide).append((abs(math.log(ratio)), f"{name} {ratio:.2f}"))
    parts = [
        (moved, "means off from those of {}: {}"),
        (narrow, "sds too small, as multiples of those of {}: {}"),
        (wide, "sds too large, as multiples of those of {}: {}"),
    ]
    said = []
    for cases, form in parts:
        names = [text for _, text in sorted(cases, reverse=True)]
        more = f" and {len(names) - shown} more" if len(names) > shown else ""
        if names:
            said.append(form.format(reference, ", ".join(names[:shown]) + more))
    return "; ".join(said)

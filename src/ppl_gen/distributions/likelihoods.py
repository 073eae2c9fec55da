"""Likelihoods for decoders: real densities on the data's support, from a network's raw outputs."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pyro import distributions as dist
from torch import Tensor

from ppl_gen.distributions.units import Units


@dataclass(frozen=True)
class Likelihood:
    """p(x | raw outputs) for rows of independent features.

    A decoder gives ``outputs`` numbers for each feature: a tensor of shape (…, features * outputs).
    """

    outputs: ClassVar[int] = 1
    span: ClassVar[float] = 1.0  # the data's range, by which an encoder divides

    def __call__(self, raw: Tensor) -> Any:
        """The distribution over a row, of event shape (features,)."""
        raise NotImplementedError

    def units(self, features: int) -> Units:
        """Where networks start to see rows: within their range, or, of real numbers, as they are."""
        return Units(features, self.span)

    def measured(self, x: Tensor, units: Units) -> Tensor:
        """The rows ``x`` (n, features) as the decoder gives them: as they are, unless they have no range."""
        return x

    def row(self, raw: Tensor, units: Units) -> Any:
        """The distribution over a row in its own units, from a decoder that gives it as in `measured`."""
        return self(raw)

    def start(self, x: Tensor) -> Tensor:
        """The decoder's output bias that reproduces the columns of ``x`` (n, features) on their own."""
        raise NotImplementedError

    def hint(self) -> str:
        """What to do when data do not fit."""
        return ""


@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Zeros and ones. Grey levels are refused: a Bernoulli that scores them is not a density."""

    def __call__(self, raw: Tensor) -> Any:
        """One logit a feature."""
        return dist.Bernoulli(logits=raw).to_event(1)

    def start(self, x: Tensor) -> Tensor:
        """Log odds of the columns, one pseudo-row of each kind."""
        return torch.logit((x.sum(0) + 1) / (len(x) + 2))

    def hint(self) -> str:
        """Name the densities that grey levels have."""
        return (
            "Bernoulli scores zeros and ones only (on grey levels it is no density, and its ELBO bounds "
            "nothing): binarise, x = (x > threshold); or, from ppl_gen.distributions, use "
            "Categorical(levels) or Binomial(levels) for grey levels, Gaussian() for real numbers"
        )


@dataclass(frozen=True)
class Binomial(Likelihood):
    """Grey levels 0 … levels - 1 as counts of one success probability: ordered, one output a feature."""

    levels: int = 17

    @property
    def span(self) -> float:  # type: ignore[override]
        """The highest level."""
        return self.levels - 1.0

    def __call__(self, raw: Tensor) -> Any:
        """One logit a feature."""
        return dist.Binomial(self.levels - 1, logits=raw).to_event(1)

    def start(self, x: Tensor) -> Tensor:
        """Log odds of the columns' means."""
        return torch.logit((x.sum(0) + 0.5 * self.span) / ((len(x) + 1) * self.span))


@dataclass(frozen=True)
class BetaBinomial(Likelihood):
    """Grey levels 0 … levels - 1 as counts whose success probability is itself uncertain.

    Two outputs a feature, its mean and its concentration: from a peak through flat to all-or-nothing.
    """

    levels: int = 17
    outputs: ClassVar[int] = 2

    @property
    def span(self) -> float:  # type: ignore[override]
        """The highest level."""
        return self.levels - 1.0

    def __call__(self, raw: Tensor) -> Any:
        """A logit of the mean and a log concentration a feature."""
        logit, log_concentration = raw.unflatten(-1, (-1, 2)).unbind(-1)
        mean = logit.sigmoid().clamp(1e-5, 1 - 1e-5)
        concentration = log_concentration.clamp(-6.0, 8.0).exp()
        family = dist.BetaBinomial(mean * concentration, (1 - mean) * concentration, self.levels - 1)
        return family.to_event(1)

    def start(self, x: Tensor) -> Tensor:
        """Log odds of the columns' means, and the concentration 3."""
        logit = torch.logit((x.sum(0) + 0.5 * self.span) / ((len(x) + 1) * self.span))
        return torch.stack([logit, torch.full_like(logit, 3.0).log()], -1).flatten()


@dataclass(frozen=True)
class Categorical(Likelihood):
    """Grey levels 0 … levels - 1, a probability for each: any shape, ``levels`` outputs a feature."""

    levels: int = 17

    @property
    def outputs(self) -> int:  # type: ignore[override]
        """One logit a level."""
        return self.levels

    @property
    def span(self) -> float:  # type: ignore[override]
        """The highest level."""
        return self.levels - 1.0

    def __call__(self, raw: Tensor) -> Any:
        """``levels`` logits a feature."""
        return dist.Categorical(logits=raw.unflatten(-1, (-1, self.levels))).to_event(1)

    def start(self, x: Tensor) -> Tensor:
        """Log frequencies of the columns' levels, one pseudo-row spread over the levels."""
        counts = torch.nn.functional.one_hot(x.long(), self.levels).sum(0) + 1.0 / self.levels
        return (counts / counts.sum(-1, keepdim=True)).log().flatten().to(x.dtype)


@dataclass(frozen=True)
class Gaussian(Likelihood):
    """Real numbers, with a learned scale for each feature that depends on the code."""

    outputs: ClassVar[int] = 2

    def __call__(self, raw: Tensor) -> Any:
        """A mean and a raw scale a feature."""
        loc, raw_scale = raw.unflatten(-1, (-1, 2)).unbind(-1)
        return dist.Normal(loc, torch.nn.functional.softplus(raw_scale) + 1e-3).to_event(1)

    def measured(self, x: Tensor, units: Units) -> Tensor:
        """The rows less their columns' means and by their standard deviations, which ``units`` keep."""
        units.measure(x)
        return units(x)

    def row(self, raw: Tensor, units: Units) -> Any:
        """A mean and a raw scale a feature, both in these units."""
        u = self(raw).base_dist
        return dist.Normal(units.back(u.loc), units.spread * u.scale).to_event(1)

    def start(self, x: Tensor) -> Tensor:
        """The columns' means and standard deviations."""
        spread = x.std(0, correction=0).clamp(min=1e-2)
        return torch.stack([x.mean(0), spread + torch.log(-torch.expm1(-spread))], -1).flatten()


@dataclass(frozen=True)
class DiscretizedLogistic(Likelihood):
    """Grey levels 0 … levels - 1 as bins of a logistic density, the first and the last open to their side.

    Two outputs a feature, its mean and its log scale, on levels mapped to [-1, 1] (Salimans et al. 2017,
    PixelCNN++, with one component).
    """

    levels: int = 17
    outputs: ClassVar[int] = 2

    @property
    def span(self) -> float:  # type: ignore[override]
        """The highest level."""
        return self.levels - 1.0

    def __call__(self, raw: Tensor) -> Any:
        """A mean and a log scale a feature."""
        loc, log_scale = raw.unflatten(-1, (-1, 2)).unbind(-1)
        edges = (2 * torch.arange(self.levels - 1, dtype=raw.dtype) + 1) / self.span - 1
        u = (edges - loc.unsqueeze(-1)) * (-log_scale.clamp(-5.0, 5.0)).exp().unsqueeze(-1)
        gap = u[..., 1:] - u[..., :-1]
        # log(sigmoid(b) - sigmoid(a)) without cancelling: both tails are products of small numbers
        inner = (
            torch.nn.functional.logsigmoid(u[..., 1:])
            + torch.nn.functional.logsigmoid(-u[..., :-1])
            + torch.log(-torch.expm1(-gap))
        )
        ends = torch.nn.functional.logsigmoid(u[..., :1]), torch.nn.functional.logsigmoid(-u[..., -1:])
        return dist.Categorical(logits=torch.cat([ends[0], inner, ends[1]], -1)).to_event(1)

    def start(self, x: Tensor) -> Tensor:
        """The columns' means and standard deviations; a logistic's is its scale times 1.8."""
        scaled = 2 * x / self.span - 1
        scale = scaled.std(0, correction=0).clamp(min=0.05) / 1.8
        return torch.stack([scaled.mean(0), scale.log()], -1).flatten()

"""Priors of a code z: settings that make a module, which makes the distribution of one code."""

from dataclasses import dataclass
from typing import Any

import torch
from pyro import distributions as dist
from torch import Tensor, nn
from torch.distributions import Transform, constraints

from ppl_gen.checks import whole
from ppl_gen.errors import DataError


@dataclass(frozen=True)
class StandardNormal:
    """N(0, 1) in every dimension; nothing is learned."""

    def module(self, latent: int) -> nn.Module:
        """The module for codes of ``latent`` numbers; called, it gives their distribution."""
        return _Standard(latent)


@dataclass(frozen=True)
class LearnedNormal(StandardNormal):
    """A Normal in every dimension, its mean and scale learned."""

    def module(self, latent: int) -> nn.Module:
        """It starts as the standard Normal."""
        return _Mixture(1, latent)


@dataclass(frozen=True)
class NormalMixture(StandardNormal):
    """A mixture of Normals, all learned (Dilokthanakul et al. 2016)."""

    components: int = 10

    def __post_init__(self) -> None:
        whole("components", self.components)

    def module(self, latent: int) -> nn.Module:
        """The components start at draws of the standard Normal."""
        return _Mixture(self.components, latent)


@dataclass(frozen=True)
class CouplingFlow(StandardNormal):
    """A standard Normal bent by affine coupling layers (Dinh et al. 2017, real NVP)."""

    layers: int = 4
    hidden: int = 64

    def __post_init__(self) -> None:
        whole("layers", self.layers)
        whole("hidden", self.hidden)

    def module(self, latent: int) -> nn.Module:
        """It starts as the standard Normal."""
        if latent < 2:
            raise DataError(f"latent: expected at least 2 numbers for a coupling flow, got {latent}")
        return _Flow(self.layers, self.hidden, latent)


class _Standard(nn.Module):
    def __init__(self, latent: int):
        super().__init__()
        self.register_buffer("zero", torch.zeros(latent))

    def forward(self) -> Any:
        return dist.Normal(self.zero, 1.0).to_event(1)


class _Mixture(nn.Module):
    def __init__(self, components: int, latent: int):
        super().__init__()
        start = torch.randn(components, latent) if components > 1 else torch.zeros(1, latent)
        self.loc, self.log_scale = nn.Parameter(start), nn.Parameter(torch.zeros(components, latent))
        if components > 1:
            self.logits = nn.Parameter(torch.zeros(components))

    def forward(self) -> Any:
        scale = self.log_scale.exp()
        if len(self.loc) == 1:
            return dist.Normal(self.loc[0], scale[0]).to_event(1)
        parts = dist.Normal(self.loc, scale).to_event(1)
        return dist.MixtureSameFamily(dist.Categorical(logits=self.logits), parts)


class _Flow(_Standard):
    def __init__(self, layers: int, hidden: int, latent: int):
        super().__init__(latent)
        self.first = latent // 2  # the numbers of the first half
        sizes = [self.first, latent - self.first]
        self.networks = nn.ModuleList(
            nn.Sequential(nn.Linear(sizes[i % 2], hidden), nn.SiLU(), nn.Linear(hidden, 2 * sizes[1 - i % 2]))
            for i in range(layers)
        )
        for network in self.networks:
            for w in list(network.parameters())[-2:]:  # the last layer
                nn.init.zeros_(w)

    def forward(self) -> Any:
        return dist.TransformedDistribution(super().forward(), [_Couplings(self.networks, self.first)])


class _Couplings(Transform):
    """Layer by layer, one half of a vector is shifted and scaled by what a network makes of the other."""

    bijective = True
    domain = constraints.real_vector
    codomain = constraints.real_vector

    def __init__(self, networks: nn.ModuleList, first: int):
        super().__init__()
        self.networks, self.first = networks, first

    def _call(self, x: Tensor) -> Tensor:
        return self._through(x, inverse=False)[0]

    def _inverse(self, y: Tensor) -> Tensor:
        return self._through(y, inverse=True)[0]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |dy / dx| of each vector."""
        return self._through(x, inverse=False)[1]

    def _through(self, value: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        parts, log_det = [value[..., : self.first], value[..., self.first :]], torch.zeros(())
        numbered = list(enumerate(self.networks))
        for i, network in reversed(numbered) if inverse else numbered:
            shift, log_scale = network(parts[i % 2]).chunk(2, -1)
            log_scale, other = 2 * torch.tanh(log_scale / 2), parts[1 - i % 2]
            parts[1 - i % 2] = (
                (other - shift) * (-log_scale).exp() if inverse else other * log_scale.exp() + shift
            )
            log_det = log_det + log_scale.sum(-1)
        return torch.cat(parts, -1), log_det

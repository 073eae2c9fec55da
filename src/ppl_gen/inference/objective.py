"""What SVI climbs: the ELBO of a model and a guide, or near it; and what to say where it is not finite."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pyro
import torch
from torch import Tensor, nn

from ppl_gen.core import ROWS, ProbabilisticModel, Program, is_local
from ppl_gen.errors import DataError, NonFinite
from ppl_gen.inference.elbo import bound, log_prob, terms
from ppl_gen.inference.tempering import tempering
from ppl_gen.inputs import Data


class Objective:
    """The ELBO of a model and a guide, and what is climbed, as functions of their parameters.

    Args:
        p, guide: the programs; modules keep their parameters.
        prior: yesterday's guide, if it is the prior of these data.
        particles: draws of the guide averaged in one value.
        beta, free_bits: as in `tempering`; a function of ``done``, the fraction of the steps, may be beta.
    """

    def __init__(
        self,
        p: ProbabilisticModel | Any,
        guide: Any,
        prior: Program | None,
        particles: int,
        beta: float | Callable[[float], float] = 1.0,
        free_bits: float = 0.0,
    ):
        self.p, self.guide, self.prior, self.particles = p, guide, prior, particles
        self.beta, self.free_bits, self.done = beta, free_bits, 0.0
        self.plates: int | None = None
        self.modules = nn.ModuleList([p, guide] if isinstance(guide, nn.Module) else [p])
        self.parameters: list[Tensor] = []
        self.names: list[str] = []
        self._module = _Forward(self)

    def terms(self, batch: Data) -> Any:
        return terms(
            self.p.model, self.guide, batch.values, batch.observed, self.plates, self.prior, batch.seen
        )

    def climbed(self, batch: Data, scale: float) -> tuple[Tensor, Tensor]:
        """The ELBO in nats, and what is climbed: the ELBO, tempered, and the model's own signal."""
        beta = self.beta(self.done) if callable(self.beta) else self.beta
        values, beside = [], []
        for _ in range(self.particles):
            t = self.terms(batch)
            values.append(bound(t, scale, batch.seen))
            if (beta, self.free_bits) != (1, 0):
                beside.append(tempering(t, beta, self.free_bits, scale))
        value = _mean(values)
        climbed = value + _mean(beside) if beside else value
        signal = self.p.auxiliary(**{**batch.inputs, **batch.gaps})
        return value, climbed if signal is None else climbed + scale * signal

    def check(self, batch: Data) -> None:
        """Run one validated step: shapes, supports, and which parameters the ELBO depends on."""
        with pyro.validation_enabled(True):
            traced = self.terms(batch)
            self.plates = traced.plates
            _, value = self.climbed(batch, 1.0)
        unexpected = sorted(traced.q.keys() - traced.p.keys() - {"_auto_latent"})
        unexpected = [name for name in unexpected if not traced.q[name]["infer"].get("is_auxiliary")]
        if unexpected and self.prior is None:
            raise DataError(
                f"guide: it samples {', '.join(map(repr, unexpected))}, which {type(self.p).__name__} does "
                f"not have: {self.p.joint}"
            )
        leaked = sorted(pyro.get_param_store().keys())
        if leaked:
            raise DataError(
                f"{type(self.p).__name__}: pyro.param({leaked[0]!r}) would live in Pyro's global store; make "
                f"it an attribute of the module (torch.nn.Parameter or pyro.nn.PyroParam)"
            )
        self.choose_parameters(value)

    def choose_parameters(self, value: Tensor) -> None:
        """Those that the value, of what is climbed, depends on."""
        trainable = [w for w in self.modules.parameters() if w.requires_grad]
        if not trainable or not value.requires_grad:
            name = getattr(self.p, "name", type(self.p).__name__)
            raise DataError(
                f"{name}: nothing to train: neither the model nor the guide has a parameter that the ELBO "
                f"depends on"
            )
        found = torch.autograd.grad(value, trainable, allow_unused=True)
        self.parameters = [w for w, g in zip(trainable, found, strict=True) if g is not None]
        self.names = [name for w in self.parameters for name, v in self._module.named_parameters() if v is w]

    def at(self, parameters: Sequence[Tensor], batch: Any, scale: float) -> tuple[Tensor, Tensor]:
        """As `climbed`, with other values of the parameters."""
        values = dict(zip(self.names, parameters, strict=True))
        found: tuple[Tensor, Tensor] = torch.func.functional_call(self._module, values, (batch, scale))
        return found

    def explain(
        self, batch: Data, index: Tensor, step: int, value: float, gradients: Sequence[Tensor] = ()
    ) -> NonFinite:
        """Say where a step met inf or nan, by drawing the same draws again."""
        finite = math.isfinite(value)
        site, where = self._blame_gradient(gradients) if finite else self._blame(batch, index)
        data = (
            f"rescale {', '.join(batch.rows)}" if batch is not None else "rescale the data"
        )  # None: fit_pyro
        return NonFinite(
            f"SVI stopped at step {step}: {where} is not finite (ELBO {value:g}). The error's .posterior "
            f"holds the last good state. Try a smaller learning_rate, or {data}.",
            step=step,
            site=site,
        )

    def _blame_gradient(self, gradients: Sequence[Tensor]) -> tuple[str, str]:
        for name, gradient in zip(self.names, gradients, strict=False):
            if not bool(torch.isfinite(gradient).all()):
                name = name.split(".", 2)[2].removesuffix("_unconstrained")
                return name, f"the gradient of {name}"
        return "gradient", "the gradient"

    def _blame(self, batch: Data, index: Tensor) -> tuple[str, str]:
        """The first site whose log density is not finite, and that factor and its rows in words."""
        traced = self.terms(batch)
        sides = [("p", name, site) for name, site in traced.p.items()]
        sides += [("q", name, site) for name, site in traced.q.items()]
        for side, name, site in sides:
            bad = ~torch.isfinite(log_prob(site, batch.seen.get(name) if side == "p" else None))
            if not bool(bad.any()):
                continue
            where = f"log {side}({name} | …)"
            if is_local(site):
                place = next(frame.dim for frame in site["cond_indep_stack"] if frame.name == ROWS)
                rows = index[bad.movedim(place, -1).reshape(-1, bad.shape[place]).any(0)].tolist()
                few = ", ".join(map(str, rows[:5])) + ", …" * (len(rows) > 5)
                where += f" of row{'s' * (len(rows) > 1)} {few}"
            return name, where
        return "elbo", "the sum of all log densities"


def _mean(values: list[Tensor]) -> Tensor:
    return torch.stack(values).mean() if len(values) > 1 else values[0]


class _Forward(nn.Module):
    """The objective as a module, whose parameters torch can replace for one call."""

    def __init__(self, objective: Any):
        super().__init__()
        self.parts, self.objective = objective.modules, [objective]

    def forward(self, batch: Any, scale: float) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = self.objective[0].climbed(batch, scale)
        return found

"""Stochastic variational inference: climb the ELBO by stochastic gradients.

References: Hoffman et al. 2013, Stochastic variational inference; Kingma and Welling 2014, Auto-encoding
variational Bayes; Broderick et al. 2013, Streaming variational Bayes (yesterday's posterior as prior).
"""

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import pyro
import torch
from torch import Tensor, nn

from ppl_gen.checks import positive, whole
from ppl_gen.core import ProbabilisticModel, Program, is_local
from ppl_gen.errors import DataError, Interrupted, NonFinite
from ppl_gen.inference.elbo import bound, elbo, log_prob, terms
from ppl_gen.inference.guides import Automatic, make_guide
from ppl_gen.inference.method import Fitted
from ppl_gen.inference.tempering import tempering
from ppl_gen.inputs import Data
from ppl_gen.progress import track


@dataclass(frozen=True, repr=False)
class SVI:
    """Fit a guide, and any parameters of the model, by maximising the ELBO.

    A setting left at None takes the model's own (``model.svi``), else the default in brackets.

    Args:
        steps: gradient steps [2000].
        learning_rate: of the optimiser, at its highest [0.02].
        batch_size: rows of a minibatch; 0 takes all rows at every step [0].
        guide: None for the model's own, "mean_field", "full_rank", an AutoGuide class, or any Pyro
            guide: a module, or a function that may use pyro.param.
        particles: draws of the guide averaged in one step.
        optimizer: called as ``optimizer(parameters, lr=learning_rate)``: any class of torch.optim or a
            functools.partial of one [torch.optim.Adam].
        schedule: the factor on the learning rate: "cosine" (from 1 down to 0), "constant", or a function of
            the fraction of the steps that are done.
        beta: weight of the KL terms of the rows' latents in what is climbed: a number, or a function of the
            fraction of the steps that are done, such as ``lambda done: min(1.0, 5 * done)`` (annealing).
        free_bits: nats of KL that each dimension of the rows' latents may have for nothing, on average.
            With a beta other than 1, or free bits, what is climbed is no bound on the evidence; the history
            is the ELBO all the same, and ``posterior.note`` says how far the two lay apart.
        seed: decides the start, the draws and the order of the rows.
        progress: whether to show a progress bar; None shows it in terminals and notebooks.

    >>> from ppl_gen import fit
    >>> from ppl_gen.models import GaussianMixture
    >>> posterior = fit(GaussianMixture(components=2, features=1), SVI(steps=50), x=[[0.], [1.], [9.]])
    >>> posterior.elbo.shape, posterior.method
    (torch.Size([50]), SVI(steps=50, learning_rate=0.05, batch_size=0))
    """

    steps: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    guide: Any = None
    particles: int = 1
    optimizer: Callable[..., torch.optim.Optimizer] | None = None
    schedule: str | Callable[[float], float] = "cosine"
    beta: float | Callable[[float], float] = 1.0
    free_bits: float = 0.0
    seed: int = 0
    progress: bool | None = None

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch_size", 0), ("particles", 1), ("seed", 0)):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, whole(name, getattr(self, name), least))
        if self.learning_rate is not None:
            object.__setattr__(self, "learning_rate", positive("learning_rate", self.learning_rate))
        made = getattr(self.optimizer, "func", self.optimizer)
        if made is not None and (not callable(made) or isinstance(made, torch.optim.Optimizer)):
            raise DataError(
                f"optimizer: expected a class of torch.optim, such as torch.optim.AdamW, or a "
                f"functools.partial of one, got {self.optimizer!r}"
            )
        if made is torch.optim.LBFGS:
            raise DataError("optimizer: LBFGS wants the same objective again and again, and SVI's is random")
        if self.schedule not in ("cosine", "constant") and not callable(self.schedule):
            raise DataError(f'schedule: expected "cosine", "constant" or a function, got {self.schedule!r}')
        for name in ("beta", "free_bits"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not ((number and 0 <= value < math.inf) or (name == "beta" and callable(value))):
                what = "a number from 0 up" + (", or a function" if name == "beta" else "")
                raise DataError(f"{name}: expected {what}, got {value!r}")

    def __repr__(self) -> str:
        changed = (f for f in fields(self) if getattr(self, f.name) != f.default)
        return f"SVI({', '.join(f'{f.name}={_short(getattr(self, f.name))}' for f in changed)})"

    def resolved(self, p: ProbabilisticModel) -> "SVI":
        """The same method with every setting that was left open filled in for the model ``p``."""
        defaults = {"steps": 2000, "learning_rate": 0.02, "batch_size": 0}
        return replace(self, **{name: self.setting(p, name, value) for name, value in defaults.items()})

    def setting(self, p: ProbabilisticModel, name: str, default: Any) -> Any:
        """This method's setting, else the model's, else the default."""
        own = getattr(self, name)
        return p.svi.get(name, default) if own is None else own

    def fit(self, start: ProbabilisticModel, guide: Any, data: Data, prior: Program | None = None) -> Fitted:
        """Train a copy of ``start``.

        Args:
            start: the model, or the model of a posterior that is continued.
            guide: the guide that is continued, or None for a fresh start.
            data: the rows and inputs.
            prior: yesterday's guide, if it is the prior of these data.
        """
        if guide is None:
            p = copy.deepcopy(start)
            p.initialize(**data.gaps)
            guide = copy.deepcopy(make_guide(self.guide, p, data.values, data.observed), {id(p): p})
        else:
            p, guide = copy.deepcopy((start, guide))
        objective = _Objective(p, guide, prior, self.particles)
        objective.modules.train()
        batches = self._batches(p, guide, data)
        objective.check(data.take(next(batches)))
        optimiser = self._optimiser(p, objective.parameters)
        peaks = [group["lr"] for group in optimiser.param_groups]
        steps = self.setting(p, "steps", 2000)
        history: list[float] = []
        beside: list[float] = []  # what was climbed, less the ELBO
        trouble: NonFinite | None = None
        note = ""
        try:
            for step in track(range(steps), "SVI", self.progress, lambda: {"ELBO": smooth(history)}):
                for group, peak in zip(optimiser.param_groups, peaks, strict=True):
                    group["lr"] = peak * self._factor(step / steps)
                index = next(batches)
                batch = data.take(index) if len(index) < data.n else data
                before = torch.get_rng_state()
                beta = self.beta(step / steps) if callable(self.beta) else self.beta
                value, more = objective.backward(batch, data.n / max(batch.n, 1), beta, self.free_bits)
                if not math.isfinite(value) or not objective.gradients_finite():
                    torch.set_rng_state(before)
                    trouble = objective.explain(batch, index, step, value)
                    break
                objective.remember()
                optimiser.step()
                history.append(value)
                beside.append(more)
            if trouble is None:  # the last step has not been looked at yet
                before = torch.get_rng_state()
                value = -objective.negative_elbo(batch, data.n / max(batch.n, 1)).item()
                if not math.isfinite(value):
                    torch.set_rng_state(before)
                    trouble = objective.explain(batch, index, steps, value)
        except KeyboardInterrupt:
            note = f"stopped by hand after {len(history)} of {steps} steps"
            warnings.warn(f"SVI {note}; what it had is returned", Interrupted, stacklevel=3)
        note = "; ".join(filter(None, [note, self._beside(beside)]))
        if trouble is not None:
            objective.restore()
        for parameter in objective.parameters:
            parameter.grad = None
        objective.modules.eval()
        fitted = Fitted(p, guide, torch.tensor(history, dtype=torch.float64), None, note)
        if trouble is not None:
            trouble.posterior = fitted
            raise trouble
        return fitted

    def _beside(self, beside: list[float]) -> str:
        """What was climbed, in words, if it was not the ELBO."""
        if not any(beside):
            return ""
        return (
            f"climbed the ELBO and {smooth(beside):+,.2f} nats beside it (mean of the last steps), which is "
            f"no bound on the evidence; elbo is the ELBO"
        )

    def _optimiser(self, p: ProbabilisticModel, parameters: list[Tensor]) -> torch.optim.Optimizer:
        made = self.setting(p, "optimizer", torch.optim.Adam)(
            parameters, lr=self.setting(p, "learning_rate", 0.02)
        )
        if not isinstance(made, torch.optim.Optimizer):
            raise DataError(
                f"optimizer: expected a class of torch.optim, such as torch.optim.AdamW, got {made!r}"
            )
        return made

    def _factor(self, fraction: float) -> float:
        if callable(self.schedule):
            return float(self.schedule(fraction))
        return 0.5 * (1 + math.cos(math.pi * fraction)) if self.schedule == "cosine" else 1.0

    def _batches(self, p: ProbabilisticModel, guide: Any, data: Data) -> Iterator[Tensor]:
        """Row indices for ever: epoch by epoch, in an order that (seed, epoch) decides."""
        size = self.setting(p, "batch_size", 0) or data.n
        if size < data.n:
            local = {name for name, site in data.sites.items() if site.local and not site.levels}
            hidden = local - data.observed.keys()
            if isinstance(guide, Automatic) and hidden:
                raise DataError(
                    f"batch_size: this guide has one factor for each row's {', '.join(sorted(hidden))}, so "
                    f"it needs all rows at every step: batch_size=0, or an amortized guide q(z | x)"
                )
        return self._epochs(size, data.n)

    def _epochs(self, size: int, n: int) -> Iterator[Tensor]:
        epoch = 0
        while True:
            if size >= n:
                yield torch.arange(n)
                continue
            order = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
            yield from torch.randperm(n, generator=order).split(size)
            epoch += 1


class _Objective:
    """The negative ELBO of a model and a guide, its parameters and its gradients."""

    def __init__(self, p: ProbabilisticModel, guide: Any, prior: Program | None, particles: int):
        self.p, self.guide, self.prior, self.particles = p, guide, prior, particles
        self.plates: int | None = None
        self.modules = nn.ModuleList([p, guide] if isinstance(guide, nn.Module) else [p])
        self.parameters: list[Tensor] = []
        self.kept: list[Tensor] = []

    def terms(self, batch: Data) -> Any:
        return terms(
            self.p.model, self.guide, batch.values, batch.observed, self.plates, self.prior, batch.seen
        )

    def negative_elbo(self, batch: Data, scale: float) -> Tensor:
        values = [
            elbo(
                self.p.model,
                self.guide,
                batch.values,
                batch.observed,
                scale,
                self.plates,
                self.prior,
                batch.seen,
            )
            for _ in range(self.particles)
        ]
        return -torch.stack(values).mean()

    def check(self, batch: Data) -> None:
        """Run one validated step: shapes, supports, and which parameters the ELBO depends on."""
        with pyro.validation_enabled(True):
            traced = self.terms(batch)
            self.plates = traced.plates
            _, value = self.climbed(batch, 1.0, 1.0, 0.0)
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
        trainable = [w for w in self.modules.parameters() if w.requires_grad]
        if not trainable or not value.requires_grad:
            raise DataError(
                f"{type(self.p).__name__}: nothing to train: neither the model nor the guide has a parameter "
                f"that the ELBO depends on"
            )
        found = torch.autograd.grad(value, trainable, allow_unused=True)
        self.parameters = [w for w, g in zip(trainable, found, strict=True) if g is not None]
        self.remember()

    def remember(self) -> None:
        """Keep the parameters, whose ELBO and gradient were finite."""
        with torch.no_grad():
            if not self.kept:
                self.kept = [w.detach().clone() for w in self.parameters]
            torch._foreach_copy_(self.kept, self.parameters)

    def restore(self) -> None:
        """Go back to the parameters that were kept."""
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.kept)

    def climbed(self, batch: Data, scale: float, beta: float, free_bits: float) -> tuple[Tensor, Tensor]:
        """The ELBO of the batch in nats, and what is climbed: it, tempered, and the model's own signal."""
        values = torch.zeros(2)
        for _ in range(self.particles):
            t = self.terms(batch)
            value = bound(t, scale, batch.seen)
            more = torch.zeros(()) if (beta, free_bits) == (1, 0) else tempering(t, beta, free_bits, scale)
            values = values + torch.stack([value, value + more]) / self.particles
        signal = self.p.auxiliary(**{**batch.inputs, **batch.gaps})
        return values[0], values[1] if signal is None else values[1] + scale * signal

    def backward(self, batch: Data, scale: float, beta: float, free_bits: float) -> tuple[float, float]:
        """Put the gradients of what is descended into the parameters.

        Returns:
            The ELBO in nats, and how much more is climbed.
        """
        value, climbed = self.climbed(batch, scale, beta, free_bits)
        gradients = torch.autograd.grad(-climbed, self.parameters, allow_unused=True)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        return value.item(), (climbed - value).item()

    def gradients_finite(self) -> bool:
        gradients = [w.grad for w in self.parameters if w.grad is not None]
        return bool(torch.isfinite(torch.stack(torch._foreach_norm(gradients)).sum()))

    def explain(self, batch: Data, index: Tensor, step: int, value: float) -> NonFinite:
        """Say where a step met inf or nan, by drawing the same draws again."""
        site, where = self._blame(batch, index) if not math.isfinite(value) else self._blame_gradient()
        return NonFinite(
            f"SVI stopped at step {step}: {where} is not finite (ELBO {value:g}). The error's .posterior "
            f"holds the last good state. Try a smaller learning_rate, or rescale the data.",
            step=step,
            site=site,
        )

    def _blame_gradient(self) -> tuple[str, str]:
        for name, w in self.modules.named_parameters():
            if w.grad is not None and not bool(torch.isfinite(w.grad).all()):
                name = name.partition(".")[2].removesuffix("_unconstrained")
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
                rows = index[bad.reshape(-1, bad.shape[-1]).any(0)].tolist()
                few = ", ".join(map(str, rows[:5])) + ", …" * (len(rows) > 5)
                where += f" of row{'s' * (len(rows) > 1)} {few}"
            return name, where
        return "elbo", "the sum of all log densities"


def _short(value: Any) -> str:
    return getattr(value, "__name__", None) or repr(value)


def smooth(history: list[float], window: int = 50) -> float:
    """The mean of the last values: one draw's ELBO is noisy."""
    recent = history[-window:]
    return sum(recent) / len(recent) if recent else math.nan


def estimate_elbo(
    model: Program, guide: Any, data: Data, draws: int, prior: Program | None = None
) -> tuple[float, float]:
    """The ELBO in nats, averaged over ``draws`` draws of the guide, and its standard error."""
    values = torch.stack(
        [elbo(model, guide, data.values, data.observed, prior=prior, seen=data.seen) for _ in range(draws)]
    )
    return values.mean().item(), (values.std() / math.sqrt(draws)).item() if draws > 1 else math.nan

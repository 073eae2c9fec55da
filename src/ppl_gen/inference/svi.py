"""Stochastic variational inference: climb the ELBO by stochastic gradients.

References: Hoffman et al. 2013, Stochastic variational inference; Kingma and Welling 2014, Auto-encoding
variational Bayes; Broderick et al. 2013, Streaming variational Bayes (yesterday's posterior as prior).
"""

import copy
import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ppl_gen import ranks
from ppl_gen.checks import positive, whole
from ppl_gen.core import ProbabilisticModel, Program, initialize
from ppl_gen.errors import DataError
from ppl_gen.inference.checkpoints import Checkpoint, checkpoint
from ppl_gen.inference.climb import Rows, climb
from ppl_gen.inference.devices import checked, computing, fed, moved, ready
from ppl_gen.inference.elbo import elbo
from ppl_gen.inference.guides import Automatic, make_guide
from ppl_gen.inference.identity import identity_of_fit
from ppl_gen.inference.method import Fitted
from ppl_gen.inference.objective import Objective
from ppl_gen.inference.prefetch import ahead
from ppl_gen.inference.stored import feed, look, whole_or_stored
from ppl_gen.inputs import Data


@dataclass(frozen=True, repr=False)
class SVI:
    """Fit a guide, and any parameters of the model, by maximising the ELBO.

    A setting left at None takes the model's own (``model.svi``), else the default in brackets.

    Ctrl-C ends the fit after the step it is at: what it has is returned, with the warning `Interrupted` and
    a ``posterior.note``, and the program goes on: its exit code tells nothing. Another interrupts at once.

    Args:
        steps: gradient steps, at most [2000].
        learning_rate: of the optimiser, at its highest [0.02].
        batch_size: rows of a minibatch; 0 takes all rows at every step [0]. Their order is that of `Order`;
            the last batch of an epoch may be smaller, and its rows weigh more.
        guide: None for the model's own, "mean_field", "full_rank", "flow" (autoregressive layers), an
            AutoGuide class, or any Pyro guide: a module, or a function that may use pyro.param.
        particles: draws of the guide averaged in one step.
        optimizer: called as ``optimizer(parameters, lr=learning_rate)``: any class of torch.optim or a
            functools.partial of one [torch.optim.Adam, fused].
        schedule: the factor on the learning rate: "cosine" (from 1 down to 0), "constant", or a function of
            the fraction of the steps that are done.
        beta: weight of the KL terms of the rows' latents in what is climbed: a number, or a function of the
            fraction of the steps that are done, such as ``lambda done: min(1.0, 5 * done)`` (annealing).
        free_bits: nats of KL that each dimension of the rows' latents may have for nothing, on average.
            With a beta other than 1, or free bits, what is climbed is no bound on the evidence; the history
            is the ELBO all the same, and ``posterior.note`` says how far the two lay apart.
        clip: the longest gradient (its Euclidean norm over all parameters); longer ones are shortened.
        tolerance: stop when the mean ELBO of ``window`` steps is, up to two standard errors, less than this
            many nats above that of the window before; ``posterior.note`` then says so. None does all steps.
        window: steps; see tolerance.
        prefetch: how many batches of a file a thread reads in advance, while steps run; 0 reads between the
            steps, None decides by how long reading takes. No number of the fit depends on it.
        compile: True compiles the step (some twenty seconds, once in a process: a fit of the same model to
            rows of the same shape finds it compiled), "auto" only where the work ahead is longer than that,
            False never. The numbers are the same up to rounding. Where it cannot be done, the fit goes on
            without, and says why. From 1,000 steps on the step is captured as a graph either way, compared
            with the program once: what a program decides by state of its own that no tensor holds, such as a
            counter of its calls, stays as it was then.
        device: where to compute, such as "cuda" [the CPU]. The posterior comes back to the CPU.
        precision: "bfloat16" lets the networks' layers multiply with 16 bits, which GPUs do faster [the
            model's own type everywhere: float64 for conjugate models, float32 for networks].
        seed: decides the start, the draws and the order of the rows.
        progress: whether to show a progress bar; None shows it in terminals and notebooks.
        checkpoint: a folder to keep checkpoints in, or a `Checkpoint`, which has more to say: the same fit
            again goes on from the newest.

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
    clip: float | None = None
    tolerance: float | None = None
    window: int = 200
    compile: bool | str = "auto"
    prefetch: int | None = None
    device: Any = None
    precision: str | None = None
    seed: int = 0
    progress: bool | None = None
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "checkpoint", checkpoint(self.checkpoint))
        least = {"steps": 1, "batch_size": 0, "particles": 1, "seed": 0, "window": 20, "prefetch": 0}
        for name, smallest in least.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, whole(name, getattr(self, name), smallest))
        for name in ("learning_rate", "clip", "tolerance"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, positive(name, getattr(self, name)))
        if self.compile not in (True, False, "auto"):
            raise DataError(f'compile: expected True, False or "auto", got {self.compile!r}')
        made = getattr(self.optimizer, "func", self.optimizer)
        if made is not None and (not callable(made) or isinstance(made, torch.optim.Optimizer)):
            raise DataError(
                f"optimizer: expected a class of torch.optim, such as torch.optim.AdamW, or a "
                f"functools.partial of one, got {self.optimizer!r}"
            )
        if "pyro.optim" in (f"{getattr(made, '__module__', '')} {type(made).__module__}"):
            raise DataError(
                "optimizer: expected a class of torch.optim, got one of pyro.optim, which looks its "
                "parameters up by name. Pyro's Adam({'lr': 0.1}) is SVI(learning_rate=0.1) here, the norm of "
                "its ClippedAdam is clip=…, and more options go in by functools.partial(torch.optim.Adam, …)"
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
        if self.device is not None:
            object.__setattr__(self, "device", checked(self.device))
        if self.precision not in (None, "bfloat16"):
            raise DataError(f'precision: expected None or "bfloat16", got {self.precision!r}')
        if callable(self.beta) and self.tolerance:
            raise DataError("tolerance: a beta that changes moves the goal, so no step tells that it is near")

    def __repr__(self) -> str:
        changed = (f for f in fields(self) if getattr(self, f.name) != f.default)
        return f"SVI({', '.join(f'{f.name}={_short(getattr(self, f.name))}' for f in changed)})"

    def resolved(self, p: ProbabilisticModel) -> "SVI":
        """The same method with every setting that was left open filled in for the model ``p``."""
        defaults = {"steps": 2000, "learning_rate": 0.02, "batch_size": 0}
        return replace(self, **{name: self.setting(p, name, value) for name, value in defaults.items()})

    def setting(self, p: Any, name: str, default: Any) -> Any:
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
        about = partial(identity_of_fit, self, start, guide, data)
        data, size = whole_or_stored(data, self.setting(start, "batch_size", 0))
        if guide is None:
            p, some = copy.deepcopy(start), data.example
            initialize(p, some.gaps)
            guide = copy.deepcopy(make_guide(self.guide, p, some.values, some.observed), {id(p): p})
        else:
            p, guide = copy.deepcopy((start, guide))
        objective = Objective(p, guide, prior, self.particles, self.beta, self.free_bits)
        objective.modules.train()
        _refuse_rows_of_their_own(guide, data, size)
        first, depth = look(data, size, self.seed, self.prefetch)
        device = ready(self.device)
        with ExitStack() as stack, computing((objective.modules, prior), device, self.precision):

            def rows(step: int) -> Iterator[Rows]:
                batches = stack.enter_context(closing(ahead(feed(data, size, self.seed, step), depth)))
                return fed(batches, device) if device.type != "cpu" else batches

            first = first._replace(batch=moved(first.batch, device))
            objective.check(first.batch)
            optimiser = self.optimiser(p, objective.parameters)
            result = climb(self, objective, optimiser, first, rows, first.batch.n == data.n, about)
        objective.modules.eval()
        fitted = Fitted(p, guide, torch.tensor(result.elbo, dtype=torch.float64), None, result.note)
        if result.trouble is not None:
            result.trouble.posterior = fitted
            raise result.trouble
        return fitted

    def optimiser(self, p: Any, parameters: list[Tensor]) -> torch.optim.Optimizer:
        make = self.setting(p, "optimizer", partial(torch.optim.Adam, fused=True))
        made = make(parameters, lr=self.setting(p, "learning_rate", 0.02))
        if not isinstance(made, torch.optim.Optimizer):
            raise DataError(
                f"optimizer: expected a class of torch.optim, such as torch.optim.AdamW, got {made!r}"
            )
        return made

    def factor(self, fraction: float) -> float:
        """The schedule's factor on the learning rate when a ``fraction`` of the steps is done."""
        if callable(self.schedule):
            return float(self.schedule(fraction))
        return 0.5 * (1 + math.cos(math.pi * fraction)) if self.schedule == "cosine" else 1.0


def _refuse_rows_of_their_own(guide: Any, data: Data, size: int) -> None:
    local = {name for name, site in data.sites.items() if site.local and not site.levels}
    hidden = local - data.observed.keys()
    if (size < data.n or ranks.count() > 1) and isinstance(guide, Automatic) and hidden:
        raise DataError(
            f"batch_size: this guide has one factor for each row's {', '.join(sorted(hidden))}, so "
            f"it needs all rows at every step: batch_size=0 in one process, or an amortized guide q(z | x)"
        )


def _short(value: Any) -> str:
    return getattr(value, "__name__", None) or repr(value)


def estimate_elbo(
    model: Program, guide: Any, data: Data, draws: int, prior: Program | None = None
) -> tuple[float, float]:
    """The ELBO in nats, averaged over ``draws`` draws of the guide, and its standard error."""
    values = torch.stack(
        [elbo(model, guide, data.values, data.observed, prior=prior, seen=data.seen) for _ in range(draws)]
    )
    return values.mean().item(), (values.std() / math.sqrt(draws)).item() if draws > 1 else math.nan

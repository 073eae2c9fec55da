"""The engine of `SVI` for any bare Pyro model and guide: `fit_pyro`."""

import copy
import itertools
import math
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.infer import TraceEnum_ELBO
from pyro.infer.autoguide import AutoGuide
from pyro.infer.traceenum_elbo import _compute_dice_elbo, _compute_model_factors  # what its bound is made of
from pyro.ops import packed
from pyro.ops.contract import contract_tensor_tree
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn
from torch.distributions import transform_to

from ppl_gen import ranks
from ppl_gen.checks import called, whole
from ppl_gen.core import own_parameters, variables
from ppl_gen.errors import DataError
from ppl_gen.inference.climb import Rows, climb
from ppl_gen.inference.elbo import delta, plate_depth
from ppl_gen.inference.guides import FAMILIES, in_pyro
from ppl_gen.inference.identity import identity_of_pair
from ppl_gen.inference.objective import Objective
from ppl_gen.inference.observed import enumerates
from ppl_gen.inference.svi import SVI
from ppl_gen.isolation import isolated


@dataclass(frozen=True, eq=False, repr=False)
class PyroFit:
    """What `fit_pyro` returns: the trained programs and the history of their bound.

    It draws the guide's latents and estimates the ELBO. It knows no declared joint, so `ask` cannot answer
    questions about it, nor `save` keep it: write a `ProbabilisticModel` for that.

    Attributes:
        model, guide: trained copies, called as the originals are, but not in need of Pyro's global store.
        method: how they were trained.
        elbo: the bound's history in nats, float64, one draw's estimate for each step.
        note: what happened on the way, if anything did.
        arguments: of the fit, positional and by name.
    """

    model: Any
    guide: Any
    method: SVI
    elbo: Tensor
    note: str
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]]

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The trained parameters by name, those of pyro.param in their own supports."""
        return {**self.model.parameters_by_name(), **self.guide.parameters_by_name()}

    def draw(self, draws: int = 1000, seed: int = 0) -> dict[str, Tensor]:
        """Draws of the guide's latents on the arguments of the fit: name -> ``(draws, *shape)``."""
        whole("draws", draws)
        args, kwargs = self.arguments
        with isolated(seed):
            traces = [poutine.trace(self.guide).get_trace(*args, **kwargs) for _ in range(draws)]
        found = [{name: site["value"] for name, site in variables(trace).items()} for trace in traces]
        return {name: torch.stack([each[name] for each in found]) for name in found[0]}

    def estimate_elbo(self, draws: int = 100, seed: int = 0) -> tuple[float, float]:
        """The ELBO in nats on the arguments of the fit, over ``draws`` draws, and its standard error."""
        whole("draws", draws)
        objective = _PairObjective(self.model, self.guide, 1, *self.arguments)
        with isolated(seed):
            values = torch.stack([objective.climbed(None, 1.0)[0] for _ in range(draws)])
        return values.mean().item(), (values.std() / math.sqrt(draws)).item() if draws > 1 else math.nan

    def __str__(self) -> str:
        lines = [
            f"Fit of {self.model.name} with {self.guide.name}",
            f"  method  {self.method}",
            f"  bound   ELBO {self.elbo[-50:].mean():,.2f} nats (mean of {len(self.elbo[-50:])} steps)",
        ]
        return "\n".join(lines + ([f"  note    {self.note}"] if self.note else []))

    __repr__ = __str__


def fit_pyro(
    model: Callable[..., Any],
    guide: Callable[..., Any],
    method: SVI | None = None,
    /,
    *args: Any,
    **kwargs: Any,
) -> PyroFit:
    """Fit a bare Pyro model and guide by the engine of `SVI`, compiled where that pays.

    The pair is written as for ``pyro.infer.SVI(model, guide, …).step(*args, **kwargs)``, with ``obs=`` inside
    the model; the bound is Pyro's TraceEnum_ELBO, which sums out sites marked with
    ``infer={"enumerate": "parallel"}`` and is Trace_ELBO's where there are none. Copies are trained, from the
    programs' own starting values: neither the arguments nor Pyro's global store change. Of a pair nobody
    knows what its rows are, so under ``torchrun`` each process has all of them: every step is the mean of
    as many draws (and of as many subsamples) as there are processes.

    Args:
        model, guide: functions, modules or their methods; a guide may be an instance of an AutoGuide.
        method: the settings. ``batch_size`` must be open: subsample in the model, by
            ``pyro.plate(…, subsample_size=…)``.
        args, kwargs: passed to both.

    Raises:
        DataError: a setting does not apply, nothing can be trained, or the pair hides a module in a closure.
        NonFinite: the fit met inf or nan; ``error.posterior`` is the last good state.

    >>> import pyro.distributions as dist
    >>> def model(x):
    ...     mu = pyro.sample("mu", dist.Normal(0., 10.))
    ...     with pyro.plate("rows", len(x)):
    ...         pyro.sample("x", dist.Normal(mu, 1.), obs=x)
    >>> def guide(x):
    ...     pyro.sample("mu", dist.Normal(pyro.param("loc", torch.tensor(0.)), 0.5))
    >>> found = fit_pyro(model, guide, SVI(steps=300, learning_rate=0.1), torch.tensor([4., 5., 6., 5.]))
    >>> bool(abs(found.parameters["loc"] - 5.0) < 0.5), len(found.elbo)
    (True, 300)
    """
    method = SVI() if method is None else method
    if not isinstance(method, SVI):
        raise DataError(f"method: expected SVI(…), got {called(method)}")
    if (method.beta, method.free_bits) != (1, 0):
        raise DataError("fit_pyro: beta and free_bits weigh the KL of each row, and a bare pair has no rows")
    if method.guide is not None or method.batch_size:
        raise DataError("fit_pyro: the guide is its own argument, and batch_size has no rows to choose from")
    if method.device not in (None, "cpu") or method.precision:
        raise DataError("fit_pyro: the arguments say where to compute; device and precision must be open")
    for name, program in (("model", model), ("guide", guide)):
        if not callable(program) or isinstance(program, type):
            came, instead = called(program), "the function or the module that samples"
            if name == "guide":
                wanted = program if isinstance(program, str) and program in FAMILIES else "mean_field"
                instead = f"a function, or a guide made of the model: {in_pyro(f'guide={wanted!r}')}"
                came = repr(program) if isinstance(program, str) else came
            raise DataError(f"{name}: expected a Pyro program, got {came}. Pass {instead}")
    about = partial(identity_of_pair, method, model, guide, args, kwargs)
    model, guide = copied(model, guide)
    with isolated(method.seed, grad=True):
        ranks.hush()
        ranks.agree("fit_pyro", "")
        p, q = _Program(model), _Program(guide)
        objective = _PairObjective(p, q, method.particles, args, kwargs)
        objective.modules.train()
        first = Rows(None, torch.empty(0, dtype=torch.long), 1.0)
        objective.check(None)
        optimiser = method.optimiser(objective.p, objective.parameters)
        result = climb(method, objective, optimiser, first, lambda _: itertools.repeat(first), True, about)
        objective.modules.eval()
    method = replace(method, checkpoint=None)  # where it was kept is no part of how it was found
    found = PyroFit(p, q, method, torch.tensor(result.elbo, dtype=torch.float64), result.note, (args, kwargs))
    if result.trouble is not None:
        result.trouble.posterior = found
        raise result.trouble
    return found


def copied(model: Any, guide: Any) -> tuple[Any, Any]:
    """Copies of both that share what the originals share."""
    inside = guide.modules() if isinstance(guide, nn.Module) else ()
    links = [(auto, auto._model, auto.master) for auto in inside if isinstance(auto, AutoGuide)]
    memo: dict[int, Any] = {}
    try:
        p, q, programs = copy.deepcopy((model, guide, [its for _, its, _ in links]), memo)
    except RuntimeError as error:  # an AutoGuide that ran keeps a trace with a graph
        raise DataError(
            f"guide: fit_pyro trains a copy, and this one cannot be copied: {error}. Make it anew."
        ) from error
    finally:
        for auto, its, master in links:  # copying an AutoGuide makes it forget them
            auto._model, auto.master = its, master
    for (auto, _, master), its in zip(links, programs, strict=True):
        copied = memo[id(auto)]
        copied._model = its
        copied.master = master and weakref.ref(memo[id(master())])
        for program in copied._model or ():
            own_parameters(getattr(program, "__self__", program))
    return p, q


class _Program(nn.Module):
    """A Pyro program that keeps its parameters itself, called as it was written."""

    svi: Mapping[str, Any] = {}

    def __init__(self, program: Callable[..., Any]):
        super().__init__()
        self.program = program
        self.name = getattr(program, "__qualname__", type(program).__name__)
        owner = getattr(program, "__self__", None)
        if isinstance(owner, nn.Module):
            self.owner = owner
        self.free = nn.ParameterDict()
        self.constraints: dict[str, Any] = {}
        for module in (program, owner):
            own_parameters(module)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with _Keeping(self):
            return self.program(*args, **kwargs)

    def parameters_by_name(self) -> dict[str, Tensor]:
        own = {key.replace("·", "."): self.constrained(key).detach() for key in self.free}
        held = {
            n.partition(".")[2]: w.detach() for n, w in self.named_parameters() if not n.startswith("free.")
        }
        return {**own, **held}

    def constrained(self, key: str) -> Tensor:
        value: Tensor = transform_to(self.constraints[key])(self.free[key])
        return value


class _Keeping(Messenger):
    """Answer pyro.param from the program's own parameters."""

    def __init__(self, owner: _Program):
        super().__init__()
        self.owner = owner

    def _pyro_param(self, msg: dict[str, Any]) -> None:
        if msg["fn"] != pyro.get_param_store().get_param:
            return
        name, key = msg["name"], msg["name"].replace(".", "·")
        if "$$$" in name:  # a parameter of pyro.module, which stays where it is
            value = msg["args"][1]
            if isinstance(value, nn.Parameter) and all(value is not w for w in self.owner.parameters()):
                raise DataError(
                    f"pyro.module({name.split('$$$')[0]!r}): this module is neither the program nor a part "
                    f"of the module whose method the program is, so no copy can be trained. Make it one."
                )
        else:
            if key not in self.owner.free:
                self._start(name, key, msg)
            value = self.owner.constrained(key)
        msg["value"] = value
        msg["done"] = msg["stop"] = True

    def _start(self, name: str, key: str, msg: dict[str, Any]) -> None:
        if len(msg["args"]) < 2:
            raise DataError(f"pyro.param({name!r}) has no initial value")
        initial = msg["args"][1]() if callable(msg["args"][1]) else msg["args"][1]
        constraint = msg["kwargs"].get("constraint", torch.distributions.constraints.real)
        self.owner.constraints[key] = constraint
        self.owner.free[key] = nn.Parameter(transform_to(constraint).inv(initial.detach()).clone())


class _PairObjective(Objective):
    """Pyro's TraceEnum_ELBO of a pair on fixed arguments; there are no rows to take."""

    def __init__(
        self,
        model: _Program,
        guide: _Program,
        particles: int,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ):
        super().__init__(model, guide, None, particles)
        self.args, self.kwargs = args, kwargs
        self.bound = TraceEnum_ELBO(num_particles=particles, strict_enumeration_warning=False)

    def climbed(self, batch: Any, scale: float) -> tuple[Tensor, Tensor]:
        if self.bound.max_plate_nesting == math.inf:
            q = poutine.trace(self.guide).get_trace(*self.args, **self.kwargs)
            p = poutine.trace(poutine.replay(self.p, q)).get_trace(*self.args, **self.kwargs)
            self.bound.max_plate_nesting = max(plate_depth(q), plate_depth(p))
        pairs = self.bound._get_traces(self.p, self.guide, self.args, self.kwargs)
        value = torch.as_tensor(sum(_elbo(p, q) for p, q in pairs)) / self.particles
        return value, value

    def check(self, batch: Any) -> None:
        """Run the programs once, validated; find the parameters that the bound depends on."""
        with pyro.validation_enabled(True):
            self.guide(*self.args, **self.kwargs)  # an automatic guide builds its parameters
            _, value = self.climbed(None, 1.0)
        self.choose_parameters(value)

    def _blame(self, batch: Any, index: Tensor) -> tuple[str, str]:
        q = poutine.trace(self.guide).get_trace(*self.args, **self.kwargs)
        p = poutine.trace(poutine.replay(self.p, q)).get_trace(*self.args, **self.kwargs)
        for side, trace in (("p", p), ("q", q)):
            for name, site in variables(trace).items():
                bad = ~torch.isfinite(site["fn"].log_prob(site["value"]))
                if bool(bad.any()):
                    places = bad.nonzero().tolist() if bad.dim() else []
                    where = (
                        f" at {', '.join(map(str, places[:5]))}{', …' * (len(places) > 5)}" if places else ""
                    )
                    return name, f"log {side}({name} | …){where}"
        return "elbo", "the sum of all log densities"


def _elbo(p: poutine.Trace, q: poutine.Trace) -> Any:
    """The ELBO of one pair of traces, in nats.

    Where the guide draws by reparameterisation it is a plain sum of log densities; elsewhere Pyro's, whose
    score-function terms look at numbers, so that no graph can hold it.
    """
    drawn = variables(q).values()
    if any(enumerates(site) or not (site["fn"].has_rsample or delta(site)) for site in drawn):
        return _compute_dice_elbo(p, q)
    costs, factors, _, dims, scale = _compute_model_factors(p, q)
    terms = [term for each in costs.values() for term in each]
    if factors:
        for each in contract_tensor_tree(factors, dims).values():
            terms += [packed.scale_and_mask(term, scale=scale) for term in each]
    return sum(term.sum() for term in terms) - sum(site["packed"]["log_prob"].sum() for site in drawn)

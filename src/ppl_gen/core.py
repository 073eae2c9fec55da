"""The nouns: a probabilistic model is one joint distribution p and one guide q."""

import copy
import functools
import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from html import escape
from operator import attrgetter
from typing import Any, NamedTuple, Self

import pyro
import torch
from pyro import poutine
from pyro.distributions import Delta
from pyro.nn import PyroModule
from torch import Tensor
from torch.distributions import constraints

from ppl_gen import graph
from ppl_gen.errors import DataError, NotationError
from ppl_gen.isolation import seeded
from ppl_gen.missing import log_prob_seen
from ppl_gen.notation import Factorization

ROWS = "data"  # the plate of the rows
Program = Callable[..., Any]
Values = Mapping[str, Any]  # named values: data, inputs, and n, the number of rows


class ProbabilisticModel(PyroModule):
    """A joint distribution over named variables, paired with a guide.

    A subclass declares ``joint`` (the textbook line), ``approximation`` (the guide's line), ``__init__``,
    `model` and `guide`, in this order. Conjugate models add ``updated``, ``log_normalizer``, ``marginal``
    (the line of one row with the parameters integrated out) and ``predictive`` (that line's program; the
    parameters in its signature may also be given, and are then not integrated out).
    A model whose rows' codes have a closed form declares ``inverse``, the joint with its factors the other
    way round, and ``inverted``, that line's program; ``maximized(**rows)`` are its best parameters. A model
    that keeps its rows adds ``cross_validated(**rows)`` and ``before(prior)``; ``grows`` names the buffers
    whose last dimension follows the rows.
    ``potentials``, such as "energy(x)", names the terms of pyro.factor (logarithms) of a joint that is known
    only up to a constant, with the variables that each looks at. A variable that has no density, as x of a
    GAN, is drawn by pyro.deterministic.
    ``svi`` holds the settings of `SVI` that suit the model; ``initialize(**data)`` starts the guide.
    """

    joint: str = ""
    approximation: str = ""
    potentials: str = ""
    marginal: str = ""
    grows: tuple[str, ...] = ()
    inverse: str = ""
    svi: Mapping[str, Any] = {}
    reads_gaps: bool = False  # whether the guide takes NaN for a missing cell, in the place of a legal value
    instead: str = ""  # where to turn with what this joint cannot answer

    def __new__(cls, *args: Any, **kwargs: Any) -> "ProbabilisticModel":
        self: ProbabilisticModel = super().__new__(cls)
        if args or kwargs:  # a bare __new__ is deepcopy's
            bound = inspect.signature(cls.__init__).bind_partial(self, *args, **kwargs).arguments
            own = dict(list(bound.items())[1:])
            self.__dict__["configuration"] = own | own.pop("kwargs", {})
        return self

    def model(self, *args: Any, **given: Any) -> Any:
        """Sample every variable of the joint. The arguments are what the joint is given."""
        raise NotImplementedError(f"{type(self).__name__} does not write its joint: define model()")

    def guide(self, *args: Any, **given: Any) -> Any:
        """Sample the latent variables. The arguments are what q is given."""

    def initialize(self, *args: Any, **data: Any) -> None:
        """Start the guide near the data, before the first step of SVI. Nothing by default."""

    def auxiliary(self, *args: Any, **data: Any) -> Tensor | None:
        """What SVI climbs beside the ELBO, in nats, of these rows: no part of the bound. None by default."""
        return None

    def given_shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of one row of an input that the joint is given; None if only data can tell."""
        features = getattr(self, "features", None)
        return (features,) if isinstance(features, int) else None

    def given_levels(self, name: str) -> int:
        """How many class codes an input that the joint is given may be; 0 if it is no class."""
        return 0

    @property
    def estimates(self) -> Mapping[str, str]:
        """What a variable's factor holds fixed at an estimate, in words; answers quote it."""
        return {}

    @property
    def configuration(self) -> dict[str, Any]:
        """The arguments that this model was made with."""
        return dict(self.__dict__.get("configuration", {}))

    def __str__(self) -> str:
        terms = " + ".join(re.findall(r"\w+\s*\([^()]*\)", self.potentials))
        return f"{self.joint} exp({terms}) / Z" if terms else self.joint

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={_short(value)}" for name, value in self.configuration.items())
        lines = [f"{type(self).__name__}({settings})", f"  joint  {self}"]
        return "\n".join(lines + ([f"  guide  {self.approximation}"] if self.approximation else []))

    def _repr_html_(self) -> str:
        try:
            lines = f"$${graph.latex(self.joint)}$$"
            if self.approximation:
                lines += f"<div style='opacity:.7'>$${graph.latex(self.approximation)}$$</div>"
            return f"<b>{type(self).__name__}</b>{lines}{self.drawn()}"
        except NotationError as error:
            return f"<pre>{escape(repr(self))}\n\n{escape(str(error))}</pre>"

    def drawn(self, observed: Iterable[str] = ()) -> str:
        """The directed graph with its plates, as an SVG string; ``observed`` variables are shaded."""
        line = Factorization(self.joint)
        return graph.draw(
            line,
            plates=plates(self),
            observed=tuple(observed),
            given=sorted(line.given),
            title=type(self).__name__,
        )


def initialize(p: ProbabilisticModel, data: Mapping[str, Any]) -> None:
    """Start the guide of ``p``, if the data hold what its ``initialize`` looks at."""
    wanted = inspect.signature(p.initialize).parameters.values()
    if all(
        w.name in data or w.default is not w.empty or w.kind in (w.VAR_KEYWORD, w.VAR_POSITIONAL)
        for w in wanted
    ):
        p.initialize(**arguments(p.initialize, data))


class Conjugate(ProbabilisticModel):
    """A model whose posterior is of the same families as its prior.

    ``families`` gives every family a name: its class, and the buffers that hold its hyperparameters, with
    dots where they lie in a part of the model. A subclass adds ``updated(**rows)``, Bayes' rule, by `family`
    and `having`; and for `MaximumLikelihood` ``point(smoothing=…)``, the parameters that a `flat` prior's
    update makes most likely.
    """

    families: Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]] = {}
    scaled: Mapping[str, tuple[str, ...]] = {}  # variable -> families with a prior of its location and scale
    hidden: str = ""  # the variable of a row that data rarely bring, if there is one
    exchangeable: bool = True  # whether its values may change names: the prior is alike for all

    def family(self, name: str) -> Any:
        """The family with its hyperparameters as they are."""
        made, buffers = self.families[name]
        return made(*(attrgetter(buffer)(self) for buffer in buffers))

    def having(self, **families: Iterable[Tensor]) -> Self:
        """The same model with other hyperparameters; what they leave alone the two share."""
        after = copy.deepcopy(self, {id(v): v for v in (*self.parameters(), *self.buffers())})
        for name, values in families.items():
            for buffer, value in zip(self.families[name][1], values, strict=True):
                owner, _, own = buffer.rpartition(".")
                setattr(after.get_submodule(owner), own, value)
        return after

    def completed(self, values: Mapping[str, Tensor], **rows: Tensor) -> tuple[Self, Tensor]:
        """``updated(**rows)`` for EM and variational Bayes, which know parameters of the rows.

        Missing cells are left out if they are independent given the class; a model whose cells are not
        expects them at these ``values`` of the parameters, of which there are none yet at the start.

        Returns:
            The same model with other hyperparameters, and the missing cells' expected entropy in nats.
        """
        after: Self = self.updated(**rows)
        return after, torch.zeros((), dtype=torch.float64)

    def mode(self) -> dict[str, Tensor]:
        """The parameters at the peak of their density, by name."""
        return self.named(self.family(name).mode() for name in self.families)

    def expected(self) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The parameters at which log p(row | class) is the expected one less a constant, and the constants.

        One of them for each family: of each class (classes,), or of each cell (classes, features).
        """
        values, constants = zip(*(self.family(name).expected() for name in self.families), strict=True)
        return self.named(values), list(constants)

    def named(self, values: Iterable[tuple[Tensor, ...]]) -> dict[str, Tensor]:
        """The ``values`` of one family after the other, by the parameters' names in the joint's order."""
        rows = Factorization(self.marginal)
        names = [name for name in Factorization(self.joint) if name not in rows]
        return dict(zip(names, itertools.chain(*values), strict=True))

    def log_normalizer(self) -> Tensor:
        """log Z of the prior, in nats: after an update minus before it is the log evidence."""
        return torch.stack([self.family(name).log_normalizer() for name in self.families]).sum()

    def flat(self) -> Self:
        """The limit of a prior worth no rows."""
        return self.having(**{name: self.family(name).flat() for name in self.families})

    def merged(self, other: Self, prior: Self) -> Self:
        """The posterior given the rows of this one and of the ``other``, both updates of one ``prior``."""
        of = {name: [p.family(name) for p in (self, other, prior)] for name in self.families}
        return self.having(
            **{name: mine.merged(theirs, before) for name, (mine, theirs, before) in of.items()}
        )


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"tensor{tuple(value.shape)}" if value.numel() > 4 else str(value.tolist())
    if isinstance(value, torch.nn.Module):
        return f"{type(value).__name__}(…)"
    return repr(value)


class Site(NamedTuple):
    """What one run of a program tells about a variable."""

    local: bool  # one value for each row
    event_dim: int
    event_shape: torch.Size  # of one row's value if local, else of the whole value
    support: Any
    values: Tensor | None  # all values of a finite scalar variable
    drawn_only: bool  # deterministic given its parents: no density
    plates: tuple[str, ...]
    observed: bool = False  # by the program itself

    @property
    def levels(self) -> int:
        """The number of values of a finite scalar variable, else 0."""
        return 0 if self.values is None else len(self.values)


def arguments(program: Program, values: Values) -> dict[str, Any]:
    """The ``values`` that the signature of ``program`` names. A bare ``**given`` takes them all."""
    signature = inspect.signature(program.forward if isinstance(program, torch.nn.Module) else program)
    parameters = signature.parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(values)
    missing = [p.name for p in parameters if p.name not in values and p.default is p.empty]
    if missing:
        raise DataError(
            f"{getattr(program, '__qualname__', 'the program')} needs {', '.join(map(repr, missing))}; "
            f"got {', '.join(sorted(values)) or 'nothing'}"
        )
    return {p.name: values[p.name] for p in parameters if p.name in values}


def run(program: Program, values: Values, clamped: Values | None = None) -> poutine.Trace:
    """Trace ``program`` on the ``values`` that its signature names, with the ``clamped`` variables fixed."""
    own_parameters(getattr(program, "__self__", program))
    conditioned = pyro.condition(program, dict(clamped)) if clamped else program
    return poutine.trace(conditioned).get_trace(**arguments(program, values))


def own_parameters(owner: Any) -> None:
    """Let the PyroModules inside ``owner`` keep their parameters, also those made before `isolated` ran.

    Pyro gives a module the place for them when it is made, and only where its setting is on at that time.
    A module may lie under Pyro's handlers.
    """
    if isinstance(owner, functools.partial):
        for inner in (owner.func, *owner.args):
            own_parameters(getattr(inner, "__self__", inner))
    if isinstance(owner, torch.nn.Module) and "_own_parameters" not in owner.__dict__:
        for module in owner.modules():
            if isinstance(module, PyroModule) and not hasattr(module._pyro_context, "param_state"):
                module._pyro_context.param_state = {"params": {}, "constraints": {}}
        owner.__dict__["_own_parameters"] = True


def is_local(site: Mapping[str, Any]) -> bool:
    """Whether a traced site has one value for each row, that is, lies in the plate "data"."""
    return any(frame.name == ROWS for frame in site["cond_indep_stack"])


def variables(trace: poutine.Trace) -> dict[str, dict[str, Any]]:
    """The sample sites of a trace without Pyro's own bookkeeping (plate subsamples)."""
    return {
        name: site
        for name, site in trace.nodes.items()
        if site["type"] == "sample" and type(site["fn"]).__name__ != "_Subsample"
    }


def sites(program: Program, values: Values, clamped: Values | None = None) -> dict[str, Site]:
    """Run ``program`` once and describe its variables."""
    return {name: _site(node) for name, node in variables(run(program, values, clamped)).items()}


def _site(node: Mapping[str, Any]) -> Site:
    fn, local = node["fn"], is_local(node)
    frames = [f for f in node["cond_indep_stack"] if f.vectorized]
    shape = list(fn.batch_shape)
    for frame in frames:
        if frame.name == ROWS and -frame.dim <= len(shape):
            del shape[frame.dim]
    fixed = bool(node["infer"].get("_deterministic")) or isinstance(fn, Delta)
    finite = fn.has_enumerate_support and fn.event_dim == 0
    values = fn.enumerate_support(expand=False).flatten() if finite else None
    return Site(
        local,
        fn.event_dim,
        torch.Size([*shape, *fn.event_shape]),
        _rowless(fn.support),
        values,
        fixed,
        tuple(frame.name for frame in frames),
        bool(node["is_observed"]) and not fixed,
    )


def _rowless(support: Any) -> Any:
    """A support whose bounds are one number, where they repeat it for every cell of the run at hand."""
    if isinstance(support, constraints.independent):
        return constraints.independent(_rowless(support.base_constraint), support.reinterpreted_batch_ndims)
    if isinstance(support, constraints.integer_interval | constraints.interval):
        low, high = torch.as_tensor(support.lower_bound), torch.as_tensor(support.upper_bound)
        if bool((low == low.min()).all()) and bool((high == high.max()).all()):
            return type(support)(low.min(), high.max())
    return support


def plates(p: ProbabilisticModel) -> dict[str, tuple[str, ...]]:
    """Plate -> the variables in it, from one run; empty if the model needs inputs that nobody gave."""
    line = Factorization(p.joint)
    example: dict[str, Any] = {"n": 2}
    for name in line.given:
        if (shape := p.given_shape(name)) is None:
            return {}
        example[name] = torch.zeros(2, *shape, dtype=dtype_of(p))
    try:
        with seeded(), torch.no_grad():
            found = sites(p.model, example)
    except NotImplementedError:  # an improper variable, which cannot be drawn
        return {}
    inside: dict[str, tuple[str, ...]] = {}
    for name, site in found.items():
        if name not in line:  # a potential
            continue
        for plate in site.plates:
            inside[plate] = (*inside.get(plate, ()), name)
    if ROWS in inside:
        inside[ROWS] += tuple(sorted(line.given))
    return inside


def dtype_of(p: torch.nn.Module) -> torch.dtype:
    """The floating-point type of a model's parameters and buffers."""
    for tensor in (*p.parameters(), *p.buffers()):
        if tensor.is_floating_point():
            return tensor.dtype
    return torch.get_default_dtype()


def score(fn: Any, value: Tensor, seen: Tensor | None = None) -> Tensor:
    """The log density of ``value`` under ``fn``, over the ``seen`` cells alone if some are missing.

    Exact for densities that factorise over their cells (``.to_event``), where a missing cell sums out to
    one, for those that bring a ``log_prob_of_seen``, and for those whose marginals `log_prob_seen` knows.
    """
    if seen is None:
        return fn.log_prob(value)
    base, cells = fn, 0
    while isinstance(base, torch.distributions.Independent):
        cells += base.reinterpreted_batch_ndims
        base = base.base_dist
    if base.event_dim and hasattr(base, "log_prob_of_seen"):
        return base.log_prob_of_seen(value, seen)
    if base.event_dim:
        return log_prob_seen(base, value, seen)
    scores = torch.where(seen, base.log_prob(value), 0.0)
    return scores.sum(tuple(range(-cells, 0))) if cells else scores


def bare(fn: Any) -> Any:
    """The distribution of one cell, below every ``.to_event``."""
    while isinstance(fn, torch.distributions.Independent):
        fn = fn.base_dist
    return fn


def mean_of(fn: Any) -> Tensor | None:
    """The mean of a distribution, category codes read as numbers; None where it has no closed form."""
    base = bare(fn)
    if isinstance(base, torch.distributions.Categorical):
        probs: Tensor = base.probs
        return probs @ torch.arange(probs.shape[-1], dtype=probs.dtype)
    try:
        mean: Tensor = fn.mean
        return mean
    except NotImplementedError:
        return None

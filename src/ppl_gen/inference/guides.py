"""Guides that SVI makes: Pyro's automatic families, and plain functions with their parameters."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.distributions import Delta
from pyro.distributions.transforms import AffineAutoregressive, AffineTransform, affine_autoregressive
from pyro.infer import autoguide
from pyro.nn import PyroModule
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn
from torch.distributions import transform_to

from ppl_gen.core import ProbabilisticModel, Program, Values, arguments, dtype_of, run, variables
from ppl_gen.errors import DataError


class _Autoregressive(AffineAutoregressive):
    """Pyro's layer, inverted in the type of its numbers."""

    def _inverse(self, y: Tensor) -> Tensor:
        x = torch.zeros_like(y)
        for _ in range(y.shape[-1]):  # each pass settles one more dimension
            mean, log_scale = self.arn(x)
            log_scale = log_scale.clamp(self.log_scale_min_clip, self.log_scale_max_clip)
            x = (y - mean) * (-log_scale).exp()
        self._cached_log_scale = log_scale
        return x


class _OneVector(autoguide.AutoContinuous):
    """All latents as one vector that starts where the mean-field guide does: Pyro's start at random draws."""

    def __init__(
        self, model: Callable[..., Any], init_loc_fn: Any = autoguide.initialization.init_to_feasible
    ):
        super().__init__(model, init_loc_fn=init_loc_fn)

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        super()._setup_prototype(*args, **kwargs)
        self.loc = nn.Parameter(self._init_loc())
        self.log_scale = nn.Parameter(torch.full_like(self.loc, -2.3))


class AutoFullRank(_OneVector):
    """A Gaussian with every covariance, as a chain of regressions: each latent on those before it.

    ``z = loc + unit w``, ``w_i = sum_{j < i} B_ij w_j + s_i eps_i``: the precision of w is
    ``(I - B)ᵀ diag(s)⁻² (I - B)``, which is sparse where latents are independent given others (Tan and Nott
    2018, Gaussian variational approximation with sparse precision matrices), and a climb finds it in fewer
    steps than the covariance's own factor. A guide that was `place`d has the sds of that Normal as units.
    """

    unit: Tensor

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        super()._setup_prototype(*args, **kwargs)
        self.slopes = nn.Parameter(self.loc.new_zeros(self.latent_dim, self.latent_dim))  # below the diagonal
        self.register_buffer("unit", torch.ones_like(self.loc))

    def place(self, loc: Tensor, scale_tril: Tensor) -> None:
        """Become the Normal of this mean (d,) and factor of the covariance (d, d)."""
        self.unit = scale_tril.square().sum(1).sqrt()
        factor = scale_tril / self.unit[:, None]
        scale = factor.diagonal()
        self.loc, self.log_scale = nn.Parameter(loc), nn.Parameter(scale.log())
        self.slopes = nn.Parameter(-(scale[:, None] * torch.linalg.inv(factor)).tril(-1))

    def get_posterior(self, *args: Any, **kwargs: Any) -> Any:
        """The distribution of all latents as one vector."""
        rest = torch.eye(self.latent_dim, dtype=self.loc.dtype, device=self.loc.device)
        rest = rest - self.slopes.tril(-1)
        factor = torch.linalg.solve_triangular(rest, self.log_scale.exp().diag(), upper=False)
        return pyro.distributions.MultivariateNormal(self.loc, scale_tril=self.unit[:, None] * factor)


class AutoFlow(_OneVector):
    """A Gaussian, bent by two inverse autoregressive layers (Kingma et al. 2016), then scaled and moved."""

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        super()._setup_prototype(*args, **kwargs)
        deep = 2 if self.latent_dim > 1 else 0
        layers = [_Autoregressive(affine_autoregressive(self.latent_dim).arn) for _ in range(deep)]
        for layer in layers:  # each starts as the identity
            nn.init.zeros_(layer.arn.layers[-1].weight)
            nn.init.zeros_(layer.arn.layers[-1].bias)
        self.layers = nn.ModuleList(layers).to(self.loc)

    def get_posterior(self, *args: Any, **kwargs: Any) -> Any:
        """The distribution of all latents as one vector."""
        last = AffineTransform(self.loc, self.log_scale.exp(), event_dim=1, cache_size=1)
        base = pyro.distributions.Normal(torch.zeros_like(self.loc), 1.0).to_event(1)
        return pyro.distributions.TransformedDistribution(base, [*self.layers, last])


FAMILIES: dict[str, Callable[..., Any]] = {
    "mean_field": autoguide.AutoNormal,
    "full_rank": AutoFullRank,
    "flow": AutoFlow,
}


def in_pyro(advice: str) -> str:
    """Advice for a bare Pyro program: what the names of this library's guides and NUTS stand for.

    >>> in_pyro('guide="full_rank" or guide="flow", or NUTS()')
    'pyro.infer.autoguide.AutoMultivariateNormal(model) or AutoIAFNormal(model), or pyro.infer.NUTS(model)'
    """
    theirs = {
        "mean_field": "AutoNormal",
        "full_rank": "AutoMultivariateNormal",
        "flow": "AutoIAFNormal",
    }
    for name, guide in theirs.items():
        for mark in "'\"":
            advice = advice.replace(f"guide={mark}{name}{mark}", f"{guide}(model)")
    first = min((advice.find(guide) for guide in theirs.values() if guide in advice), default=-1)
    if first >= 0:
        advice = f"{advice[:first]}pyro.infer.autoguide.{advice[first:]}"
    return advice.replace("NUTS()", "pyro.infer.NUTS(model)")


def make_guide(choice: Any, p: ProbabilisticModel, values: Values, observed: Mapping[str, Tensor]) -> Any:
    """The guide that the user chose.

    None is the model's own guide (or "mean_field" if it has none); a name is a family of FAMILIES; an
    AutoGuide class, or a partial of one, is built over the model's latents; a module or a function is
    the guide itself.
    """
    if choice is None:
        latent = variables(run(p.model, values, observed)).keys() - observed.keys()
        if type(p).guide is not ProbabilisticModel.guide or not latent:
            return p.guide
        choice = "mean_field"
    if isinstance(choice, str):
        if choice not in FAMILIES:
            raise DataError(f"guide: expected None, {', '.join(FAMILIES)} or a guide, got {choice!r}")
        choice = FAMILIES[choice]
    wrapped = getattr(choice, "func", choice)
    if isinstance(wrapped, type) and issubclass(wrapped, autoguide.AutoGuide):
        return Automatic(choice, p, values, observed)
    if isinstance(choice, autoguide.AutoGuide):
        raise DataError(
            f"guide: pass the class, guide={type(choice).__name__} (or functools.partial of it for its "
            f"options), not an instance: ppl-gen builds it over the latents once the data are known"
        )
    if isinstance(choice, nn.Module):
        return choice
    if callable(choice):
        return WithParameters(choice)
    raise DataError(f"guide: expected a guide, a family's name or None, got {type(choice).__name__}")


def correlated(guide: Any) -> bool:
    """Whether this is an AutoGuide that knows correlations, here or in a bare fit."""
    inner = getattr(guide, "auto", getattr(guide, "program", guide))
    return isinstance(inner, autoguide.AutoContinuous) and not isinstance(inner, autoguide.AutoDiagonalNormal)


def richer(guide: Any) -> str:
    """The families that know more than this guide does, as an option of SVI; empty if there is none."""
    inner = getattr(guide, "auto", getattr(guide, "program", guide))
    if isinstance(inner, AutoFlow | autoguide.AutoIAFNormal | autoguide.AutoNormalizingFlow):
        return ""
    return 'guide="flow"' if correlated(guide) else 'guide="full_rank" or guide="flow"'


class Automatic(PyroModule):
    """An AutoGuide over the latents that are neither observed nor summed out."""

    def __init__(
        self,
        family: Callable[..., Any],
        p: ProbabilisticModel,
        values: Values,
        observed: Mapping[str, Tensor],
    ):
        super().__init__()
        self.family = family
        given = arguments(p.model, values)
        summed = [
            name
            for name, site in variables(run(p.model, values, observed)).items()
            if name not in observed and site["fn"].has_enumerate_support
        ]

        def latents(**given: Any) -> Any:
            with poutine.block(hide=summed), pyro.condition(data=dict(observed)):
                return p.model(**given)

        starts = {}
        if type(p).guide is not ProbabilisticModel.guide:
            for name, site in variables(run(p.guide, values)).items():
                try:
                    starts[name] = site["fn"].mean.detach()
                except NotImplementedError:
                    starts[name] = site["value"].detach()
        taken = inspect.signature(getattr(family, "func", family)).parameters.get("init_loc_fn")
        takes_start = taken is not None and taken.default not in (None, taken.empty)
        start = autoguide.initialization.init_to_value(values=starts)
        options = {"init_loc_fn": start} if starts and takes_start else {}
        self.names = tuple(given)
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype_of(p))  # a flow's networks are made in it
        try:
            self.auto = family(latents, **options)
            with torch.no_grad():  # what it remembers of this run is copied with it, and a graph cannot be
                self.auto(**given)  # builds its parameters
        finally:
            torch.set_default_dtype(before)
        self.factorised = isinstance(self.auto, autoguide.AutoNormal)  # its latents are independent
        self.auto._model = (None,)  # it has served: do not keep the data alive or copy it

    def forward(self, **values: Any) -> Any:
        """Sample the latents. ``values`` are the arguments of the model."""
        return self.auto(**{name: values[name] for name in self.names})


class Point(nn.Module):
    """A guide that knows one value of every parameter, and the counted rows that it stands for."""

    factorised = True
    what = "a point of maximum likelihood"

    def __init__(self, counted: ProbabilisticModel, values: Mapping[str, Tensor]):
        super().__init__()
        self.counted = counted
        self.names = tuple(values)
        for name, value in values.items():
            self.register_buffer(f"at_{name}", value)

    @property
    def values(self) -> dict[str, Tensor]:
        """The point, by name."""
        return {name: getattr(self, f"at_{name}") for name in self.names}

    def forward(self) -> None:
        """Draw the point."""
        for name, value in self.values.items():
            pyro.sample(name, Delta(value, event_dim=value.dim()))


class Mode(Point):
    """The point where the posterior density peaks; no rows are counted."""

    what = "the mode, a point"
    steps = 0  # that led there


class WithParameters(nn.Module):
    """A guide program that declares its parameters by pyro.param; they live here, not in Pyro's store."""

    def __init__(self, program: Program):
        super().__init__()
        self.program = program
        self.free = nn.ParameterDict()
        self.constraints: dict[str, Any] = {}

    def forward(self, **values: Any) -> Any:
        """Run the program on the arguments that its signature names."""
        with _OwnParameters(self):
            return self.program(**arguments(self.program, values))


class _OwnParameters(Messenger):
    def __init__(self, owner: WithParameters):
        super().__init__()
        self.owner = owner

    def _pyro_param(self, msg: dict[str, Any]) -> None:
        if msg["fn"] != pyro.get_param_store().get_param:
            return
        name, key = msg["name"], msg["name"].replace(".", "·")
        if key not in self.owner.free:
            if len(msg["args"]) < 2:
                raise DataError(f"guide: pyro.param({name!r}) has no initial value")
            initial = msg["args"][1]() if callable(msg["args"][1]) else msg["args"][1]
            constraint = msg["kwargs"].get("constraint", torch.distributions.constraints.real)
            self.owner.constraints[key] = constraint
            self.owner.free[key] = nn.Parameter(transform_to(constraint).inv(initial.detach()).clone())
        msg["value"] = transform_to(self.owner.constraints[key])(self.owner.free[key])
        msg["done"] = msg["stop"] = True


def point(values: Mapping[str, Tensor]) -> Program:
    """A guide that knows one value of every latent."""

    def program() -> None:
        for name, value in values.items():
            pyro.sample(name, Delta(value, event_dim=value.dim()))

    return program

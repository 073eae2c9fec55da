"""Guides that SVI makes: Pyro's automatic families, and plain functions with their parameters."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.distributions import Delta
from pyro.infer import autoguide
from pyro.nn import PyroModule
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn
from torch.distributions import transform_to

from ppl_gen.core import ProbabilisticModel, Program, Values, arguments, run, variables
from ppl_gen.errors import DataError

FAMILIES: dict[str, Callable[..., Any]] = {
    "mean_field": autoguide.AutoNormal,
    "full_rank": autoguide.AutoMultivariateNormal,
}


def make_guide(choice: Any, p: ProbabilisticModel, values: Values, observed: Mapping[str, Tensor]) -> Any:
    """The guide that the user chose.

    None is the model's own guide (or "mean_field" if it has none); a name is a family of FAMILIES; an
    AutoGuide class, or a partial of one, is built over the model's latents; a module or a function is
    the guide itself.
    """
    if choice is None:
        if type(p).guide is not ProbabilisticModel.guide:
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
        self.auto = family(latents, **options)
        self.names = tuple(given)
        self.factorised = isinstance(self.auto, autoguide.AutoNormal)  # its latents are independent
        with torch.no_grad():  # what it remembers of this run is copied with it, and a graph cannot be
            self.auto(**given)  # builds its parameters
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

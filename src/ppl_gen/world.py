"""Reading a question: which program answers it, by which line, and what that line must be given."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyro
import torch

from ppl_gen.arrays import as_tensor
from ppl_gen.checks import did_you_mean
from ppl_gen.core import ProbabilisticModel, Program, Site, dtype_of, sites
from ppl_gen.errors import DataError, NoDensity, NotGenerated, Unanswerable, UnknownVariable
from ppl_gen.inference.guides import Mode
from ppl_gen.inputs import describe
from ppl_gen.notation import Factor, Factorization
from ppl_gen.posterior import Posterior
from ppl_gen.unscored import up_to_a_constant


@dataclass(frozen=True)
class World:
    """A program and its line: the model's, its marginal's, or its guide's."""

    p: ProbabilisticModel
    program: Program
    line: Factorization
    joint: str
    example: Mapping[str, Any]  # two rows of inputs to run the program on
    sites: Mapping[str, Site]
    who: str = "prior"  # whose draws are averaged
    posterior: Posterior | None = None  # draws the parameters, if the program itself does not
    coupled: tuple[frozenset[str], ...] = ()  # parameters that the posterior makes depend on one another
    gaps: bool = False  # the program takes NaN for a cell that is missing

    @property
    def inverse(self) -> "World | None":
        """The same joint with its factors the other way round, where the model declares that."""
        if not self.p.inverse or self.program != self.p.model:
            return None
        line = Factorization("")
        line.line = self.p.inverse
        for name, parents in Factorization(self.p.inverse).items():
            if name in self.line:
                line[name] = parents & (self.line.keys() | self.line.given)
        program: Any = self.p
        return replace(self, program=program.inverted, line=line, joint=self.p.inverse, gaps=True)

    @property
    def drawn(self) -> frozenset[str]:
        """Variables that the posterior draws, in place of the program."""
        return frozenset().union(*self.coupled)

    @property
    def plates(self) -> int:
        """Batch dimensions that plates take; summed variables lie left of them."""
        return max(1, *(len(site.plates) for site in self.sites.values()))


def world_of(of: ProbabilisticModel | Posterior, asked: Factor, values: Mapping[str, Any]) -> World:
    """The program, and its line, that answers ``asked`` of a model or posterior.

    Raises:
        UnknownVariable, NotGenerated, NoSampler, NoDensity, Unanswerable: the question has no answer here.
    """
    posterior = of if isinstance(of, Posterior) else None
    p = posterior.model if posterior else of
    assert isinstance(p, ProbabilisticModel)
    line = Factorization(p.joint)
    names = asked.left + asked.right
    for name in names:
        if name not in line and name not in line.given:
            raise UnknownVariable(
                f"{name!r} is not a variable of {type(p).__name__}: {p.joint}. "
                f"Its variables are {', '.join([*line, *sorted(line.given)])}."
                f"{did_you_mean(name, [*line, *line.given])}"
            )
    leaves = ", ".join(v for v in line if not any(v in parents for parents in line.values()))
    can = f"p({leaves} | {', '.join(sorted(line.given))})" if line.given else f"p({leaves})"
    for name in asked.left:
        if name in line.given:
            raise NotGenerated(
                f"{type(p).__name__} is {p.joint}: {name!r} is given, not generated. It can answer {can}."
            )
    needed = line.ancestors(set(names) & line.keys()) & line.given
    for name in sorted(needed - set(asked.right)):
        raise NotGenerated(
            f"{type(p).__name__} is {p.joint}: {name!r} is given, not generated, and "
            f"{', '.join(n for n in asked.left)} depends on it. Put it right of the bar: it can answer {can}."
            f"{' ' * bool(p.instead)}{p.instead}"
        )
    example = _example(p, line, posterior, values)
    found = describe(p, example)
    world = World(p, p.model, line, p.joint, example, found, "posterior" if posterior else "prior")
    if posterior is not None and posterior.point and not posterior.point.keys() & set(asked.left):
        return _at_point(world, posterior, asked)
    if posterior is not None and posterior.guide is not None:
        world = _under_guide(world, posterior, asked)
    marginal = Factorization(p.marginal)
    program: Any = getattr(p, "predictive", None)  # the parameters are integrated out in closed form,
    known = set(asked.right) & set(_parameters_of(program))  # less those that it takes as given
    if (
        marginal
        and set(names) <= marginal.keys() | marginal.given | known
        and getattr(posterior, "guide", None) is None
    ):
        marginal.update({name: parents | (line[name] & known) for name, parents in marginal.items()})
        kept = {name: site for name, site in found.items() if name in known}
        world = replace(
            world, program=program, line=marginal, sites=sites(program, {"n": 2, **example}) | kept
        )
    factors = [name for name, site in world.sites.items() if site.event_shape[-1:] == (0,)]  # pyro.factor
    if factors and world.program == p.model:
        raise up_to_a_constant(p, f"it multiplies in the factor {', '.join(map(repr, factors))}")
    return world


def _parameters_of(program: Any) -> set[str]:
    return set() if program is None else set(inspect.signature(program).parameters)


def _at_point(world: World, posterior: Posterior, asked: Factor) -> World:
    """The model with its parameters fixed, less those that are given with the question."""
    point = posterior.point
    fixed = {name: value for name, value in point.items() if name not in asked.right}
    line = Factorization("")
    line.line = world.joint
    line.update({v: parents - fixed.keys() for v, parents in world.line.items() if v not in point})
    who = "mode" if isinstance(posterior.guide, Mode) else world.who
    return replace(world, program=pyro.condition(world.program, data=fixed), line=line, who=who)


def _under_guide(world: World, posterior: Posterior, asked: Factor) -> World:
    parameters, names = set(posterior.parameters), {*asked.left, *asked.right}
    undrawn = sorted(parameters - sites(posterior.guide, posterior.zeros(2)).keys())
    if undrawn:
        raise Unanswerable(
            f"{', '.join(map(repr, undrawn))} is shared by all rows and was summed out of the fit, so what "
            f"the data say of it was not kept. Give the guide a factor q({undrawn[0]}) and fit again."
        )
    coupled, given = _coupled(world.p, posterior), parameters & set(asked.right)
    free = tuple(group for group in coupled if not group & given)
    if not parameters & set(asked.left) and given | frozenset().union(*free) == parameters:
        locals_only = Factorization("")
        locals_only.line = world.joint
        locals_only.update({v: parents for v, parents in world.line.items() if v not in parameters})
        return replace(world, line=locals_only, posterior=posterior, coupled=free)
    if not names <= parameters:
        line, known = world.line, frozenset(asked.right) | world.line.given
        factors = line.relevant(asked.left, known)
        if not parameters & {*asked.left, *factors.union(*(line[name] for name in factors)) - known}:
            return world  # all parameters that matter are given: nothing is left for the guide to say
        raise Unanswerable(
            f"{type(world.p).__name__} is {world.joint}. Its guide knows the parameters "
            f"{', '.join(sorted(parameters))}, and the rows only given them all: a question that mixes both "
            f"has no density here. Ask about one side, give every parameter, or ask the model instead."
        )
    found = sites(posterior.guide, {**world.example, "n": 2})
    own = getattr(posterior.guide, "__func__", None) is type(world.p).guide
    factorised = getattr(posterior.guide, "factorised", False)
    line = Factorization(world.p.approximation if own else "", "q")
    if not names <= line.keys():  # another guide: its program tells no more than the order
        order = [name for name in found if name in parameters]
        before = [[] if factorised else order[:place] for place in range(len(order))]
        bars = (f" | {', '.join(parents)}" if parents else "" for parents in before)
        line = Factorization(" ".join(f"q({name}{bar})" for name, bar in zip(order, bars, strict=True)), "q")
        if asked.right and not factorised and any(found[name].drawn_only for name in names):
            raise NoDensity(
                f"the guide of {type(world.p).__name__} draws {', '.join(order)} together, and none given "
                f"another. It can answer p({', '.join(sorted(names))})."
            )
    return replace(world, program=posterior.guide, line=line, sites=found, who="guide")


def _coupled(p: ProbabilisticModel, posterior: Posterior) -> tuple[frozenset[str], ...]:
    """Groups of parameters that are dependent under the posterior; all unless the guide tells more."""
    names = frozenset(posterior.parameters)
    if getattr(posterior.guide, "factorised", False):
        return tuple(frozenset({name}) for name in names)
    if getattr(posterior.guide, "__func__", None) is type(p).guide:
        groups = tuple(group & names for group in Factorization(p.approximation, "q").components())
        if frozenset().union(*groups) == names:
            return tuple(group for group in groups if group)
    return (names,) if names else ()


def _example(
    p: ProbabilisticModel, line: Factorization, posterior: Posterior | None, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Two rows of the inputs."""
    example = {}
    for name in line.given:
        floats = dtype_of(p)
        if posterior is not None:
            shape, floats = posterior.shapes[name][1:], posterior.dtypes.get(name, floats)
        elif (own := p.given_shape(name)) is not None:
            shape = own
        elif name in values:
            came = as_tensor(name, values[name], floats)
            shape, floats = tuple(came.shape[1:]), came.dtype  # whole numbers may be an index
        else:
            raise DataError(
                f"{name}: {type(p).__name__} has no attribute `features`, so pass {name}=… with rows first"
            )
        example[name] = torch.zeros(2, *shape, dtype=floats)
    return example

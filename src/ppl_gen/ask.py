"""The verb `ask`: any question that a joint can answer, and how the answer was obtained."""

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyro
import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ppl_gen.checks import whole
from ppl_gen.core import (
    ProbabilisticModel,
    Program,
    Site,
    arguments,
    dtype_of,
    is_local,
    mean_of,
    run,
    score,
    sites,
    variables,
)
from ppl_gen.errors import (
    DataError,
    NoDensity,
    NoSampler,
    NotGenerated,
    Unanswerable,
    UnknownVariable,
    Unreliable,
)
from ppl_gen.inference.evidence import log_mean_exp, log_mean_exp_error, pareto_k
from ppl_gen.inference.guides import Automatic
from ppl_gen.inputs import Data, admit, describe
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factor, Factorization, read_question
from ppl_gen.posterior import Posterior

CELLS = 1 << 22  # numbers held at once while scoring: memory stays constant however many rows are asked about


@dataclass(frozen=True)
class Importance:
    """Integrate what cannot be summed by averaging ``draws`` draws: of the posterior, the guide or the prior."""

    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        whole("draws", self.draws, least=2)


@dataclass(frozen=True)
class LowerBound(Importance):
    """The mean of log weights instead of the log of their mean: never above the truth (Jensen), no k-hat."""

    draws: int = 100


def ask(of: ProbabilisticModel | Posterior, question: str, method: Importance | None = None, /, **values: Any) -> "Answer":
    """Ask a joint a textbook question: "p(y | x)", "p(x, y)", "p(x)", "p(z | x)", "p(mu)".

    Asked of a model, its prior answers; asked of a posterior, the posterior predictive. The answer is a
    distribution that says how it was obtained. What stands right of the bar is passed by name; NaN cells
    there are not observed, and are summed out.

    Args:
        of: the model or posterior.
        question: one factor, as a textbook writes it.
        method: `Importance` (draws, seed) or `LowerBound`, for integrals without closed form.
        values: what is given, rows first; or one row, or one class, by itself.

    Raises:
        NotationError: the question cannot be read; says where.
        UnknownVariable, NotGenerated: the joint has no such variable, or is given it.
        DataError: a value does not fit.

    >>> from ppl_gen import ask, fit
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> posterior = fit(GaussianNaiveBayes(classes=2, features=1), x=[[0.], [1.], [5.]], y=[0, 0, 1])
    >>> answer = ask(posterior, "p(y | x)", x=[[0.5], [5.1]])
    >>> answer.mode, answer.how
    (tensor([0, 1]), 'enumerated')
    """
    if not isinstance(of, ProbabilisticModel | Posterior):
        raise DataError(f"ask: expected a ProbabilisticModel or a Posterior first, got {type(of).__name__}")
    asked = read_question(question)
    with isolated(0):
        return Answer(_world(of, asked, values), question, method or Importance(), values)


@dataclass(frozen=True)
class _World:
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

    @property
    def drawn(self) -> frozenset[str]:
        """Variables that the posterior draws, in place of the program."""
        return frozenset().union(*self.coupled)

    @property
    def plates(self) -> int:
        """Batch dimensions that plates take; summed variables lie left of them."""
        return max(1, *(len(site.plates) for site in self.sites.values()))


def _world(of: ProbabilisticModel | Posterior, asked: Factor, values: Mapping[str, Any]) -> _World:
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
        )
    example = _example(p, line, posterior, values)
    try:
        found = describe(p, example)
    except NotImplementedError as error:
        raise _unnormalised(p, str(error).splitlines()[0]) from error
    world = _World(p, p.model, line, p.joint, example, found, "posterior" if posterior else "prior")
    if posterior is not None and posterior.guide is not None:
        world = _under_guide(world, posterior, asked)
    marginal = Factorization(p.marginal)
    if world.who != "model" and world.program == p.model and marginal and set(names) <= marginal.keys():
        if world.posterior is None:  # the parameters are integrated out in closed form
            program = p.predictive  # type: ignore[operator]
            world = replace(world, program=program, line=marginal, sites=sites(program, {"n": 2}))
    factors = [name for name, site in world.sites.items() if site.event_shape[-1:] == (0,)]  # pyro.factor
    if factors and world.program == p.model:
        raise _unnormalised(p, f"it multiplies in the factor {', '.join(map(repr, factors))}")
    return world


def _unnormalised(p: ProbabilisticModel, why: str) -> NoSampler:
    return NoSampler(
        f"{type(p).__name__} is {p.joint}, known only up to a constant ({why}): it can be neither drawn nor "
        f"scored. Parameters can be asked for after a fit; rows need a joint of normalised factors."
    )


def _under_guide(world: _World, posterior: Posterior, asked: Factor) -> _World:
    parameters, names = set(posterior.parameters), {*asked.left, *asked.right}
    if not parameters & names:
        locals_only = Factorization("")
        locals_only.line = world.joint
        locals_only.update({v: parents for v, parents in world.line.items() if v not in parameters})
        return replace(world, line=locals_only, posterior=posterior, coupled=_coupled(world.p, posterior))
    if not names <= parameters:
        line, known = world.line, frozenset(asked.right) | world.line.given
        factors = line.relevant(asked.left, known)
        if not parameters & {*asked.left, *factors.union(*(line[name] for name in factors)) - known}:
            return world  # all parameters that matter are given: nothing is left for the guide to say
        raise Unanswerable(
            f"{type(world.p).__name__} is {world.joint}. Its guide knows the parameters "
            f"{', '.join(sorted(parameters))}, and the rows only given all of them: a question that mixes both "
            f"has no density here. Ask about one side, give every parameter, or ask the model instead."
        )
    found = sites(posterior.guide, {**world.example, "n": 2})
    own = getattr(posterior.guide, "__func__", None) is type(world.p).guide
    factorised = isinstance(posterior.guide, Automatic) and posterior.guide.factorised
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
    """Groups of parameters that are dependent under the posterior; all of them unless the guide tells more."""
    names = frozenset(posterior.parameters)
    if isinstance(posterior.guide, Automatic) and posterior.guide.factorised:
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
        if posterior is not None:
            shape = posterior.shapes[name][1:]
        elif isinstance(getattr(p, "features", None), int):
            shape = (p.features,)
        elif name in values:
            shape = tuple(as_tensor(name, values[name], dtype_of(p)).shape[1:])
        else:
            raise DataError(f"{name}: {type(p).__name__} has no attribute `features`, so pass {name}=… with rows first")
        example[name] = torch.zeros(2, *shape, dtype=dtype_of(p))
    return example


@dataclass(frozen=True)
class _Terms:
    """What to multiply (``factors``) and what is hidden, for one product of factors."""

    factors: frozenset[str]
    clamped: frozenset[str]
    summed: tuple[str, ...]  # hidden finite variables of a row, summed out
    proposed: tuple[str, ...]  # other hidden variables of a row, drawn
    shared: tuple[str, ...]  # hidden variables that rows share, drawn

    @property
    def exact(self) -> bool:
        return not self.proposed and not self.shared


class Answer:
    """The distribution that answers a question; made by `ask`.

    ``.sample(n)``, ``.log_prob(**values)``, ``.probs`` and ``.mode`` of a finite variable, ``.mean`` of a
    numerical one. ``.how`` and ``.standard_error`` tell of the numbers that it gave last.
    """

    def __init__(self, world: _World, question: str, method: Importance, values: Mapping[str, Any]):
        self.question, self.method = question, method
        self._world = world
        self._targets, given = read_question(question)
        for name in given:
            if name not in values:
                raise DataError(f"{name}: the question {question} is given {name}; pass {name}=…")
        for name in values:
            if name in self._targets:
                raise DataError(f"{name}: {question} asks about it; pass it to the answer: .log_prob({name}=…)")
            if name not in given:
                raise DataError(f"{name}: does not stand right of the bar in {question}; got a value for it")
        self._values = dict(values)
        self._given = self._admit({})
        self._joint = any(not world.sites[name].local for name in self._targets)  # all rows tell of it together
        self._has_rows = self._rowed(values)
        self._above, self._below = self._plan()
        self._how = self._method_name()
        if self._below is not None:
            self._refuse_undense(name for name in given if name in self._below.factors)
        self._error: Tensor | None = None

    # What the reader asks -------------------------------------------------------------------------------

    @property
    def how(self) -> str:
        """How the last numbers were obtained: exact, enumerated, an average, importance sampled, a bound."""
        return self._how

    @property
    def standard_error(self) -> Tensor | None:
        """Monte-Carlo standard error of the last numbers, in their shape; None if they are exact."""
        return self._error

    def log_prob(self, **values: Any) -> Tensor:
        """log p(targets | given) in nats, one number for each row.

        Args:
            values: a value for every variable left of the bar.

        Raises:
            NoDensity: the model only draws this variable.
        """
        if set(values) != set(self._targets):
            raise DataError(
                f"{self.question}: expected a value for each of {', '.join(self._targets)}, "
                f"got {', '.join(values) or 'none'}"
            )
        with isolated(self.method.seed):
            self._refuse_undense(self._targets)
            both = self._admit(values)
            above, below = self._parameters(self._above), self._parameters(self._below)
            parts = [self._log_prob(part, above, below) for part in self._parts(both, self.method.draws)]
        value, error, k = (torch.cat(column) for column in zip(*parts, strict=True))
        self._finish(error, k)
        if not self._joint and (self._has_rows or self._rowed(values)):
            return value
        self._error = None if self._error is None else self._error[0]
        return value[0]

    @cached_property
    def probs(self) -> Tensor:
        """The probability of every value of a finite target: shape (n, levels), or (levels,) for one row."""
        name = self._finite_target()
        self._refuse_undense([name])
        self._refuse_bound()
        with isolated(self.method.seed):
            draws = self._parameters(self._above)
            parts = [self._probs(part, name, draws) for part in self._parts(self._rows(), self.method.draws)]
        value, error, k = (torch.cat(column) for column in zip(*parts, strict=True))
        if bool(torch.isnan(value).any()):
            row = torch.nonzero(torch.isnan(value).any(1))[0].item()
            raise DataError(f"{self.question}: row {row} has probability zero, or is too far away, under every {name}")
        self._finish(error, k, exact=self._above.exact)
        if self._has_rows and not self._joint:
            return value
        self._error = None if self._error is None else self._error[0]
        return value[0]

    @property
    def mode(self) -> Tensor:
        """The most probable value of a finite target, for each row."""
        return self.probs.argmax(-1)

    @cached_property
    def mean(self) -> Tensor:
        """The expectation of a numerical target, for each row."""
        (name,) = self._single_target()
        site = self._world.sites[name]
        if site.levels:
            raise Unanswerable(f"{name!r} is a class code, and codes have no mean: ask for .probs or .mode")
        self._refuse_bound()
        with isolated(self.method.seed):
            value, error = self._mean(name)
        self._error = error
        if site.local and not self._has_rows:
            self._error = None if error is None else error[0]
            return value[0]
        return value

    def sample(self, n: int | None = None, *, seed: int | None = None) -> Any:
        """Independent draws of the targets.

        Args:
            n: how many; the result has them as its first dimension. None gives one, without it.
            seed: None draws anew at every call.

        Returns:
            A tensor of shape (n, rows, *event) (no rows dimension if one row, or none, was given), or a
            dict of tensors if several variables stand left of the bar.
        """
        count = 1 if n is None else whole("n", n)
        with isolated(seed):
            drawn = self._sample(count, seed)
        for name, value in drawn.items():
            if self._world.sites[name].local and not self._has_rows:
                drawn[name] = value[:, 0]
            if n is None:
                drawn[name] = drawn[name][0]
        return drawn if len(self._targets) > 1 else drawn[self._targets[0]]

    def __repr__(self) -> str:
        return f"{self.question} of {type(self._world.p).__name__}, {self._how}"

    # Reading the question -------------------------------------------------------------------------------

    def _admit(self, values: Mapping[str, Any]) -> Data:
        """What is given and the targets' ``values`` side by side; one row goes with every row of the others."""
        world = self._world
        data = admit(world.p, {**self._values, **values}, missing=True, found=world.sites, example=world.example)
        for name in data.seen:
            if any(name in parents for parents in world.line.values()):
                raise DataError(
                    f"{name}: other variables depend on it, so its missing cells (NaN) cannot be summed out"
                )
        return data

    def _rowed(self, values: Mapping[str, Any]) -> bool:
        """Whether any value came with a dimension for rows."""
        for name, value in values.items():
            site = self._world.sites.get(name)
            if site is None or site.local:
                if _dims(value) > (self._world.example[name].dim() - 1 if site is None else site.event_dim):
                    return True
        return False

    def _rows(self) -> Data:
        return self._given if self._given.n else replace(self._given, n=1)

    def _single_target(self) -> tuple[str]:
        if len(self._targets) > 1:
            raise Unanswerable(f"{self.question} asks about several variables; ask about one, or use .log_prob")
        return (self._targets[0],)

    def _finite_target(self) -> str:
        (name,) = self._single_target()
        if not self._world.sites[name].levels:
            raise Unanswerable(
                f"{name!r} has no finite list of values: use .log_prob({name}=…), .sample(n) or .mean"
            )
        return name

    def _refuse_undense(self, names: Any) -> None:
        world = self._world
        for name in names:
            if world.sites[name].drawn_only:
                who = f"the guide of {type(world.p).__name__}" if world.who == "guide" else type(world.p).__name__
                raise NoDensity(
                    f"{who} is {world.line.line}: it draws {name!r}, but gives it no density. "
                    f"It can answer p({name}) by .sample(n)."
                )

    def _refuse_bound(self) -> None:
        if isinstance(self.method, LowerBound) and self._sampled:
            raise Unanswerable("LowerBound() bounds .log_prob alone: use Importance() for probabilities, means and draws")

    # Which factors, and how -----------------------------------------------------------------------------

    def _plan(self) -> tuple[_Terms, _Terms | None]:
        """The factors of p(targets, given) that matter, and those of p(given) that the former must be divided by."""
        line, targets = self._world.line, frozenset(self._targets)
        given = frozenset((*self._given.inputs, *self._given.observed))
        known = given | (line.given - self._world.drawn)
        factors = line.relevant(targets, known, self._world.coupled)
        below = factors & line.ancestors(given)
        whole_ = self._terms(factors, known | targets)
        return whole_, (self._terms(below, known) if below & given else None)

    def _terms(self, factors: frozenset[str], clamped: frozenset[str]) -> _Terms:
        world = self._world
        scope = frozenset().union(*({name} | world.line[name] for name in factors)) - clamped
        site = world.sites
        local = sorted(name for name in scope if name in site and site[name].local)
        return _Terms(
            factors, clamped,
            tuple(name for name in local if site[name].levels),
            tuple(name for name in local if not site[name].levels),
            tuple(sorted(scope - set(local))),
        )

    @staticmethod
    def _sampled(plan: tuple[_Terms, _Terms | None]) -> bool:
        return not all(terms is None or terms.exact for terms in plan)

    def _method_name(self, plan: tuple[_Terms, _Terms | None]) -> str:
        found = [terms for terms in plan if terms is not None]
        draws = f"{self.method.draws:,} draws"
        if self._sampled(plan):
            if isinstance(self.method, LowerBound):
                return "lower bound"
            if any(terms.proposed for terms in found):
                return f"importance sampled ({draws})"
            return f"{'posterior' if self._world.drawn else 'prior'} average ({draws})"
        if self._world.line.line.startswith("q"):
            return f"guide {self._world.line.line}"
        return "enumerated" if any(terms.summed for terms in found) else "exact"

    def _finish(self, error: Tensor, k: Tensor) -> None:
        """Put the figures of merit into `how`, and warn where they are bad."""
        plan = self._plan()
        self._how = self._method_name(plan)
        self._error = error if self._sampled(plan) else None
        k = k[~torch.isnan(k)]
        if not self._sampled(plan) or not len(k):
            return
        bad = int((k > 0.7).sum())
        if self._how.startswith("importance"):
            place = f"; above 0.7 on {bad:,} of {len(k):,} rows" if len(k) > 1 and bad else ""
            self._how = (
                f"importance sampled ({self.method.draws:,} draws, s.e. {error.median():.2g}, "
                f"k-hat {k.median():.2f}{place})"
            )
        if bad > 0.05 * len(k):
            warnings.warn(
                f"{self.question}, {self.method.draws:,} draws: k-hat exceeds 0.7 on {bad:,} of {len(k):,} rows, so "
                f"a few draws decide the average; the estimate is likely too low and its standard error too "
                f"small. Take more draws, Importance(draws=…), or a sure bound, LowerBound()",
                Unreliable, stacklevel=_levels_to_caller(),
            )

    def _row_cost(self, data: Data) -> int:
        plan = self._plan()
        cost = max(site.event_shape.numel() for site in self._world.sites.values())
        for name in {name for terms in plan if terms for name in terms.summed} | set(self._targets):
            cost *= max(self._world.sites[name].levels, 1)
        return cost * (self.method.draws if self._sampled(plan) else 1)

    # Numbers --------------------------------------------------------------------------------------------

    def _log_prob(self, data: Data) -> tuple[Tensor, Tensor, Tensor]:
        """log p, its standard error and k-hat, for each row of ``data``."""
        above, below = self._plan()
        draws = self._parameters(above, data)
        top = self._evaluate(above, data, draws)
        none = torch.full_like(top[0], torch.nan)
        if isinstance(self.method, LowerBound) and self._sampled((above, below)):
            if below is not None and not below.exact:
                raise Unanswerable(
                    f"{self.question} is a ratio of two integrals, and a ratio of bounds is no bound: use Importance()"
                )
            base = 0.0 if below is None else self._evaluate(below, self._given_part(data), draws)
            top = top - base
            return top.mean(0), top.std(0) / len(top) ** 0.5 if len(top) > 1 else none, none
        if below is None:
            value, error = log_mean_exp(top), log_mean_exp_error(top)
            return value, error, none if above.exact else pareto_k(top)
        known = self._given_part(data)
        shared = draws if above.shared == below.shared else self._parameters(below, known)
        base = self._evaluate(below, known, shared)
        value = log_mean_exp(top) - log_mean_exp(base)
        if len(top) == len(base) and shared is draws and not (above.proposed or below.proposed):
            error = log_mean_exp_error(top, base)
        else:
            error = (log_mean_exp_error(top) ** 2 + log_mean_exp_error(base) ** 2).sqrt()
        return value, error, none if below.exact and above.exact else pareto_k(top if below.exact else base)

    def _given_part(self, data: Data) -> Data:
        """The same rows without the targets' values."""
        return replace(data, observed={k: v for k, v in data.observed.items() if k not in self._targets})

    def _probs(
        self, data: Data, name: str, plan: tuple[_Terms, _Terms | None]
    ) -> tuple[Tensor, Tensor, Tensor]:
        above = plan[0]
        terms = replace(above, clamped=above.clamped - {name}, summed=(*above.summed, name))
        scores = self._evaluate(terms, data, self._parameters(above, data), keep=name)  # (draws, n, levels)
        weights = (scores - scores.amax((0, 2), keepdim=True)).exp()
        total = weights.sum(2, keepdim=True)
        probs = weights.mean(0) / total.mean(0)
        error = ((weights - probs * total) / total.mean(0)).square().mean(0).sqrt() / len(weights) ** 0.5
        if bool(torch.isnan(probs).any()):
            row = torch.nonzero(torch.isnan(probs).any(1))[0].item()
            raise DataError(f"{self.question}: row {row} has probability zero, or is too far away, under every {name}")
        return probs, error, pareto_k(scores.logsumexp(2))

    def _parameters(self, terms: _Terms, data: Data) -> dict[str, Tensor] | None:
        """Draws of the variables that rows share, if the terms need them: name -> (draws, *shape)."""
        if not terms.shared:
            return None
        if self._world.posterior is not None:
            return self._world.posterior.draw(self.method.draws, self.method.seed)
        world = self._world
        clamped = {k: v for k, v in data.observed.items() if not world.sites[k].local and k in terms.clamped}
        runs = [variables(run(world.program, {**world.example, "n": 1}, clamped)) for _ in range(self.method.draws)]
        free = [name for name, site in world.sites.items() if not site.local and name not in clamped]
        return {name: torch.stack([nodes[name]["value"] for nodes in runs]) for name in free}

    def _evaluate(
        self, terms: _Terms, data: Data, draws: Mapping[str, Tensor] | None, keep: str | None = None
    ) -> Tensor:
        """log of the product of factors, hidden finite variables summed out: (draws, n), or (draws, n, levels)."""
        if draws is not None and not terms.proposed:
            def one(parameters: dict[str, Tensor]) -> Tensor:
                return self._score(terms, data, parameters, keep, quick=True)
            try:
                size = max(1, CELLS * self.method.draws // (self._row_cost(data) * data.n))
                return torch.vmap(one, chunk_size=size, randomness="different")(dict(draws))
            except (RuntimeError, IndexError):  # a program that cannot be vectorised: one draw after the other
                pass
        if draws is not None:
            count = len(next(iter(draws.values())))
            single = ({name: v[i] for name, v in draws.items()} for i in range(count))
            return torch.stack([self._score(terms, data, parameters, keep) for parameters in single])
        if not terms.proposed:
            return self._score(terms, data, {}, keep)[None]
        copies = torch.arange(data.n).repeat(self.method.draws)
        scores = self._score(terms, data.take(copies), {}, keep)
        return scores.unflatten(0, (self.method.draws, data.n))

    def _score(
        self, terms: _Terms, data: Data, parameters: Mapping[str, Tensor], keep: str | None, quick: bool = False
    ) -> Tensor:
        """One draw's log weight of every row."""
        proposals, log_q = self._propose(terms, data)
        clamped = {k: v for k, v in data.observed.items() if k in terms.clamped}
        trace = self._trace(terms, {**clamped, **parameters, **proposals}, data, quick)
        total: Any = torch.zeros(data.n, dtype=dtype_of(self._world.p)) - log_q
        for name in terms.factors:
            if name in clamped or name in proposals or name in terms.summed:  # others came from their own factor
                value = score(trace[name]["fn"], trace[name]["value"], data.seen.get(name))
                total = total + (value if is_local(trace[name]) else value.sum())
        for place, name in enumerate(terms.summed):
            if name != keep and total.dim() > self._world.plates + place:
                total = total.logsumexp(-1 - self._world.plates - place, keepdim=True)
        if keep is None:
            return total.reshape(data.n)
        return total.reshape(self._world.sites[keep].levels, data.n).T

    def _trace(
        self, terms: _Terms, clamped: Mapping[str, Tensor], data: Data, quick: bool = False
    ) -> dict[str, Any]:
        """Run the program with values clamped; a summed variable takes all its values along its own dimension."""
        world = self._world
        summed = {
            name: world.sites[name].values.reshape(-1, *[1] * (world.plates + place))
            for place, name in enumerate(terms.summed)
        }
        needed = {*terms.factors, *terms.clamped, *terms.proposed, *terms.summed, *clamped}
        values = {**world.example, **data.values}
        with _SkipBarren(needed) if quick else nullcontext():
            program = pyro.condition(world.program, data={**clamped, **summed})
            return variables(poutine.trace(program).get_trace(**arguments(world.program, values)))

    def _propose(self, terms: _Terms, data: Data) -> tuple[dict[str, Tensor], Tensor]:
        """Draw the hidden numerical variables of the rows from the guide, where it can; and their log q."""
        none = torch.zeros(data.n)
        world = self._world
        guide = world.posterior.guide if world.posterior else world.p.guide
        if not terms.proposed or isinstance(guide, Automatic):
            return {}, none
        known = {k: v for k, v in data.values.items() if (k in terms.clamped and k not in data.seen) or k == "n"}
        known |= {k: v for k, v in data.inputs.items() if k not in known}
        try:
            named = arguments(guide, known)
        except DataError:
            return {}, none  # the guide reads what is not known here: the prior proposes
        found = variables(poutine.trace(guide).get_trace(**named))
        chosen = {name: site for name, site in found.items() if name in terms.proposed}
        log_q = sum((site["fn"].log_prob(site["value"]) for site in chosen.values()), none)
        return {name: site["value"] for name, site in chosen.items()}, log_q

    # Draws ----------------------------------------------------------------------------------------------

    def _sample(self, n: int, seed: int | None) -> dict[str, Tensor]:
        above, below = self._plan()
        data = self._rows()
        if below is None:
            return self._forward(above, data, n, seed)
        if len(self._targets) == 1 and self._world.sites[self._targets[0]].levels:
            probs = self.probs if self._has_rows else self.probs[None]
            return {self._targets[0]: torch.distributions.Categorical(probs).sample((n,))}
        return self._resample(above, below, data, n, seed)

    def _ancestral(self, terms: _Terms, data: Data, parameters: Mapping[str, Tensor]) -> dict[str, Any]:
        """One run with only the given values clamped; hidden variables are drawn, not summed out."""
        return self._trace(replace(terms, summed=()), {**data.observed, **parameters}, data)

    def _forward(self, terms: _Terms, data: Data, n: int, seed: int | None) -> dict[str, Tensor]:
        """Ancestral sampling: nothing that is given depends on what is drawn."""
        if not terms.shared and all(self._world.sites[name].local for name in self._targets):
            copies = data.take(torch.arange(data.n).repeat(n))
            trace = self._ancestral(terms, copies, {})
            return {name: trace[name]["value"].unflatten(0, (n, data.n)) for name in self._targets}
        runs = [self._ancestral(terms, data, parameters) for parameters in self._fresh_parameters(n, seed)]
        return {name: torch.stack([trace[name]["value"] for trace in runs]) for name in self._targets}

    def _fresh_parameters(self, n: int, seed: int | None) -> list[dict[str, Tensor]]:
        """One draw of the posterior for each sample; the prior's are drawn by the program itself."""
        if self._world.posterior is None:
            return [{}] * n
        drawn = self._world.posterior.draw(n, seed)
        return [{name: values[i] for name, values in drawn.items()} for i in range(n)]

    def _resample(
        self, above: _Terms, below: _Terms, data: Data, n: int, seed: int | None
    ) -> dict[str, Tensor]:
        """Draw with weights p(given | hidden), then choose by them (sampling importance resampling)."""
        values, weights = self._particles(above, below, data, max(self.method.draws, 10 * n), seed)
        self._finish(log_mean_exp_error(weights), pareto_k(weights))
        index = torch.distributions.Categorical(logits=weights.T).sample((n,))  # (n, rows)
        return {
            name: v[index, torch.arange(v.shape[1])] if self._world.sites[name].local else v[index[:, 0]]
            for name, v in values.items()
        }

    def _particles(
        self, above: _Terms, below: _Terms, data: Data, count: int, seed: int | None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Weighted draws of the targets: values (count, rows, *event) and log weights (count, rows)."""
        hidden = replace(
            above,
            clamped=above.clamped - set(self._targets),
            proposed=tuple({*below.proposed, *above.proposed}),
            summed=(),
        )
        shared = bool(above.shared or below.shared)
        runs: Any = self._fresh_parameters(count, seed) if shared else [{}]
        rows = data.n
        if not shared:  # rows are independent: all particles in one run
            data = data.take(torch.arange(rows).repeat(count))
        values: dict[str, list[Tensor]] = {name: [] for name in self._targets}
        weights = []
        for parameters in runs:
            proposals, log_q = self._propose(hidden, data)
            trace = self._trace(hidden, {**data.observed, **parameters, **proposals}, data)
            weight: Any = -log_q
            for name in below.factors:
                if name in data.observed or name in proposals:
                    value = score(trace[name]["fn"], trace[name]["value"], data.seen.get(name))
                    weight = weight + (value if is_local(trace[name]) else value.sum())
            weights.append(weight)
            for name in self._targets:
                values[name].append(trace[name]["value"])
        stacked = {name: torch.cat(v) if self._world.sites[name].local else torch.stack(v) for name, v in values.items()}
        local = {name: v.unflatten(0, (count, rows)) for name, v in stacked.items() if self._world.sites[name].local}
        return {**stacked, **local}, torch.cat(weights).unflatten(0, (count, rows))

    def _mean(self, name: str) -> tuple[Tensor, Tensor | None, str]:
        """E[target | given]."""
        above, below = self._plan()
        data, site = self._rows(), self._world.sites[name]
        if below is not None:  # what is given tells of the hidden: weigh draws of the target by it
            values, log_weights = self._particles(above, below, data, self.method.draws, self.method.seed)
            weights = log_weights.softmax(0)
            weights = weights.reshape(*weights.shape, *[1] * site.event_dim)
            mean = (weights * values[name]).sum(0)
            error = (weights * (values[name] - mean)).square().sum(0).sqrt()
            self._finish(log_mean_exp_error(log_weights), pareto_k(log_weights))
            return mean, error, self._how
        means = []  # of the target's own distribution, at each setting of what is hidden
        terms = replace(above, clamped=above.clamped - {name}, factors=above.factors - {name})
        average = bool(above.shared or above.proposed)
        for parameters in self._fresh_parameters(self.method.draws, self.method.seed) if average else [{}]:
            trace = self._trace(terms, {**data.observed, **parameters}, data)
            value = mean_of(trace[name]["fn"])
            if value is None or not bool(torch.isfinite(value).all()):
                raise Unanswerable(f"{name!r} has no finite mean in closed form here: average .sample(n) instead")
            if terms.summed:
                weight: Any = sum(trace[v]["fn"].log_prob(trace[v]["value"]) for v in terms.summed)
                weight = weight.exp().reshape(*weight.shape, *[1] * site.event_dim)
                dims = tuple(range(max(weight.dim(), value.dim()) - site.event_dim - 1))
                value = (weight * value).sum(dims)
            means.append(value)
        stacked = torch.stack(means)
        error = stacked.std(0) / len(stacked) ** 0.5 if average else None
        return stacked.mean(0), error, self._method_name((above, below))


class _SkipBarren(Messenger):
    """Do not draw variables that nothing asked about depends on: only their shapes matter."""

    def __init__(self, needed: set[str]):
        super().__init__()
        self.needed = needed

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        if not msg["done"] and msg["name"] not in self.needed and type(msg["fn"]).__name__ != "_Subsample":
            codes = isinstance(msg["fn"], torch.distributions.Categorical)
            msg["value"] = torch.zeros(msg["fn"].shape(), dtype=torch.long if codes else None)
            msg["done"] = True


def _levels_to_caller() -> int:
    """The stacklevel at which a warning points at the user's own line."""
    frame, levels = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.endswith(("ppl_gen/ask.py", "functools.py", "contextlib.py")):
        frame, levels = frame.f_back, levels + 1
    return levels


def _parts(data: Data, cost: int) -> Iterator[Data]:
    """Chunks of rows whose numbers fit into CELLS."""
    size = max(1, CELLS // cost)
    if data.n <= size:
        yield data
        return
    for index in torch.arange(data.n).split(size):
        yield data.take(index)


def _dims(value: Any) -> int:
    return int(value.dim()) if isinstance(value, Tensor) else int(np.ndim(value))

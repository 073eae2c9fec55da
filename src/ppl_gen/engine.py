"""The numbers behind an answer: which factors matter, what is summed out, averaged or drawn."""

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.checks import whole
from ppl_gen.core import (
    arguments,
    bare,
    dtype_of,
    is_local,
    mean_of,
    run,
    score,
    variables,
)
from ppl_gen.distributions import score_rows
from ppl_gen.errors import (
    DataError,
    Unanswerable,
    Unreliable,
)
from ppl_gen.inference.evidence import log_mean_exp, log_mean_exp_error, multi_sample_bound, pareto_k
from ppl_gen.inference.guides import Automatic
from ppl_gen.inference.quadrature import Integral, integrate
from ppl_gen.inputs import Data
from ppl_gen.world import World

CELLS = 1 << 22  # numbers held at once while scoring: memory does not grow with the rows


@dataclass(frozen=True)
class Importance:
    """Integrate what cannot be summed by averaging ``draws`` draws: of posterior, guide or prior."""

    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        whole("draws", self.draws, least=2)


@dataclass(frozen=True)
class LowerBound(Importance):
    """The mean of log weights instead of the log of their mean: never above the truth (Jensen), no k-hat.

    Args:
        draws, seed: as of `Importance`.
        k: how many draws are averaged inside the logarithm: 1 gives the ELBO, more the importance-weighted
            bound (Burda, Grosse and Salakhutdinov 2016), which rises with ``k`` to the truth.
    """

    draws: int = 100
    k: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draws % whole("k", self.k) or self.draws < 2 * self.k:
            raise DataError(f"draws: expected a multiple of k={self.k}, twice it or more, got {self.draws}")


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


class Engine:
    """Scores and draws a question's targets in its world. `Answer` is its public face."""

    question: str
    method: Importance
    chosen: bool  # whether the reader named the method
    _world: World
    _targets: tuple[str, ...]
    _values: dict[str, Any]
    _given: Data
    _joint: bool
    _has_rows: bool
    _above: _Terms
    _below: _Terms | None
    _how: str
    _error: Tensor | None
    _halved: float | None = None  # the error of the last quadrature
    _k_hat: Tensor | None = None

    @property
    def probs(self) -> Tensor:
        """The probability of every value of a finite target."""
        raise NotImplementedError

    # Which factors, and how -----------------------------------------------------------------------------

    def _plan(self) -> tuple[_Terms, _Terms | None]:
        """The factors of p(targets, given) that matter, and those of p(given) that divide them."""
        line, targets = self._world.line, frozenset(self._targets)
        given = frozenset(self._values)
        known = given | (line.given - self._world.drawn)
        factors = line.relevant(targets, known, self._world.coupled)
        below = factors & line.ancestors(given)
        return self._terms(factors, known | targets), (self._terms(below, known) if below & given else None)

    def _choose(self) -> None:
        """Turn to the inverse of the joint where only that leaves nothing of a row to integrate."""
        for world in (self._world, self._world.inverse, self._world):
            self._world = world or self._world
            self._above, self._below = self._plan()
            if not (self._above.proposed or (self._below and self._below.proposed)):
                return

    def _observed(self, data: Data) -> dict[str, Tensor]:
        """The values of the rows as the program reads them."""
        if not (self._world.gaps and data.seen):
            return dict(data.observed)
        return {name: data.gaps.get(name, value) for name, value in data.observed.items()}

    def _terms(self, factors: frozenset[str], clamped: frozenset[str]) -> _Terms:
        world = self._world
        scope = frozenset().union(*({name} | world.line[name] for name in factors)) - clamped
        site = world.sites
        local = sorted(name for name in scope if name in site and site[name].local)
        return _Terms(
            factors,
            clamped,
            tuple(name for name in local if site[name].levels),
            tuple(name for name in local if not site[name].levels),
            tuple(sorted(scope - set(local))),
        )

    def _integrable(self, terms: _Terms | None) -> bool:
        """Whether all that is hidden, beside what is summed out, is one real number of each row."""
        if terms is None or self.chosen or self._joint or terms.shared or len(terms.proposed) != 1:
            return False
        site = self._world.sites[terms.proposed[0]]
        return site.event_shape == () and site.support == constraints.real and not site.drawn_only

    @property
    def _scored_by_draws(self) -> bool:
        found = [terms for terms in (self._above, self._below) if terms is not None]
        return any(not terms.exact and not self._integrable(terms) for terms in found)

    @property
    def _sampled(self) -> bool:
        return not self._above.exact or not (self._below is None or self._below.exact)

    def _method_name(self, sampled: bool | None = None, bound: bool = False) -> str:
        found = [terms for terms in (self._above, self._below) if terms is not None]
        draws = f"{self.method.draws:,} draws"
        if self._sampled if sampled is None else sampled:
            if bound and isinstance(self.method, LowerBound):  # it bounds log_prob alone
                return "lower bound" if self.method.k == 1 else f"lower bound (K = {self.method.k:,})"
            if any(terms.proposed for terms in found) or not self._sampled:
                return f"importance sampled ({draws})"
            return f"{self._world.who} average ({draws})"
        if self._world.who == "guide":
            return f"guide {self._world.line.line}"
        if any(self._integrable(terms) for terms in found):
            name = "quadrature" if self._halved is None else f"quadrature (error {self._halved:.0e})"
        else:
            name = "enumerated" if any(terms.summed for terms in found) else "exact"
        return f"{name}, at the mode" if self._world.who == "mode" else name

    def _finish(self, error: Tensor, k: Tensor, exact: bool | None = None, bound: bool = False) -> None:
        """Put the figures of merit into `how`, and warn where they are bad."""
        sampled = self._sampled if exact is None else not exact
        self._how = self._method_name(sampled, bound)
        self._error = error if sampled else None
        self._k_hat = k if sampled and not bool(torch.isnan(k).all()) else None
        k = k[~torch.isnan(k)]
        if not sampled or not len(k):
            return
        bad = int((k > 0.7).sum())
        if self._how.startswith("importance"):
            place = f"; above 0.7 on {bad:,} of {len(k):,} rows" if len(k) > 1 and bad else ""
            self._how = (
                f"importance sampled ({self.method.draws:,} draws, s.e. {error.median():.2g}, "
                f"k-hat {k.median():.2f}{place})"
            )
        if bad > 0.05 * len(k):
            where = f" on {bad:,} of {len(k):,} rows" if len(k) > 1 else ""
            warnings.warn(
                f"{self.question}, {self.method.draws:,} draws: k-hat exceeds 0.7{where}: a few draws decide "
                f"the average; the estimate is likely too low and its standard error too small. Take more "
                f"draws, Importance(draws=…), or a sure bound, LowerBound()",
                Unreliable,
                stacklevel=_levels_to_caller(),
            )

    def _parts(self, data: Data, draws: int) -> Iterator[Data]:
        """Chunks of rows whose numbers fit into CELLS; rows that tell of a target together stay together."""
        size = max(1, CELLS // self._row_cost(draws))
        if self._joint or data.n <= size:
            yield data
        else:
            yield from (data.take(slice(first, first + size)) for first in range(0, data.n, size))

    def _row_cost(self, draws: int) -> int:
        """The numbers that one row needs; a network's widest layer counts like a variable."""
        world = self._world
        cost = max((site.event_shape.numel() for site in world.sites.values() if site.local), default=1)
        if self._above.proposed:
            cost = max([cost, *(max(w.shape, default=1) for w in world.p.parameters())])
        found = [terms for terms in (self._above, self._below) if terms is not None]
        for name in {name for terms in found for name in terms.summed} | set(self._targets):
            cost *= max(world.sites[name].levels, 1)
        return cost * (draws if self._sampled else 1)

    # Numbers --------------------------------------------------------------------------------------------

    def _log_prob(
        self, data: Data, draws: Mapping[str, Tensor] | None, base_draws: Mapping[str, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """log p, its standard error and k-hat, for each row of ``data``."""
        above, below = self._above, self._below
        top = self._evaluate(above, data, draws)
        none = torch.full_like(top[0], torch.nan)
        if isinstance(self.method, LowerBound) and self._sampled:
            if below is not None and not below.exact:
                raise Unanswerable(
                    f"{self.question} is a ratio of two integrals, and a ratio of bounds is no bound: "
                    f"use Importance()"
                )
            top = top if below is None else top - self._evaluate(below, data, base_draws)
            return *multi_sample_bound(top, self.method.k), none
        if below is None:
            return log_mean_exp(top), log_mean_exp_error(top), none if above.exact else pareto_k(top)
        base = self._evaluate(below, data, base_draws)
        value = log_mean_exp(top) - log_mean_exp(base)
        if draws is not None and draws is base_draws and not (above.proposed or below.proposed):
            error = log_mean_exp_error(top, base)
        else:
            error = (log_mean_exp_error(top) ** 2 + log_mean_exp_error(base) ** 2).sqrt()
        return value, error, none if below.exact and above.exact else pareto_k(top if below.exact else base)

    def _probs(
        self, data: Data, name: str, draws: Mapping[str, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        above, levels = self._above, self._world.sites[name].levels
        if self._joint:  # each value in its turn, clamped like any parameter
            each = [torch.full((), level) for level in range(levels)]
            scores = torch.stack(
                [
                    self._evaluate(
                        above, data.with_value(name, v), self._parameters(above, {**data.observed, name: v})
                    )
                    for v in each
                ],
                -1,
            )
        else:
            terms = replace(above, clamped=above.clamped - {name}, summed=(*above.summed, name))
            scores = self._evaluate(terms, data, draws, keep=name)  # (draws, n, levels)
        if len(scores) == 1:  # nothing is averaged
            none = torch.full((1,), torch.nan).expand(data.n)
            return scores[0].T.softmax(0).T, none[:, None], none
        weights = (scores - scores.amax((0, 2), keepdim=True)).exp()
        total = weights.sum(2, keepdim=True)
        probs = weights.mean(0) / total.mean(0)
        error = ((weights - probs * total) / total.mean(0)).square().mean(0).sqrt() / len(weights) ** 0.5
        return probs, error, pareto_k(scores.logsumexp(2))

    def _parameters(self, terms: _Terms | None, values: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Draws of the variables that rows share, if the terms need them: name -> (draws, *shape)."""
        if terms is None or not terms.shared:
            return None
        world = self._world
        if world.posterior is not None:
            return self._drawn(self.method.draws, self.method.seed)
        clamped = {
            k: v
            for k, v in values.items()
            if k in terms.clamped and k in world.sites and not world.sites[k].local
        }
        runs = [
            variables(run(world.program, {**world.example, "n": 1}, clamped))
            for _ in range(self.method.draws)
        ]
        free = [name for name, site in world.sites.items() if not site.local and name not in clamped]
        return {name: torch.stack([nodes[name]["value"] for nodes in runs]) for name in free}

    def _evaluate(
        self, terms: _Terms, data: Data, draws: Mapping[str, Tensor] | None, keep: str | None = None
    ) -> Tensor:
        """log of the product of factors, hidden finite variables summed out: (draws, n[, levels])."""
        if keep is None and self._integrable(terms):
            return self._integral(terms, data).log_value[None]
        if draws is None:
            if not terms.proposed:
                return self._score(terms, data, {}, keep)[None]
            if not self._joint:  # all draws of all rows in one run
                copies = torch.arange(data.n).repeat(self.method.draws)
                return self._score(terms, data.take(copies), {}, keep).unflatten(0, (-1, data.n))
            return torch.stack([self._score(terms, data, {}, keep) for _ in range(self.method.draws)])
        if not terms.proposed:

            def one(parameters: dict[str, Tensor]) -> Tensor:
                return self._score(terms, data, parameters, keep, quick=True)

            try:
                size = max(
                    1, CELLS * self.method.draws // (self._row_cost(self.method.draws) * max(data.n, 1))
                )
                return torch.vmap(one, chunk_size=size, randomness="different")(dict(draws))
            except (
                RuntimeError,
                IndexError,
            ):  # a program that cannot be vectorised: one draw after the other
                pass
        each = ({name: v[i] for name, v in draws.items()} for i in range(self.method.draws))
        return torch.stack([self._score(terms, data, parameters, keep) for parameters in each])

    def _integral(self, terms: _Terms, data: Data) -> Integral:
        """Of the product of factors over the one number of each row that is hidden."""
        (name,) = terms.proposed
        inside = replace(terms, clamped=terms.clamped | {name}, proposed=())
        size = max(1, CELLS // (self._row_cost(1) * data.n))

        def log_density(points: Tensor) -> Tensor:
            parts = []
            for some in points.split(size):
                rows = data.take(torch.arange(data.n).repeat(len(some))).with_value(name, some.flatten())
                parts.append(self._score(inside, rows, {}, None).unflatten(0, some.shape))
            return torch.cat(parts)

        several = data.take(torch.arange(data.n).repeat(32))
        known = {k: v for k, v in several.observed.items() if k in terms.clamped}
        drawn = self._trace(replace(terms, summed=()), known, several)[name]["value"]
        found = integrate(log_density, drawn.unflatten(0, (32, data.n)))
        self._halved = max(float(found.error.amax()), torch.finfo(found.error.dtype).eps)
        if self._halved > 1e-6:
            warnings.warn(
                f"{self.question}: the quadrature over {name!r} changed by {self._halved:.1g} of its value "
                f"at its last halving. Compare with draws, Importance(draws=…)",
                Unreliable,
                stacklevel=_levels_to_caller(),
            )
        return found

    def _score(
        self,
        terms: _Terms,
        data: Data,
        parameters: Mapping[str, Tensor],
        keep: str | None,
        quick: bool = False,
    ) -> Tensor:
        """One draw's log weight of every row (of all rows together if they share a target)."""
        _, rows, shared = self._weigh(terms, data, parameters, quick)
        for place, name in enumerate(terms.summed):
            if name != keep and rows.dim() > self._world.plates + place:
                rows = rows.logsumexp(-1 - self._world.plates - place, keepdim=True)
        if keep is not None:
            return (rows + shared).reshape(self._world.sites[keep].levels, data.n).T
        rows = rows.reshape(data.n)
        return (rows.sum() + shared)[None] if self._joint else rows + shared

    def _weigh(
        self, terms: _Terms, data: Data, parameters: Mapping[str, Tensor], quick: bool = False
    ) -> tuple[dict[str, Any], Tensor, Tensor]:
        """One run, and its log weight: of each row (summed variables on the left), and shared."""
        proposals, log_q = self._propose(terms, data)
        clamped = {k: v for k, v in self._observed(data).items() if k in terms.clamped}
        trace = self._trace(terms, {**clamped, **parameters, **proposals}, data, quick)
        shared: Any = torch.zeros((), dtype=log_q.dtype)
        scores: list[Tensor] = []
        for name in terms.factors:
            if (
                name in clamped or name in proposals or name in terms.summed
            ):  # others came from their own factor
                cells = trace[name]["fn"], trace[name]["value"], data.seen.get(name)
                value = None if quick or not is_local(trace[name]) else score_rows(*cells)
                value = score(*cells) if value is None else value
                if is_local(trace[name]):
                    scores.append(value)
                else:
                    shared = shared + value.sum()
        rows = sum(sorted(scores, key=Tensor.numel), -log_q)  # the large one last: a pass for each is saved
        return trace, rows, shared

    def _trace(
        self, terms: _Terms, clamped: Mapping[str, Tensor], data: Data, quick: bool = False
    ) -> dict[str, Any]:
        """Run the program with values clamped; a summed variable takes all values along its own dimension."""
        world = self._world
        needed = {*terms.factors, *terms.clamped, *terms.proposed, *terms.summed, *clamped}
        values = {**world.example, **data.values}
        with _SkipBarren(needed) if quick else nullcontext():
            program = pyro.condition(world.program, data={**clamped, **self._grid(terms)})
            return variables(poutine.trace(program).get_trace(**arguments(world.program, values)))

    def _propose(self, terms: _Terms, data: Data) -> tuple[dict[str, Tensor], Tensor]:
        """Draw the hidden numerical variables of the rows from the guide, where it can; and their log q."""
        world = self._world
        none = torch.zeros(data.n, dtype=dtype_of(world.p))
        guide = world.posterior.guide if world.posterior else world.p.guide
        if not terms.proposed or isinstance(guide, Automatic):
            return {}, none
        known = {
            k: v for k, v in data.values.items() if (k in terms.clamped and k not in data.seen) or k == "n"
        }
        known |= {k: v for k, v in data.inputs.items() if k not in known}
        try:
            named = arguments(guide, known)
        except DataError:
            return {}, none  # the guide reads what is not known here: the prior proposes
        fixed = {k: v for k, v in known.items() if k in terms.clamped and k in world.sites}
        with pyro.condition(data=fixed | self._grid(terms)):  # a summed variable: a proposal for each value
            found = variables(poutine.trace(guide).get_trace(**named))
        drawn = {name: site for name, site in found.items() if is_local(site) and not site["is_observed"]}
        chosen = {name: site for name, site in drawn.items() if name in terms.factors}
        log_q = sum((site["fn"].log_prob(site["value"]) for site in chosen.values()), none)
        return {name: site["value"] for name, site in chosen.items()}, log_q

    def _grid(self, terms: _Terms) -> dict[str, Tensor]:
        """All values of every summed variable, along a dimension of its own."""
        return {
            name: torch.as_tensor(self._world.sites[name].values).reshape(
                -1, *[1] * (self._world.plates + place)
            )
            for place, name in enumerate(terms.summed)
        }

    # Draws ----------------------------------------------------------------------------------------------

    def _sample(self, n: int, seed: int | None) -> dict[str, Tensor]:
        if self._below is None:
            return self._forward(n, seed)
        if len(self._targets) == 1 and self._world.sites[self._targets[0]].levels:
            probs = self.probs if self.probs.dim() > 1 else self.probs[None]
            drawn = torch.distributions.Categorical(probs).sample((n,))
            return {self._targets[0]: drawn[:, 0] if self._joint else drawn}
        if self._integrable(self._below) and self._below.proposed == self._targets[:1]:
            found = [self._integral(self._below, part) for part in self._parts(self._given, 1 << 12)]
            self._how, self._error = self._method_name(sampled=False), None
            return {self._targets[0]: torch.cat([part.sample(n) for part in found], 1)}
        one = len(self._below.summed) == 1 and self._above.summed == self._below.summed
        if one and not self._sampled and self._below.factors.isdisjoint(self._targets):
            return self._by_class(n)
        return self._resample(n, seed)

    def _by_class(self, n: int) -> dict[str, Tensor]:
        """Draw the one hidden finite variable given what is given, and the targets given it."""
        assert self._below is not None
        (name,) = self._below.summed
        parts = []
        for data in self._parts(self._given, 1):
            scores = self._evaluate(self._below, data, None, keep=name)[0]
            code = torch.distributions.Categorical(logits=scores).sample((n,)).flatten()
            trace = self._ancestral(data.take(torch.arange(data.n).repeat(n)), {name: code})
            parts.append({name: trace[name]["value"].unflatten(0, (n, data.n)) for name in self._targets})
        self._how, self._error = self._method_name(sampled=False), None
        return {name: torch.cat([part[name] for part in parts], 1) for name in self._targets}

    def _ancestral(self, data: Data, parameters: Mapping[str, Tensor]) -> dict[str, Any]:
        """One run with only the given values clamped; hidden variables are drawn, not summed out."""
        return self._trace(replace(self._above, summed=()), {**self._observed(data), **parameters}, data)

    def _forward(self, n: int, seed: int | None) -> dict[str, Tensor]:
        """Ancestral sampling: nothing that is given depends on what is drawn."""
        data = self._given
        if not self._above.shared and not self._joint:
            trace = self._ancestral(data.take(torch.arange(data.n).repeat(n)), {})
            return {name: trace[name]["value"].unflatten(0, (n, data.n)) for name in self._targets}
        runs = [self._ancestral(data, parameters) for parameters in self._fresh_parameters(n, seed)]
        return {name: torch.stack([trace[name]["value"] for trace in runs]) for name in self._targets}

    def _fresh_parameters(self, n: int, seed: int | None) -> list[dict[str, Tensor]]:
        """One draw of the posterior for each sample; the prior's are drawn by the program itself."""
        if self._world.posterior is None:
            return [{}] * n
        drawn = self._drawn(n, seed)
        return [{name: values[i] for name, values in drawn.items()} for i in range(n)]

    def _drawn(self, n: int, seed: int | None) -> dict[str, Tensor]:
        """Draws of the posterior, by other random numbers than those that ``seed`` gives the rows."""
        assert self._world.posterior is not None
        drawn = self._world.posterior.draw(n, None if seed is None else (seed + 0x9E3779B9) % 2**32)
        return {name: values for name, values in drawn.items() if name not in self._values}

    def _resample(self, n: int, seed: int | None) -> dict[str, Tensor]:
        """Draw with weights p(given | hidden), then choose by them (sampling importance resampling)."""
        count = max(self.method.draws, 10 * n)
        parts, errors, ks = [], [], []
        for data in self._parts(self._given, count):
            values, weights = self._particles(data, count, seed)
            index = torch.distributions.Categorical(logits=weights.T).sample((n,))  # (n, rows)
            parts.append(
                {
                    name: v[index[:, 0]] if self._joint else v[index, torch.arange(v.shape[1])]
                    for name, v in values.items()
                }
            )
            errors.append(log_mean_exp_error(weights))
            ks.append(pareto_k(weights))
        self._finish(torch.cat(errors), torch.cat(ks), exact=False)
        return {
            name: parts[0][name] if self._joint else torch.cat([p[name] for p in parts], 1)
            for name in parts[0]
        }

    def _particles(self, data: Data, count: int, seed: int | None) -> tuple[dict[str, Tensor], Tensor]:
        """Weighted draws of the targets: name -> (count, rows, *event), or (count, *shape) if shared.

        Log weights are (count, rows), or (count, 1) where all rows tell of a target together.
        """
        above, below = self._above, self._below
        hidden = replace(
            above,
            clamped=above.clamped - set(self._targets),
            proposed=tuple({*above.proposed, *(below.proposed if below else ())}),
            summed=(),
        )
        shared = self._joint or bool(hidden.shared or (below and below.shared))
        rows = data.n
        if not shared:  # rows are independent: all particles in one run
            data = data.take(torch.arange(rows).repeat(count))
        values: dict[str, list[Tensor]] = {name: [] for name in self._targets}
        weights = []
        for parameters in self._fresh_parameters(count, seed) if shared else [{}]:
            trace, weight, common = self._weigh(hidden, data, parameters)
            weights.append((weight.sum() + common)[None] if self._joint else weight + common)
            for name in self._targets:
                values[name].append(trace[name]["value"])
        stacked = {
            name: torch.stack(v) if shared else v[0].unflatten(0, (count, rows)) for name, v in values.items()
        }
        return stacked, torch.stack(weights) if shared else weights[0].unflatten(0, (count, rows))

    def _mean(self, name: str) -> tuple[Tensor, Tensor | None]:
        """E[target | given], and its standard error."""
        site, draws = self._world.sites[name], self.method.draws
        if self._below is not None and self._integrable(self._below) and self._below.proposed == (name,):
            found = [self._integral(self._below, part) for part in self._parts(self._given, draws)]
            self._how = self._method_name(sampled=False)
            return torch.cat([part.mean for part in found]), None
        if self._below is not None and name in self._world.line.ancestors(self._values):
            means, errors, log_errors, ks = [], [], [], []
            for data in self._parts(
                self._given, draws
            ):  # what is given tells of the target: weigh draws by it
                values, log_weights = self._particles(data, draws, self.method.seed)
                weights = log_weights.softmax(0)
                value = values[name]
                weights = (weights if site.local else weights[:, 0]).reshape(
                    *weights.shape[: 2 if site.local else 1], *[1] * (value.dim() - (2 if site.local else 1))
                )
                mean = (weights * value).sum(0)
                means.append(mean)
                errors.append((weights * (value - mean)).square().sum(0).sqrt())
                log_errors.append(log_mean_exp_error(log_weights))
                ks.append(pareto_k(log_weights))
            self._finish(torch.cat(log_errors), torch.cat(ks), exact=False)
            return (torch.cat(means), torch.cat(errors)) if site.local else (means[0], errors[0])
        if site.drawn_only:  # no density, hence no mean of its own
            value = self._forward(draws, self.method.seed)[name]
            self._how = f"average of {draws:,} draws"
            return value.mean(0), value.std(0) / draws**0.5
        self._how = self._method_name()
        parts = [self._conditional_mean(name, part) for part in self._parts(self._given, draws)]
        value, error = (torch.cat(column) if site.local else column[0] for column in zip(*parts, strict=True))
        return value, error if self._sampled else None

    def _conditional_mean(self, name: str, data: Data) -> tuple[Tensor, Tensor]:
        """The average of the target's own mean over what is hidden, by the weight of the other factors."""
        site, above = self._world.sites[name], self._above
        terms = replace(above, clamped=above.clamped - {name}, factors=above.factors - {name})
        levels = [self._world.sites[v].levels for v in reversed(terms.summed)]
        values, weights = [], []
        average = bool(above.shared or above.proposed)
        for parameters in self._fresh_parameters(self.method.draws, self.method.seed) if average else [{}]:
            trace, rows, shared = self._weigh(terms, data, parameters)
            if getattr(bare(trace[name]["fn"]), "coded", False):
                raise Unanswerable(
                    f"{name!r} has columns of category codes, and codes have no mean: ask for .sample(n)"
                )
            value = mean_of(trace[name]["fn"])
            if value is None or not bool(torch.isfinite(value).all()):
                raise Unanswerable(
                    f"{name!r} has no finite mean in closed form here: average .sample(n) instead"
                )
            if site.local:
                shape = (*levels, *[1] * (self._world.plates - 1), data.n)
                weights.append((rows + shared).expand(shape).reshape(-1, data.n))
                value = value.expand(*shape, *value.shape[value.dim() - site.event_dim :])
                values.append(value.reshape(-1, data.n, *value.shape[len(shape) :]))
            else:
                weights.append(self._score(terms, data, parameters, None))
                values.append(value)
        log_weights, value = torch.stack(weights), torch.stack(values)  # (draws, levels, n), or (draws, 1)
        weight = (log_weights - log_weights.flatten(0, log_weights.dim() - 2).amax(0)).exp()
        weight = weight if site.local else weight[:, 0]
        weight = weight.reshape(*weight.shape, *[1] * (value.dim() - weight.dim()))
        if site.local:  # sum the hidden finite variables out
            value, weight = (weight * value).sum(1), weight.sum(1)
        else:
            value = weight * value
        mean = value.mean(0) / weight.mean(0)
        error = ((value - mean * weight) / weight.mean(0)).square().mean(0).sqrt() / len(value) ** 0.5
        return mean, error


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
    while frame.f_back is not None and frame.f_code.co_filename.endswith(
        ("ppl_gen/ask.py", "ppl_gen/engine.py", "functools.py", "contextlib.py")
    ):
        frame, levels = frame.f_back, levels + 1
    return levels

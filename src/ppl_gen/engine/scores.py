"""The numbers behind an answer: log densities and probabilities, from the factors of the plan."""

import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ppl_gen.core import arguments, dtype_of, is_local, run, score, variables
from ppl_gen.distributions import score_rows
from ppl_gen.engine.methods import LowerBound
from ppl_gen.engine.plan import Plan, Terms, levels_to_caller
from ppl_gen.errors import DataError, Unanswerable, Unreliable
from ppl_gen.inference.enumerated import refuse_lost, refuse_stopped
from ppl_gen.inference.evidence import log_mean_exp, log_mean_exp_error, multi_sample_bound, pareto_k
from ppl_gen.inference.guides import Automatic
from ppl_gen.inference.quadrature import Integral, integrate
from ppl_gen.inputs import Data


class Scores(Plan):
    """Scores a question's targets in its world."""

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
        above = self._above
        if self._joint:  # each value in its turn, clamped like any parameter
            each = list(torch.as_tensor(self._world.sites[name].values))
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

    def _log_joint(self, data: Data, name: str, draws: Mapping[str, Tensor] | None) -> Tensor:
        """log of the product of factors for every value of ``name``, averaged over draws: (n, levels)."""
        above = self._above
        terms = replace(above, clamped=above.clamped - {name}, summed=(*above.summed, name))
        found = self._evaluate(terms, data, draws, keep=name)
        return found[0] if len(found) == 1 else log_mean_exp(found)

    def _parameters(self, terms: Terms | None, values: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
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

    def _drawn(self, n: int, seed: int | None) -> dict[str, Tensor]:
        """Draws of the posterior, by other random numbers than those that ``seed`` gives the rows."""
        assert self._world.posterior is not None
        drawn = self._world.posterior.draw(n, None if seed is None else (seed + 0x9E3779B9) % 2**32)
        return {name: values for name, values in drawn.items() if name not in self._values}

    def _evaluate(
        self, terms: Terms, data: Data, draws: Mapping[str, Tensor] | None, keep: str | None = None
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
                    1, self.cells * self.method.draws // (self._row_cost(self.method.draws) * max(data.n, 1))
                )
                return torch.vmap(one, chunk_size=size, randomness="different")(dict(draws))
            except (
                RuntimeError,
                IndexError,
            ):  # a program that cannot be vectorised: one draw after the other
                pass
        each = ({name: v[i] for name, v in draws.items()} for i in range(self.method.draws))
        return torch.stack([self._score(terms, data, parameters, keep) for parameters in each])

    def _integral(self, terms: Terms, data: Data) -> Integral:
        """Of the product of factors over the one number of each row that is hidden."""
        (name,) = terms.proposed
        inside = replace(terms, clamped=terms.clamped | {name}, proposed=())
        size = max(1, self.cells // (self._row_cost(1) * data.n))

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
                stacklevel=levels_to_caller(),
            )
        return found

    def _score(
        self,
        terms: Terms,
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
        self, terms: Terms, data: Data, parameters: Mapping[str, Tensor], quick: bool = False
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
        self, terms: Terms, clamped: Mapping[str, Tensor], data: Data, quick: bool = False
    ) -> dict[str, Any]:
        """Run the program with values clamped; a summed variable takes all values along its own dimension."""
        world = self._world
        needed = {*terms.factors, *terms.clamped, *terms.proposed, *terms.summed, *clamped}
        values = {**world.example, **data.values}

        def run_with(fixed: Mapping[str, Tensor]) -> dict[str, Any]:
            program = pyro.condition(world.program, data={**clamped, **fixed})
            return variables(poutine.trace(program).get_trace(**arguments(world.program, values)))

        with _SkipBarren(needed) if quick else nullcontext():
            grid = self._grid(terms)
            if not grid:
                return run_with({})
            try:
                nodes = run_with(grid)
            except Exception as error:
                refuse_stopped(world.p, list(grid), lambda: run_with({}), error)
                raise
            dims = {name: (-value.dim(), len(value)) for name, value in grid.items()}
            refuse_lost(world.p, run_with, nodes, world.line, dims)
            return nodes

    def _propose(self, terms: Terms, data: Data) -> tuple[dict[str, Tensor], Tensor]:
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

    def _grid(self, terms: Terms) -> dict[str, Tensor]:
        """All values of every summed variable, along a dimension of its own."""
        return {
            name: torch.as_tensor(self._world.sites[name].values).reshape(
                -1, *[1] * (self._world.plates + place)
            )
            for place, name in enumerate(terms.summed)
        }


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

"""Which factors a question needs; what is summed out, averaged or drawn; and how well that went."""

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.engine.methods import Importance, LowerBound
from ppl_gen.errors import Unreliable
from ppl_gen.inputs import Data
from ppl_gen.world import World


@dataclass(frozen=True)
class Terms:
    """What to multiply (``factors``) and what is hidden, for one product of factors."""

    factors: frozenset[str]
    clamped: frozenset[str]
    summed: tuple[str, ...]  # hidden finite variables of a row, summed out
    proposed: tuple[str, ...]  # other hidden variables of a row, drawn
    shared: tuple[str, ...]  # hidden variables that rows share, drawn

    @property
    def exact(self) -> bool:
        return not self.proposed and not self.shared


class Plan:
    """Which factors a question needs, and what is to be done with what they hide."""

    cells = 1 << 22  # numbers held at once while scoring: memory does not grow with the rows

    question: str
    method: Importance
    chosen: bool  # whether the reader named the method
    _world: World
    _targets: tuple[str, ...]
    _values: dict[str, Any]
    _given: Data
    _joint: bool
    _has_rows: bool
    _above: Terms
    _below: Terms | None
    _how: str
    _error: Tensor | None
    _halved: float | None = None  # the error of the last quadrature
    _k_hat: Tensor | None = None

    @property
    def probs(self) -> Tensor:
        """The probability of every value of a finite target."""
        raise NotImplementedError

    def _plan(self) -> tuple[Terms, Terms | None]:
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

    def _terms(self, factors: frozenset[str], clamped: frozenset[str]) -> Terms:
        world = self._world
        scope = frozenset().union(*({name} | world.line[name] for name in factors)) - clamped
        site = world.sites
        local = sorted(name for name in scope if name in site and site[name].local)
        return Terms(
            factors,
            clamped,
            tuple(name for name in local if site[name].levels),
            tuple(name for name in local if not site[name].levels),
            tuple(sorted(scope - set(local))),
        )

    def _integrable(self, terms: Terms | None) -> bool:
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
                stacklevel=levels_to_caller(),
            )

    def _parts(self, data: Data, draws: int) -> Iterator[Data]:
        """Chunks of rows of at most ``cells`` numbers; rows that tell of a target together stay together."""
        size = max(1, self.cells // self._row_cost(draws))
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


def levels_to_caller() -> int:
    """The stacklevel at which a warning points at the user's own line."""
    here = Path(__file__).parent
    ours, library = (str(here), str(here.with_name("ask.py"))), ("functools.py", "contextlib.py")
    frame, levels = sys._getframe(1), 1
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith(ours) or frame.f_code.co_filename.endswith(library)
    ):
        frame, levels = frame.f_back, levels + 1
    return levels

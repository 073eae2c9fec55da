"""What a predictive check found: statistics, tail probabilities, and a verdict in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ppl_gen import plot
from ppl_gen.checks import did_you_mean
from ppl_gen.errors import DataError
from ppl_gen.plot.replications import SHEETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

Array = NDArray[Any]
TOLD = 5  # statistics that a verdict names
KINDS = {
    "posterior": "posterior predictive check, on the rows that were fitted",
    "held out": "held-out predictive check, on rows that were not fitted",
    "prior": "prior predictive check",
}


@dataclass(frozen=True, eq=False, repr=False)
class PredictiveCheck:
    """Statistics of the data against those of replications; made by `predictive_check`.

    Attributes:
        kind: "posterior", "held out" or "prior". model: its name. n: rows compared.
        names: of the statistics.
        observed: of the data (statistics,). replicated: of the replications (draws, statistics).
        p_values: two-sided tail probabilities (statistics,). standard_errors: of those, by Monte Carlo.
        adjusted: the same for the farthest of all statistics looked at.
        level: below which an adjusted one is flagged.
        data: the variables compared, by name. examples: some replications of them.
        columns: what the columns of numerical variables are called.
        absurd: of a prior, the share of each variable's values that are absurd.
    """

    kind: str
    model: str
    n: int
    names: tuple[str, ...]
    observed: Array
    replicated: Array
    p_values: Array
    standard_errors: Array
    adjusted: Array
    level: float
    data: Mapping[str, Array]
    examples: Sequence[Mapping[str, Array]]
    absurd: Mapping[str, float]
    columns: Mapping[str, Sequence[str]]
    plug_in: bool = False

    @classmethod
    def of(
        cls,
        kind: str,
        model: str,
        names: Sequence[str],
        observed: Array,
        replicated: Array,
        level: float,
        data: Mapping[str, Array],
        examples: Sequence[Mapping[str, Array]],
        absurd: Mapping[str, float],
        columns: Mapping[str, Sequence[str]],
        n: int,
        plug_in: bool,
    ) -> Self:
        """Tail probabilities of what is defined on the data."""
        defined = np.isfinite(observed)
        if not defined.any():
            raise DataError("statistics: expected one that is a finite number on these data, got none")
        names = tuple(name for name, kept in zip(names, defined, strict=True) if kept)
        observed, replicated = observed[defined], replicated[:, defined]
        p, errors = tails(observed, replicated)
        adjusted = adjusted_tails(observed, replicated)
        return cls(
            kind, model, n, names, observed, replicated, p, errors, adjusted, level, data, examples, absurd,
            columns, plug_in,
        )  # fmt: skip

    @property
    def misfit(self) -> tuple[str, ...]:
        """The statistics whose adjusted tail probability is at or below the level, the farthest first."""
        return tuple(self.names[i] for i in self._order() if self.adjusted[i] <= self.level)

    def _order(self) -> Array:
        return np.lexsort(
            (-_distances(self.observed[None], self.observed, self.replicated)[0], self.adjusted)
        )

    def table(self) -> "DataFrame":
        """One row for each statistic, the most surprising first."""
        from pandas import DataFrame

        low, high = self._intervals()
        columns = {
            "statistic": self.names, "observed": self.observed, "replicated, 2.5 %": low, "97.5 %": high,
            "tail probability": self.p_values, "s.e.": self.standard_errors, "adjusted": self.adjusted,
        }  # fmt: skip
        return DataFrame(columns).iloc[self._order()].reset_index(drop=True)

    def _intervals(self) -> Array:
        finite = np.where(np.isfinite(self.replicated), self.replicated, np.nan)
        finite[:, np.isnan(finite).all(0)] = 0
        found: Array = np.nanquantile(finite, [0.025, 0.975], axis=0)
        return found

    def verdict(self) -> str:
        """In plain words: what the model misses, and what a check of this kind can and cannot tell."""
        count, flagged = len(self.names), self.misfit
        if flagged:
            low, high = self._intervals()
            told = []
            for name in flagged[:TOLD]:
                i = self.names.index(name)
                told.append(
                    f"{name}: {_short(self.observed[i])}, replications {_short(low[i])} to {_short(high[i])} "
                    f"(adjusted tail probability {self._probability(self.adjusted[i])})"
                )
            more = f"; and {len(flagged) - TOLD} more" if len(flagged) > TOLD else ""
            what = (
                "The data are not what this prior expects in" if self.kind == "prior" else "The model misses"
            )
            said = f"{what} {len(flagged)} of {count} statistics. {'; '.join(told)}{more}."
        else:
            said = (
                f"No misfit was found in {count} statistic{'s' * (count > 1)}: the smallest adjusted tail "
                f"probability is {self._probability(self.adjusted.min())}."
            )
        return f"{said} {self._meaning(bool(flagged))}"

    def _meaning(self, flagged: bool) -> str:
        if self.kind == "prior":
            shares = ", ".join(
                f"{100 * share:.2g} % of {name}" for name, share in self.absurd.items() if share > 0
            )
            absurd = (
                f"Absurd values, over ten widths of the data away from them: {shares}."
                if shares
                else "None of its values is absurd, over ten widths of the data away from them."
            )
            wide = max(self.absurd.values(), default=0) > 0.1
            return absurd + (" Narrow the prior, or standardise the data." if wide else "")
        if self.kind == "held out":
            return (
                "These rows were not fitted, so that a sound model is flagged "
                f"in {self.level:.0%} of the cases."
            )
        if self.plug_in:
            return (
                "The parameters are a point, without the spread of a posterior, and rows that were fitted "
                "are used twice: split=True tests on rows that were not."
            )
        if flagged:
            return "These rows were also fitted, which hides misfit rather than makes it up: it is there."
        return (
            "That is no proof: the rows were fitted too, and tail probabilities of fitted rows crowd at one "
            "half (Gelman, Meng and Stern 1996). split=True tests on rows that were not fitted."
        )

    def _probability(self, p: float) -> str:
        least = 1 / (len(self.replicated) + 1)
        return (
            f"{least:.2g}, the least of {len(self.replicated):,} draws" if p <= least * 1.001 else f"{p:.2g}"
        )

    def figure(self, of: str | None = None, *, dark: bool = False) -> "Figure":
        """The nine most surprising statistics among their replications; or a variable ``of`` the data.

        Args:
            of: a variable, such as "x": its values (of twelve columns, if it has more), and those of
                replications. None: the statistics.
            dark: light ink on dark paper.
        """
        with plot.style(dark):
            if of is None:
                shown = self._order()[:9]
                names = [self.names[i] for i in shown]
                return plot.statistics(names, self.observed[shown], self.replicated[:, shown])
            if of not in self.data:
                raise DataError(
                    f"of: expected {' or '.join(map(repr, self.data))}, got {of!r}."
                    f"{did_you_mean(of, self.data)}"
                )
            names = list(self.columns.get(of, [of]))[:SHEETS]
            values, drawn = self.data[of], np.stack([e[of] for e in self.examples])
            values, drawn = values.reshape(self.n, -1), drawn.reshape(len(drawn), self.n, -1)
            some = slice(len(names))
            return plot.replications(values[:, some], drawn[..., some], label=of, columns=names)

    def __str__(self) -> str:
        table = self.table().head(12).to_string(index=False, float_format=_short)
        more = f"\n… and {len(self.names) - 12} more: .table()" if len(self.names) > 12 else ""
        return f"{self._head()}\n{self.verdict()}\n{table}{more}"

    __repr__ = __str__

    def _head(self) -> str:
        return f"{self.model}, {self.n:,} rows, {len(self.replicated):,} replications: {KINDS[self.kind]}"

    def _repr_html_(self) -> str:
        drawn = plot.inline(self.figure(), alt=self.verdict())
        table = self.table().to_html(float_format=_short, border=0, index=False)
        return f"<p>{escape(self._head())}<br>{escape(self.verdict())}</p>{drawn}{table}"


def tails(observed: Array, replicated: Array) -> tuple[Array, Array]:
    """Two-sided tail probabilities (statistics,) and their Monte-Carlo standard errors.

    Twice the smaller share of replications at or beyond the data, which count as one of them: it is never
    zero, and exact for data that are a draw like the others (Phipson and Smyth 2010).

    >>> p, error = tails(np.array([2.5]), np.array([[0.0], [1.0], [2.0], [3.0]]))
    >>> p.tolist(), error.round(3).tolist()
    ([0.8], [0.438])
    """
    with np.errstate(invalid="ignore"):
        above, below = ((replicated >= observed).sum(0), (replicated <= observed).sum(0))
    count = (~np.isnan(replicated)).sum(0)
    share = (np.minimum(above, below) + 1) / (count + 1)
    p = np.minimum(1.0, 2 * share)
    return p, 2 * np.sqrt(share * (1 - share) / (count + 1))


def adjusted_tails(observed: Array, replicated: Array) -> Array:
    """For each statistic, how often the farthest of all is as far in data sets like these (statistics,).

    Each statistic is measured from its median in units of its own spread on that side, in all data sets,
    the one at hand among them: were that one drawn like the others, all orders would be equally likely, so
    a number below any level is as rare as it says (Westfall and Young 1993).
    """
    far = _distances(np.vstack([replicated, observed]), observed, replicated)
    farthest = far.max(1)
    result: Array = (farthest[:, None] >= far[-1] * (1 - 1e-12)).mean(0)
    return result


def _distances(values: Array, observed: Array, replicated: Array) -> Array:
    """From the median, in units of the half-width of the central 68 % on that side."""
    every = np.vstack([replicated, observed])
    every = np.where(np.isfinite(every), every, np.nan)
    low, middle, high = np.nanquantile(every, [0.16, 0.5, 0.84], axis=0, method="nearest")
    spread = np.nanstd(every, 0)
    width = np.where(values > middle, high - middle, middle - low)
    width = np.where(width > 0, width, spread)
    with np.errstate(invalid="ignore"):
        far = abs(values - middle) / np.where(width > 0, width, np.inf)
    return np.where(np.isnan(far), 0.0, np.minimum(far, np.finfo(float).max))


def _short(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")

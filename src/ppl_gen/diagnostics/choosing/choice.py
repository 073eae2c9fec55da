"""What `choose_k` found: each criterion's numbers, the K it chooses, and in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from ppl_gen import plot
from ppl_gen.checks import did_you_mean
from ppl_gen.diagnostics.criticism.criteria import Worth
from ppl_gen.errors import DataError
from ppl_gen.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Criterion:
    """One criterion at every K, in nats, better when higher.

    Attributes:
        name: "log evidence", "LOO", "held out" or "-BIC/2".
        ks: the sizes, increasing.
        nats: of each (K,). errors: their standard errors, over rows or draws.
        below: the differences from the best, at most 0. paired: their standard errors; rows are the same for
            all, so differences are known better than what they are of.
        how: in words, how each was obtained. unsure: the K whose importance weights are not to be trusted.
    """

    name: str
    ks: tuple[int, ...]
    nats: Tensor
    errors: Tensor
    below: Tensor
    paired: Tensor
    how: tuple[str, ...]
    unsure: tuple[int, ...] = ()

    @classmethod
    def of(cls, name: str, worth: Mapping[int, Worth]) -> Self:
        """From what each K is worth."""
        nats, errors = (torch.tensor([w[i] for w in worth.values()], dtype=torch.float64) for i in (0, 1))
        unsure = tuple(k for k, w in worth.items() if not w.sure)
        best, rows = int(nats.argmax()), [w.rows for w in worth.values()]
        if (seen := [r for r in rows if r is not None]) and len(seen) == len(rows):
            apart = torch.stack(seen) - seen[best]
            paired = apart.std(1) * apart.shape[1] ** 0.5
        else:
            paired = (errors.square() + errors[best].square()).sqrt()
            paired[best] = 0
        how = tuple(w.how for w in worth.values())
        return cls(name, tuple(worth), nats, errors, nats - nats[best], paired, how, unsure)

    @property
    def best(self) -> int:
        """The K of the highest number."""
        return self.ks[int(self.nats.argmax())]

    @property
    def smallest(self) -> int:
        """The smallest K within one standard error of the best."""
        return next(k for k, d, e in zip(self.ks, self.below, self.paired, strict=True) if d + e >= 0)

    @property
    def chosen(self) -> int | None:
        """The same; None if that, or the best, is not to be trusted."""
        return None if {self.best, self.smallest} & set(self.unsure) else self.smallest

    def verdict(self) -> str:
        """One sentence.

        >>> from ppl_gen.diagnostics.criticism.criteria import Worth
        >>> loo = {k: Worth(v, 0., None, "PSIS") for k, v in {1: -90., 2: -50.5, 3: -52.}.items()}
        >>> Criterion.of("LOO", loo).verdict()
        'LOO is highest at K = 2, 1.5 nats above K = 3 (PSIS).'
        """
        name = self.name[0].upper() + self.name[1:]
        how, second = self.how[self.ks.index(self.best)], int(self.below.argsort(descending=True)[1])
        if self.chosen is None:
            unsure = " and ".join(f"K = {k}" for k in sorted({self.best, self.smallest} & set(self.unsure)))
            return (
                f"{name} chooses none: it is highest at K = {self.best} ({how}), and {unsure} is not to be "
                f"trusted."
            )
        if self.chosen != self.best:
            lead = f"but only {self._lead(self.chosen)} above K = {self.chosen}, which is simpler"
        else:
            lead = f"{self._lead(self.ks[second])} above K = {self.ks[second]}"
        return f"{name} is highest at K = {self.best}, {lead} ({how})."

    def _lead(self, k: int) -> str:
        i = self.ks.index(k)
        error = f" ± {self.paired[i]:,.1f}" if self.paired[i] > 0 else ""
        return f"{-self.below[i]:,.1f}{error} nats"


@dataclass(frozen=True, eq=False, repr=False)
class Choice:
    """Models of several sizes compared; made by `choose_k`.

    Attributes:
        criteria: those that apply.
        posteriors: K -> the fit to all rows.
        notes: why the others do not apply, to all K or to some, and what the fits warned of.
        failed: the K that could not be fitted; the notes say why.
    """

    criteria: tuple[Criterion, ...]
    posteriors: Mapping[int, Posterior]
    notes: tuple[str, ...]
    failed: tuple[int, ...] = ()

    def __getitem__(self, name: str) -> Criterion:
        found = {criterion.name: criterion for criterion in self.criteria}
        if name not in found:
            raise DataError(f"{name!r} is none of {', '.join(found)}.{did_you_mean(name, found)}")
        return found[name]

    @property
    def chosen(self) -> dict[str, int | None]:
        """Criterion -> the K that it chooses; None where its numbers are not to be trusted."""
        return {criterion.name: criterion.chosen for criterion in self.criteria}

    def table(self) -> "DataFrame":
        """One row for each criterion and K, in nats."""
        from pandas import DataFrame

        columns = ["criterion", "K", "nats", "s.e.", "below best", "s.e. of difference", "chosen", "how"]
        rows = [
            (
                c.name,
                k,
                *(float(v[i]) for v in (c.nats, c.errors, c.below, c.paired)),
                k == c.chosen,
                c.how[i],
            )
            for c in self.criteria
            for i, k in enumerate(c.ks)
        ]
        return DataFrame(rows, columns=columns)

    def verdict(self) -> str:
        """What each criterion says and which K it chooses, in plain words."""
        said, tried = [criterion.verdict() for criterion in self.criteria], list(self.posteriors)
        by: dict[int, list[str]] = {}
        for name, k in self.chosen.items():
            if k is not None:
                by.setdefault(k, []).append(name)
        if len(by) == 1 and len(self.criteria) > 1:
            ((k, names),) = by.items()
            said.append(f"{'All choose' if len(names) == len(self.criteria) else 'The rest choose'} K = {k}.")
        elif len(by) > 1:
            each = "; ".join(f"K = {k} by {' and '.join(names)}" for k, names in sorted(by.items()))
            said.append(f"They differ: {each}.")
        if tried[-1] in by and tried[-1] > max(self.failed, default=0):
            said.append(f"K = {tried[-1]} is the largest that was tried: try more.")
        return " ".join(said)

    def figure(self, dark: bool = False) -> "Figure":
        """All criteria against K, with standard errors, the chosen K ringed, as `plot.choices`."""
        with plot.style(dark):
            shown = {c.name: (*self._aligned(c), c.chosen) for c in self.criteria}
            unsure = {c.name: c.unsure for c in self.criteria}
            drawn: Any = plot.choices(list(self.posteriors), shown, unsure=unsure).figure
        figure: Figure = drawn
        return figure

    def _aligned(self, criterion: Criterion) -> tuple[Tensor, Tensor]:
        """Differences and their errors at every K that was fitted; nan where the criterion does not apply."""
        places = [list(self.posteriors).index(k) for k in criterion.ks]
        below, errors = torch.full((2, len(self.posteriors)), torch.nan, dtype=torch.float64)
        below[places], errors[places] = criterion.below, criterion.paired
        return below, errors

    def _lines(self) -> list[str]:
        """A row for each K, a column for each criterion: nats below the best, and which is chosen."""
        columns = [["K", *map(str, self.posteriors)]]
        for c in self.criteria:
            columns.append([c.name])
            for k, below, error in zip(self.posteriors, *(v.tolist() for v in self._aligned(c)), strict=True):
                star = "*" if k == c.chosen else " "
                columns[-1].append(f"{below:,.1f} ± {error:,.1f} {star}" if k in c.ks else "")
        widths = [max(map(len, column)) for column in columns]
        rows = zip(*columns, strict=True)
        return ["   ".join(v.rjust(w) for v, w in zip(row, widths, strict=True)).rstrip() for row in rows]

    def _head(self) -> str:
        model = type(next(iter(self.posteriors.values())).model).__name__
        return f"{model}, K = {', '.join(map(str, self.posteriors))}"

    def __str__(self) -> str:
        title = "Nats below the best, ± the standard error of that; * is chosen:"
        return "\n".join([self._head(), self.verdict(), title, *self._lines(), *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        import pandas

        drawn = plot.inline(self.figure(), alt=self.verdict())
        with pandas.option_context("display.max_colwidth", None):  # else what is long is cut
            table = self.table().to_html(float_format=lambda value: f"{value:,.1f}", border=0, index=False)
        said = "<br>".join(map(escape, [self._head(), self.verdict(), *self.notes]))
        return f"<p>{said}</p>{drawn}{table}"

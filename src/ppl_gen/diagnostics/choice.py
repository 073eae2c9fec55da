"""What `choose_k` found: each criterion's numbers, the K it chooses, and in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from ppl_gen import plot
from ppl_gen.checks import did_you_mean
from ppl_gen.diagnostics.criteria import Worth
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
        how: in words, how each was obtained.
    """

    name: str
    ks: tuple[int, ...]
    nats: Tensor
    errors: Tensor
    below: Tensor
    paired: Tensor
    how: tuple[str, ...]

    @classmethod
    def of(cls, name: str, worth: Mapping[int, Worth]) -> Self:
        """From what each K is worth."""
        nats, errors = (torch.tensor([w[i] for w in worth.values()]).double() for i in (0, 1))
        best, rows = int(nats.argmax()), [w.rows for w in worth.values() if w.rows is not None]
        if rows:
            apart = torch.stack(rows) - rows[best]
            paired = apart.std(1) * apart.shape[1] ** 0.5
        else:
            paired = (errors.square() + errors[best].square()).sqrt()
            paired[best] = 0
        how = tuple(w.how for w in worth.values())
        return cls(name, tuple(worth), nats, errors, nats - nats[best], paired, how)

    @property
    def best(self) -> int:
        """The K of the highest number."""
        return self.ks[int(self.nats.argmax())]

    @property
    def chosen(self) -> int:
        """The smallest K within one standard error of the best."""
        return next(k for k, d, e in zip(self.ks, self.below, self.paired, strict=True) if d + e >= 0)

    def verdict(self) -> str:
        """One sentence.

        >>> from ppl_gen.diagnostics.criteria import Worth
        >>> loo = {k: Worth(v, 0., None, "PSIS") for k, v in {1: -90., 2: -50.5, 3: -52.}.items()}
        >>> Criterion.of("LOO", loo).verdict()
        'LOO is highest at K = 2, 1.5 nats above K = 3 (PSIS).'
        """
        place, name = self.ks.index(self.best), self.name[0].upper() + self.name[1:]
        said = f"{name} is highest at K = {self.best}"
        if self.chosen != self.best:
            i = self.ks.index(self.chosen)
            said += (
                f", but only {-self.below[i]:,.1f} ± {self.paired[i]:,.1f} nats above K = {self.chosen}, "
                f"which is simpler"
            )
        else:
            rest = self.below.clone()
            rest[place] = -torch.inf
            i = int(rest.argmax())
            error = f" ± {self.paired[i]:,.1f}" if self.paired[i] > 0 else ""
            said += f", {-self.below[i]:,.1f}{error} nats above K = {self.ks[i]}"
        return f"{said} ({self.how[place]})."


@dataclass(frozen=True, eq=False, repr=False)
class Choice:
    """Models of several sizes compared; made by `choose_k`.

    Attributes:
        criteria: those that apply.
        posteriors: K -> the fit to all rows.
        notes: why the others do not apply, and what the fits warned of.
    """

    criteria: tuple[Criterion, ...]
    posteriors: Mapping[int, Posterior]
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> Criterion:
        found = {criterion.name: criterion for criterion in self.criteria}
        if name not in found:
            raise DataError(f"{name!r} is none of {', '.join(found)}.{did_you_mean(name, found)}")
        return found[name]

    @property
    def chosen(self) -> dict[str, int]:
        """Criterion -> the K that it chooses."""
        return {criterion.name: criterion.chosen for criterion in self.criteria}

    def table(self) -> "DataFrame":
        """One row for each criterion and K, in nats."""
        from pandas import DataFrame

        columns = ["criterion", "K", "nats", "s.e.", "below best", "s.e. of difference", "chosen", "how"]
        rows = [
            (c.name, k, *(float(v[i]) for v in (c.nats, c.errors, c.below, c.paired)), k == c.chosen, c.how[i])
            for c in self.criteria
            for i, k in enumerate(c.ks)
        ]
        return DataFrame(rows, columns=columns)

    def verdict(self) -> str:
        """What each criterion says and which K it chooses, in plain words."""
        said, ks = [criterion.verdict() for criterion in self.criteria], sorted(set(self.chosen.values()))
        tried = list(self.posteriors)
        if len(self.criteria) > 1:
            by = {k: " and ".join(n for n, chosen in self.chosen.items() if chosen == k) for k in ks}
            said.append(
                f"All choose K = {ks[0]}."
                if len(ks) == 1
                else f"They differ: {'; '.join(f'K = {k} by {names}' for k, names in by.items())}."
            )
        if tried[-1] in ks:
            said.append(f"K = {tried[-1]} is the largest that was tried: try more.")
        return " ".join(said)

    def figure(self, dark: bool = False) -> "Figure":
        """All criteria against K, with standard errors, the chosen K ringed, as `plot.choices`."""
        with plot.style(dark):
            shown = {c.name: (c.below, c.paired, c.chosen) for c in self.criteria}
            drawn: Any = plot.choices(list(self.posteriors), shown).figure
        figure: Figure = drawn
        return figure

    def __str__(self) -> str:
        model = type(next(iter(self.posteriors.values())).model).__name__
        head = f"{model}, K = {', '.join(map(str, self.posteriors))}"
        return "\n".join([head, self.verdict(), *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        import matplotlib.pyplot as plt

        figure = self.figure()
        drawn = plot.svg(figure, alt=self.verdict())
        plt.close(figure)
        table = self.table().to_html(float_format=lambda value: f"{value:,.1f}", border=0, index=False)
        return f"<p>{escape(str(self)).replace(chr(10), '<br>')}</p>{drawn}{table}"

"""What `ladder` found: methods one below the other, what each step down costs, and where it falls short."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ppl_gen.checks import did_you_mean
from ppl_gen.core import ProbabilisticModel
from ppl_gen.diagnostics.choosing.moments import SURE, Moments, in_words
from ppl_gen.diagnostics.trees.trees import to_arviz
from ppl_gen.errors import DataError
from ppl_gen.inference.nuts import Draws
from ppl_gen.posterior import Posterior

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Rung:
    """What one method found, and what that took.

    Attributes:
        name: of the method.
        why: in words, why it does not apply; empty if it does.
        bound: on the log evidence of all rows in nats; nan where the method has none.
        error: the bound's standard error.
        k_hat: of the guide's draws as importance weights (the median over rows, if they stand apart); -inf
            where all weights are equal.
        moments: means and sds of every parameter's posterior, by name, and their Monte-Carlo errors.
        seconds: to fit, without these measurements.
        posterior: what `fit` returned, if it did.
    """

    name: str
    why: str = ""
    bound: float = float("nan")
    error: float = float("nan")
    k_hat: float = float("nan")
    moments: Moments | None = None
    seconds: float = float("nan")
    posterior: Posterior | None = None

    @property
    def means(self) -> Mapping[str, Tensor]:
        """Of every parameter's posterior, by name; empty where there is none."""
        return self.moments.means if self.moments else {}

    @property
    def sds(self) -> Mapping[str, Tensor]:
        """Of every parameter's posterior, by name; empty where there is none."""
        return self.moments.sds if self.moments else {}


@dataclass(frozen=True, eq=False)
class Ladder:
    """The rungs of one model, by `ladder`.

    Attributes:
        model: the joint. rungs: one for each method, in order.
        log_evidence: the best that is known, in nats; which that is stands in ``evidence_by``.
        reference: the rung whose posterior means and sds count as right.
        labels: what was done, before means and sds were taken, about components that have no names.
    """

    model: ProbabilisticModel
    rungs: tuple[Rung, ...]
    log_evidence: float
    evidence_by: str
    reference: str
    labels: str = ""

    def __getitem__(self, name: str) -> Rung:
        found = {rung.name: rung for rung in self.rungs}
        if name not in found:
            listed = ", ".join(map(repr, found))
            raise DataError(f"{name!r} is no rung; there are {listed}.{did_you_mean(name, found)}")
        return found[name]

    def errors(self, name: str) -> tuple[float, float]:
        """Of means and of sds, over all parameters' elements.

        Root mean squares of the means' errors, in sds of the reference, and of the sds' relative errors. Both
        are of draws, and have their noise. A point's sd is zero, an error of 1. nan without a reference.
        """
        found, best = self[name].moments, self[self.reference].moments if self.reference else None
        return found.errors(best) if found and best else (float("nan"), float("nan"))

    def table(self) -> "pandas.DataFrame":
        """The rungs that apply, one row each; what does not is in `words`."""
        import pandas

        columns: dict[str, list[float]] = {name: [] for name in COLUMNS}
        applied = [rung for rung in self.rungs if not rung.why]
        for rung in applied:
            gap = self.log_evidence - rung.bound
            row = (rung.bound, rung.error, gap, rung.k_hat, *self.errors(rung.name), rung.seconds)
            for name, value in zip(COLUMNS, row, strict=True):
                columns[name].append(value)
        return pandas.DataFrame(columns, index=pandas.Index([r.name for r in applied], name="method"))

    def shortfalls(self) -> dict[str, str]:
        """In words, what each approximation lost: nats, and means and sds that differ by more than chance.

        A rung that lost nothing that these draws could show, and a point, which has no sds, have no entry.
        """
        found = {}
        best = self[self.reference].moments if self.reference else None
        for rung in self.rungs:
            if (
                rung.why
                or rung.name == self.reference
                or (rung.posterior is not None and rung.posterior.point)
            ):
                continue
            said, gap = [], self.log_evidence - rung.bound
            if rung.name != self.evidence_by.partition(" (")[0] and gap > max(SURE * rung.error, 0.1):
                said.append(f"{gap:,.2f} ± {rung.error:.2g} nats below the log evidence")
            if rung.k_hat > 0.7:
                said.append(f"k-hat {rung.k_hat:.2f}, above 0.7: weights cannot mend it")
            if best and rung.moments:
                said.append(in_words(rung.moments, best, self.reference))
            if any(said):
                found[rung.name] = "; ".join(filter(None, said))
        return found

    def words(self) -> str:
        """Against what the rungs are measured, what they lost, and why a cell or a rung is not there."""
        lines = [f"log evidence {self.log_evidence:,.3f} nats, by {self.evidence_by}"]
        lines += [f"means and sds against {self.reference}{self.labels}"] if self.reference else []
        lines += [f"{name} falls short: {what}" for name, what in self.shortfalls().items()]
        applied = [rung for rung in self.rungs if not rung.why]
        points = [r.name for r in applied if r.posterior is not None and r.posterior.point]
        chains = [r.name for r in applied if r.posterior is not None and isinstance(r.posterior.guide, Draws)]
        missing = [f"{', '.join(points)}: a point, whose log q is infinite"] if points else []
        missing += [f"{', '.join(chains)}: draws have no density"] if chains else []
        lines += [f"no bound ({'; '.join(missing)})"] if missing else []
        errorless = [rung.name for rung in applied if not (rung.moments and self.reference)]
        lines += [f"no errors of means and sds ({', '.join(errorless)}): {self._why_no_errors()}"] * any(
            errorless
        )
        return "\n".join(lines + [f"{r.name}: does not apply. {r.why}" for r in self.rungs if r.why])

    def _why_no_errors(self) -> str:
        if any(rung.moments for rung in self.rungs):
            if not self.reference:
                return "none of these rungs can be the reference, as exact, enumeration, NUTS and weights can"
            return "it gives the evidence alone"
        return (
            "rows share no hidden variable here, and codes of rows have other axes in every fit: judge by "
            "the bounds"
        )

    def figure(self) -> "Figure":
        """The gaps to the log evidence, and the errors of means and sds, as `plot.ladder`."""
        from ppl_gen.plot import ladder as draw

        applied = [rung for rung in self.rungs if not rung.why]
        gaps = [self.log_evidence - rung.bound for rung in applied]
        errors = [self.errors(rung.name) for rung in applied]
        return draw([r.name for r in applied], gaps, *zip(*errors, strict=True))

    def trees(self, draws: int = 500, seed: int = 0) -> "dict[str, xarray.DataTree]":
        """Every rung's posterior for ArviZ, by `to_arviz`; points and evidences have none."""
        kept = {r.name: r.posterior for r in self.rungs if r.posterior is not None and not r.posterior.point}
        return {name: to_arviz(posterior, draws=draws, seed=seed) for name, posterior in kept.items()}

    def _shown(self, method: str, **options: Any) -> str:
        table = self.table()
        texts = {name: [_text(value, form) for value in table[name]] for name, form in COLUMNS.items()}
        text: str = getattr(type(table)(texts, index=table.index), method)(**options)
        return text

    def __str__(self) -> str:
        return f"{type(self.model).__name__}: {self.model.joint}\n{self._shown('to_string')}\n{self.words()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        words = html.escape(self.words()).replace("\n", "<br>")
        return f"{self._shown('to_html', border=0)}<small>{words}</small>"


COLUMNS = {
    "bound (nats)": ",.2f",
    "s.e.": ",.2g",
    "gap (nats)": ",.2f",
    "k-hat": ".2f",
    "error of means (sd)": ".2f",
    "error of sds (fraction)": ".2f",
    "seconds": ",.2f",
}


def _text(value: float, form: str) -> str:
    if value != value:
        return "–"
    return "0" if value == 0 else format(round(value, 9) + 0.0, form).removeprefix("-" * (abs(value) < 0.005))

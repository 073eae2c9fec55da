"""What the laboratory measured: scores against training rows, who is ahead where, and in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ppl_gen import plot
from ppl_gen.checks import did_you_mean
from ppl_gen.errors import DataError
from ppl_gen.laboratory.crossing import Crossing, crossing, half_width, leaders
from ppl_gen.laboratory.words import lead

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

UNITS = {
    "error": "held-out rows misclassified",
    "log loss": "log loss on held-out rows (nats)",
    "confidence": "mean probability of the class decided for",
}
SHARES = ("error", "confidence")
SCORES = ("error", "log loss")  # both better when lower


@dataclass(frozen=True, eq=False, repr=False)
class LearningCurves:
    """Scores on held-out rows against the number of training rows; made by `learning_curves`.

    All models saw the same rows, so they are compared by paired differences: one may be ahead where the bands
    of both overlap. Intervals are of the mean over repeats, that is, over random splits, which share rows.

    Attributes:
        models: their names.
        sizes: training rows, increasing.
        error: share of held-out rows misclassified, (models, repeats, sizes).
        log_loss: minus the mean log probability of the true class, in nats, alike.
        confidence: mean probability of the class decided for, alike; with 1 - error it tells overconfidence.
        how: how each model's probabilities were obtained.
        data: the name of the data. regime: what was done to them.
        held_out: the rows that were scored. seed: decided all.
    """

    models: tuple[str, ...]
    sizes: tuple[int, ...]
    error: Tensor
    log_loss: Tensor
    confidence: Tensor
    how: dict[str, str]
    data: str
    regime: str
    held_out: int
    seed: int

    @property
    def repeats(self) -> int:
        """How many random splits."""
        return int(self.error.shape[1])

    def scores(self, score: str = "error") -> Tensor:
        """One score of all: "error", "log loss" or "confidence", (models, repeats, sizes)."""
        if score not in UNITS:
            raise DataError(
                f"score: expected {', '.join(UNITS)}, got {score!r}{did_you_mean(str(score), UNITS)}"
            )
        found: Tensor = getattr(self, score.replace(" ", "_"))
        return found

    def table(self) -> "DataFrame":
        """One row for each model, size and score: its mean, and the 95 % interval of the mean."""
        from pandas import DataFrame

        rows = []
        for score in UNITS:
            values = self.scores(score).transpose(0, 1)
            mean, half = values.mean(0), half_width(values)
            for i, model in enumerate(self.models):
                for j, size in enumerate(self.sizes):
                    m, h = float(mean[i, j]), float(half[i, j])
                    rows.append((model, size, score, m, m - h, m + h, self.repeats))
        return DataFrame(rows, columns=["model", "rows", "score", "mean", "low", "high", "repeats"])

    def ahead(self, score: str = "error", models: Sequence[str] | None = None) -> tuple[str, ...]:
        """The model that is ahead of all others at each size; "" where they are too close to call.

        One is ahead of another where the 95 % interval of their paired difference excludes zero, widened so
        that all sizes and pairs hold together (Holm 1979): in at most 5 of 100 experiments is anybody said
        to be ahead who is not.

        Args:
            score: "error" or "log loss". models: some of the names; all by default.
        """
        names = self._names(models)
        if len(names) < 2:
            raise DataError(
                f"models: expected two or more of {', '.join(self.models)}, got {', '.join(names)}"
            )
        values = dict(zip(self.models, self._better_low(score), strict=True))
        pairs = list(combinations(names, 2))
        signs = leaders(torch.cat([values[a] - values[b] for a, b in pairs], 1)).reshape(len(pairs), -1)
        wins = {name: torch.zeros(len(self.sizes)) for name in names}
        for (a, b), sign in zip(pairs, signs, strict=True):
            wins[a], wins[b] = wins[a] + (sign < 0), wins[b] + (sign > 0)
        best = len(names) - 1
        return tuple(next((n for n in names if wins[n][j] == best), "") for j in range(len(self.sizes)))

    def crossing(self, score: str = "error", models: Sequence[str] | None = None) -> Crossing:
        """Where the mean curves of two models cross, with a 95 % interval; false where none is established.

        Drawn means may cross without: a crossing takes one model ahead at some size and the other at
        another, both as in `ahead`.

        Args:
            score: "error" or "log loss". models: two of the names; needed where there are more.
        """
        names = self._names(models)
        if len(names) != 2:
            raise DataError(f"models: expected two of {', '.join(self.models)}, got {', '.join(names)}")
        first, second = (self._better_low(score)[self.models.index(name)] for name in names)
        return crossing(score, (names[0], names[1]), self.sizes, first - second, self.seed)

    def verdict(self, score: str = "error") -> str:
        """Who is ahead where in plain words, and of two models, where their curves cross.

        Of more models, who is ahead of all others; `ahead` and `crossing` tell of any two.
        """
        if len(self.models) < 2:
            return f"There is one model: {self.models[0]}."
        said = lead(score, self.sizes, self.ahead(score))
        return f"{said}; {self.crossing(score)}." if len(self.models) == 2 else f"{said}."

    def figure(self, score: str = "error", dark: bool = False) -> "Figure":
        """The curves with their 95 % bands, and the crossing where two models have one."""
        with plot.style(dark):
            curves = dict(zip(self.models, self.scores(score), strict=True))
            found = self.crossing(score) if len(self.models) == 2 and score in SCORES else None
            mark = found.interval if found else None
            drawn: Any = plot.learning_curves(
                self.sizes, curves, ylabel=UNITS[score], crossing=mark, percent=score in SHARES
            ).figure
        figure: Figure = drawn
        return figure

    def __str__(self) -> str:
        head = (
            f"{self.data}, {self.regime}: {', '.join(self.models)} from {self.sizes[0]:,} to "
            f"{self.sizes[-1]:,} training rows, {self.repeats} repeats, {self.held_out:,} rows held out"
        )
        return "\n".join([head, *(self.verdict(score) for score in SCORES)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        import matplotlib.pyplot as plt

        drawings = ""
        for score in SCORES:
            figure = self.figure(score)
            drawings += plot.svg(figure, alt=self.verdict(score))
            plt.close(figure)
        return f"<p>{escape(str(self)).replace(chr(10), '<br>')}</p>{drawings}"

    def _names(self, models: Sequence[str] | None) -> tuple[str, ...]:
        if isinstance(models, str):
            raise DataError(f"models: expected some of {', '.join(self.models)}, got {models!r}")
        names = self.models if models is None else tuple(models)
        for name in names:
            if name not in self.models:
                hint = did_you_mean(str(name), self.models)
                raise DataError(f"models: expected some of {', '.join(self.models)}, got {name!r}.{hint}")
        return names

    def _better_low(self, score: str) -> Tensor:
        if score not in SCORES:
            raise DataError(f"score: expected {' or '.join(SCORES)}, got {score!r}")
        return self.scores(score)

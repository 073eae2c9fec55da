"""Regimes: what is done to training and test rows, to break the assumptions of one model or another."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from ppl_gen.checks import whole
from ppl_gen.data import Dataset
from ppl_gen.errors import DataError
from ppl_gen.inference import Exact
from ppl_gen.laboratory.learners import Learner

Pair = tuple[Dataset, Dataset]


@dataclass(frozen=True)
class AsIs:
    """The rows as they are."""

    def __call__(self, train: Dataset, test: Dataset, generator: Generator) -> Pair:
        """The changed training rows (all that may be used) and test rows of one repeat."""
        return train, test

    def variants(self, name: str, learner: Any) -> dict[str, Any]:
        """The learners that stand for one model: itself, and what the regime adds."""
        return {name: learner}

    def __str__(self) -> str:
        return "as is"


@dataclass(frozen=True)
class Copies(AsIs):
    """The first ``columns`` (all by default) come ``copies`` times more, plus Gaussian noise.

    Features then depend on one another given the class, and naive Bayes counts one piece of evidence as
    several: copies of all columns make it too sure, copies of some turn its decisions as well. The models
    must have the copies among their features. ``noise`` is in standard deviations of the training rows.
    """

    copies: int = 1
    columns: int | None = None
    noise: float = 0.0

    def __post_init__(self) -> None:
        whole("copies", self.copies)
        if self.columns is not None:
            whole("columns", self.columns)
        _within("noise", self.noise, float("inf"))

    def __call__(self, train: Dataset, test: Dataset, generator: Generator) -> Pair:
        """Append the copies."""
        if self.columns is not None and self.columns > len(train.features):
            raise DataError(
                f"columns: expected at most the {len(train.features)} there are, got {self.columns}"
            )
        spread = train.x.std(0, correction=0)[: self.columns]
        return self._wider(train, spread, generator), self._wider(test, spread, generator)

    def _wider(self, data: Dataset, spread: Tensor, generator: Generator) -> Dataset:
        columns, names = [data.x], list(data.features)
        for copy in range(1, self.copies + 1):
            copied = data.x[:, : self.columns]
            error = torch.randn(copied.shape, generator=generator, dtype=torch.float64)
            columns.append(copied + self.noise * spread * error if self.noise else copied)
            names += [f"{name}_copy{copy}" for name in data.features[: self.columns]]
        return replace(data, x=torch.cat(columns, 1), features=tuple(names))

    def __str__(self) -> str:
        of = "each feature" if self.columns is None else f"the first {self.columns} features"
        noise = f" plus noise of {self.noise:g} sd" if self.noise else ""
        return f"with {self.copies} cop{'y' if self.copies == 1 else 'ies'} of {of}{noise}"


@dataclass(frozen=True)
class LabelShift(AsIs):
    """The classes of the test rows come with the frequencies ``probs`` (classes,).

    As many test rows as possible are kept, at random. Each generative model stands twice: once with the
    class frequencies that it learned, once told the new ones, ``ask(posterior, "p(y | x, pi)", …)``.
    """

    probs: tuple[float, ...]

    def __post_init__(self) -> None:
        good = len(self.probs) > 1 and all(p >= 0 for p in self.probs) and abs(sum(self.probs) - 1) < 1e-6
        if not good:
            raise DataError(f"probs: expected class frequencies that add up to one, got {self.probs}")

    def __call__(self, train: Dataset, test: Dataset, generator: Generator) -> Pair:
        """Drop test rows until the classes have their frequencies, each to within one row."""
        if len(self.probs) != len(test.classes):
            raise DataError(f"probs: expected {len(test.classes)} frequencies, got {len(self.probs)}")
        probs = torch.tensor(self.probs, dtype=torch.float64)
        counts = torch.bincount(test.y, minlength=len(probs))
        total = (counts / probs)[probs > 0].min()
        wanted = (total * probs + 1e-9).floor().tolist()
        order = torch.randperm(len(test), generator=generator)
        kept = [order[test.y[order] == k][: int(n)] for k, n in enumerate(wanted)]
        rows = torch.cat(kept).sort().values
        if not len(rows):
            raise DataError(f"probs: expected test rows of every class that is wanted, got {counts.tolist()}")
        return train, test[rows]

    def variants(self, name: str, learner: Any) -> dict[str, Any]:
        """A generative model stands for two."""
        told = {}
        if isinstance(learner, Learner) and learner.generative:
            told = {f"{name} (told p(y))": replace(learner, pi=torch.tensor(self.probs).double())}
        return {name: learner} | told

    def __str__(self) -> str:
        return f"with test classes in the shares {', '.join(f'{p:g}' for p in self.probs)}"


@dataclass(frozen=True)
class Missing(AsIs):
    """A ``share`` of the cells is deleted at random, of test rows and (if ``train``) of training rows.

    Generative models sum the missing cells out; for models that are given x, the means of the training
    rows stand in. Functions of the user's get NaN.
    """

    share: float = 0.3
    train: bool = False

    def __post_init__(self) -> None:
        _within("share", self.share, 1.0)

    def __call__(self, train: Dataset, test: Dataset, generator: Generator) -> Pair:
        """Delete each cell with probability ``share``."""
        return self._holed(train, generator) if self.train else train, self._holed(test, generator)

    def _holed(self, data: Dataset, generator: Generator) -> Dataset:
        gone = torch.rand(data.x.shape, generator=generator, dtype=torch.float64) < self.share
        return replace(data, x=data.x.masked_fill(gone, torch.nan))

    def __str__(self) -> str:
        return f"with {100 * self.share:g} % of the {'' if self.train else 'test '}cells missing"


@dataclass(frozen=True)
class FewLabels(AsIs):
    """The sizes count labelled rows; the other training rows are there without labels.

    Each generative model with a closed form stands twice: once from the labelled rows alone, once going on
    from them to the rows without labels, at the mode (`MAP`) of the posterior with their classes summed
    out (Nigam et al. 2000). Models that are given x learn nothing from rows without labels.

    The search for that mode looks at every row in each of its steps, where a closed form counts once: the
    regime takes ten times as long as others, or longer. Fewer ``repeats`` or ``sizes`` help.
    """

    def variants(self, name: str, learner: Any) -> dict[str, Any]:
        """A generative model stands for two."""
        more = {}
        if isinstance(learner, Learner) and learner.generative and isinstance(learner.method, Exact):
            more = {f"{name} (with unlabelled rows)": replace(learner, hidden=True)}
        return {name: learner} | more

    def __str__(self) -> str:
        return "with the other training rows unlabelled"


def _within(name: str, value: Any, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < most:
        raise DataError(
            f"{name}: expected a number from 0 up{f', below {most:g}' if most < 9 else ''}, got {value!r}"
        )

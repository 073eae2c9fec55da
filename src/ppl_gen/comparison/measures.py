"""How good each side is on rows that it has not seen, with 95 % intervals, and paired."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ppl_gen.calibration import calibration_curve
from ppl_gen.data import Dataset
from ppl_gen.progress import track

BASELINE = "no columns: class frequencies"
RESAMPLES = 100  # of the bootstrap


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 if the interval lies on one side of zero, else 0."""
        return int(self.low > 0) - int(self.high < 0)

    @property
    def positive(self) -> "Estimate":
        """Of what cannot lie below zero: nor does its interval."""
        return Estimate(self.value, max(self.low, 0.0), self.high)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What both sides said of the same unseen rows.

    Attributes:
        rows: (n,) which rows of the data; y: (n,) their classes.
        log_probs: name -> log p(y | x), (n, classes), each row by a fit that had not seen it.
        training: rows that each fit learned from; folds: how many fits.
    """

    rows: Tensor
    y: Tensor
    log_probs: Mapping[str, Tensor]
    training: int
    folds: int

    def wrong(self, name: str) -> Tensor:
        """Whether the most probable class is not the true one, (n,) of 0 and 1."""
        return (self.log_probs[name].argmax(1) != self.y).double()

    def log_loss(self, name: str) -> Tensor:
        """Minus the log probability of the true class, (n,) in nats."""
        return -self.log_probs[name].gather(1, self.y[:, None])[:, 0]

    def confidence(self, name: str) -> Tensor:
        """The probability of the most probable class, (n,)."""
        return self.log_probs[name].amax(1).exp()

    def excess(self, name: str) -> Tensor:
        """Confidence less correctness, (n,): its mean is the over-confidence."""
        return self.confidence(name) - 1 + self.wrong(name)

    def calibration_errors(self, seed: int = 0) -> tuple[dict[str, Estimate], Estimate]:
        """The expected calibration error of each side, and the first's less the second's.

        Of the class decided for. Intervals are of what as many other rows would give on average: chance
        alone lifts the error above zero, and resampling lifts it again. So a bootstrap over rows, the same
        for both sides, tells only how far the error varies about its own mean (Davison and Hinkley 1997,
        chapter 5: the basic bootstrap, the bias taken off).
        """
        generator = torch.Generator().manual_seed(seed)
        n = len(self.y)
        sides = [name for name in self.log_probs if name != BASELINE]
        events = [(self.confidence(name), (1 - self.wrong(name)).long()) for name in sides]

        def errors(rows: Tensor) -> list[float]:
            return [calibration_curve(p[rows], came[rows]).error for p, came in events]

        value = torch.tensor(errors(torch.arange(n)), dtype=torch.float64)
        draws = [errors(torch.randint(n, (n,), generator=generator)) for _ in range(RESAMPLES)]
        drawn = torch.tensor(draws, dtype=torch.float64)
        each = {name: _about(value[i], drawn[:, i]).positive for i, name in enumerate(sides)}
        return each, _about(value[0] - value[1], drawn[:, 0] - drawn[:, 1])


def mean_of(values: Tensor) -> Estimate:
    """The mean of independent values with its 95 % interval, by Student's t."""
    from scipy.stats import t

    value, half = (
        float(values.mean()),
        float(t.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5),
    )
    return Estimate(value, value - half, value + half)


def hold_out(
    learners: Mapping[str, Callable[[Dataset], Callable[[Dataset], Tensor]]],
    data: Dataset,
    *,
    folds: int = 10,
    most: int = 50_000,
    whole: int = 5_000,
    seed: int = 0,
) -> HeldOut:
    """Fit on some rows, predict the others: every row once by cross-validation, or a sample of many rows.

    Up to ``whole`` rows, ``folds`` parts are left out in turn; of more, a quarter (``most`` at most) is
    left out once. Parts have the classes in the same proportions. Both sides see the same rows, and so does
    `BASELINE`: the class frequencies of the training rows, whatever the columns hold.
    """
    parts = _parts(data.y, folds, seed) if len(data) <= whole else None
    if parts is None:
        count, generator = min(len(data) // 4, most), torch.Generator().manual_seed(seed)
        parts = torch.ones(len(data), dtype=torch.long)
        parts[torch.randperm(len(data), generator=generator)[:count]] = 0
        folds = 1
    learners = {**learners, BASELINE: frequencies}
    said: dict[str, list[Tensor]] = {name: [] for name in learners}
    rows = [torch.nonzero(parts == k)[:, 0] for k in range(folds)]
    for k in track(range(folds), "Held-out rows"):
        train, test = data[parts != k], data[parts == k]
        for name, learner in learners.items():
            said[name].append(learner(train)(test))
    index = torch.cat(rows)
    log_probs = {name: torch.cat(values) for name, values in said.items()}
    return HeldOut(index, data.y[index], log_probs, round(len(data) - len(index) / folds), folds)


def frequencies(train: Dataset) -> Callable[[Dataset], Tensor]:
    """A learner that looks at no column: log p(y), each class counted as if seen once more (Laplace)."""
    counts = 1.0 + torch.bincount(train.y, minlength=len(train.classes)).double()
    return lambda test: (counts / counts.sum()).log().expand(len(test), -1)


def _parts(y: Tensor, folds: int, seed: int) -> Tensor:
    """A fold for each row, (n,): the rows, shuffled within their classes, are dealt out in turn."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    by_class = order[y[order].argsort(stable=True)]
    parts = torch.empty_like(y)
    parts[by_class] = torch.arange(len(y)) % folds
    return parts


def _about(value: Tensor, drawn: Tensor) -> Estimate:
    """The value, and how far it varies: ``drawn`` values differ from their mean as the value from its own."""
    ends = torch.quantile(drawn - drawn.mean(), torch.tensor([0.975, 0.025]).double())
    low, high = (value - ends).tolist()
    return Estimate(float(value), low, high)

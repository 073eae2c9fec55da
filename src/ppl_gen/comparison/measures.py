"""How good each side is on rows that it has not seen, with 95 % intervals, and paired."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ppl_gen.data import Dataset
from ppl_gen.progress import track

BINS = 10  # of a calibration curve
RESAMPLES = 400  # of the bootstrap


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


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What both sides said of the same unseen rows.

    Attributes:
        rows: (n,) which rows of the data; y: (n,) their classes.
        log_probs: name -> log p(y | x), (n, classes), each row by a fit that had not seen it.
        training: rows that each fit learned from; folds: how many fits.
        seconds: name -> of all fits and predictions.
        last: name -> the last fit.
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

    def reliability(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """Mean confidence, share right and number of rows in each bin of confidence that holds rows."""
        confidence, right = self.confidence(name), 1 - self.wrong(name)
        bins = _bins(confidence)
        count = torch.bincount(bins, minlength=BINS).double()
        sums = (torch.bincount(bins, weights=values, minlength=BINS) for values in (confidence, right))
        mean, share = (total[count > 0] / count[count > 0] for total in sums)
        return mean, share, count[count > 0]

    def calibration_errors(self, seed: int = 0) -> tuple[dict[str, Estimate], Estimate]:
        """The expected calibration error of each side, and the first less the second.

        It is the mean over rows of |share right - mean confidence| of the row's bin (Naeini, Cooper &
        Hauskrecht 2015). Intervals: basic bootstrap over rows, the same rows for both sides.
        """
        generator = torch.Generator().manual_seed(seed)
        n = len(self.y)
        found = []
        for name in self.log_probs:
            bins, gap = _bins(self.confidence(name)), self.excess(name)
            found.append((bins, gap))
        value = [float(_calibration(bins, gap)) for bins, gap in found]
        drawn = torch.empty(RESAMPLES, len(found), dtype=torch.float64)
        for r in range(RESAMPLES):
            rows = torch.randint(n, (n,), generator=generator)
            drawn[r] = torch.stack([_calibration(bins[rows], gap[rows]) for bins, gap in found])
        each = {name: _basic(value[i], drawn[:, i], floor=0.0) for i, name in enumerate(self.log_probs)}
        return each, _basic(value[0] - value[1], drawn[:, 0] - drawn[:, 1])


def mean_of(values: Tensor) -> Estimate:
    """The mean of independent values with its 95 % interval, by Student's t."""
    from scipy.stats import t

    value, half = float(values.mean()), float(t.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5)
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
    left out once. Parts have the classes in the same proportions. Both sides see the same rows.
    """
    parts = _parts(data.y, folds, seed) if len(data) <= whole else None
    if parts is None:
        count, generator = min(len(data) // 4, most), torch.Generator().manual_seed(seed)
        parts = torch.ones(len(data), dtype=torch.long)
        parts[torch.randperm(len(data), generator=generator)[:count]] = 0
        folds = 1
    said: dict[str, list[Tensor]] = {name: [] for name in learners}
    rows = [torch.nonzero(parts == k)[:, 0] for k in range(folds)]
    for k in track(range(folds), "Held-out rows"):
        train, test = data[parts != k], data[parts == k]
        for name, learner in learners.items():
            said[name].append(learner(train)(test))
    index = torch.cat(rows)
    log_probs = {name: torch.cat(values) for name, values in said.items()}
    return HeldOut(index, data.y[index], log_probs, round(len(data) - len(index) / folds), folds)


def _parts(y: Tensor, folds: int, seed: int) -> Tensor:
    """A fold for each row, (n,): the rows, shuffled within their classes, are dealt out in turn."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    by_class = order[y[order].argsort(stable=True)]
    parts = torch.empty_like(y)
    parts[by_class] = torch.arange(len(y)) % folds
    return parts


def _bins(confidence: Tensor) -> Tensor:
    return (confidence * BINS).long().clamp(0, BINS - 1)


def _calibration(bins: Tensor, gap: Tensor) -> Tensor:
    return torch.bincount(bins, weights=gap, minlength=BINS).abs().sum() / len(gap)


def _basic(value: float, drawn: Tensor, floor: float = -torch.inf) -> Estimate:
    low, high = torch.quantile(drawn, torch.tensor([0.025, 0.975]).double()).tolist()
    return Estimate(value, max(2 * value - high, floor), max(2 * value - low, floor))

"""The experiment: the same rows to all models, from few to many, again and again."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from ppl_gen.checks import called, whole
from ppl_gen.data import Dataset
from ppl_gen.errors import DataError, Interrupted
from ppl_gen.isolation import isolated
from ppl_gen.laboratory.curves import LearningCurves
from ppl_gen.laboratory.learners import Learner, learners, log_probs
from ppl_gen.laboratory.regimes import AsIs
from ppl_gen.progress import track


def learning_curves(
    models: Mapping[str, Any],
    data: Dataset,
    sizes: Sequence[int],
    repeats: int = 20,
    seed: int = 0,
    *,
    test: float | int = 0.3,
    stratify: bool = False,
    standardize: bool = True,
    regime: AsIs | None = None,
    draws: int = 300,
    progress: bool | None = None,
) -> LearningCurves:
    """Measure error and log loss of each model on held-out rows, against the number of training rows.

    In each repeat some random rows are held out, and the others come in random order: the first so many are
    the training rows, so smaller training sets lie inside larger ones. Every training set holds each class at
    least once: a class that the smallest would lack is given its last place there that another can spare.
    All models see the same rows, so who is ahead is told by paired differences, even where the bands of the
    single curves overlap. Repeats share the data, so intervals tell of random splits of these data, and not
    of other data of the same kind.

    Means may be seen to cross in a figure where `LearningCurves.verdict` says that no crossing can be
    established: it counts one only where each model is ahead at some size by more than the repeats vary.
    More repeats establish more.

    Args:
        models: name -> a model, (model, method), or a function of the training rows (a `Dataset`) that
            returns a function of the test rows, whose result are log probabilities (n, classes). A model
            by itself is fitted by `Exact` where it has a closed form, else by `MAP`.
        data: rows with classes. A missing cell (NaN) of x is summed out by models that generate x; for
            those that are given x, the mean of the training rows stands in.
        sizes: training rows, each at least the number of classes.
        repeats: random splits, at least 2.
        seed: decides everything.
        test: what is held out: a share or a number of rows.
        stratify: whether training and test rows have the classes in the same proportions as the data, up to
            one row of each; by default rows are drawn without regard to their class.
        standardize: whether columns are put in units of the training rows.
        regime: what is done to the rows: `Copies`, `LabelShift`, `Missing`, `FewLabels`; by default nothing.
        draws: of the posterior, for methods that average over draws.
        progress: whether to show a bar; None shows it in terminals and notebooks.

    Raises:
        DataError: an argument does not fit.

    Reference: Ng and Jordan 2002, On discriminative vs. generative classifiers.

    >>> from ppl_gen.data import gaussian_classes
    >>> from ppl_gen.models import LogisticRegression, SharedGaussianNaiveBayes
    >>> models = {"naive Bayes": SharedGaussianNaiveBayes(classes=2, features=2),
    ...           "logistic regression": LogisticRegression(classes=2, features=2)}
    >>> curves = learning_curves(models, gaussian_classes(300, copies=0), sizes=(4, 64), repeats=10)
    >>> curves.error.shape
    torch.Size([2, 10, 2])
    >>> curves.table().columns.tolist()  # one row for each model, size and score
    ['model', 'rows', 'score', 'mean', 'low', 'high', 'repeats']
    >>> curves.figure("log loss").axes[0].get_xlabel()  # a matplotlib Figure: .savefig("curves.png")
    'training rows'
    """
    if not isinstance(data, Dataset):
        raise DataError(f"data: expected a ppl_gen.data.Dataset, got {called(data)}")
    whole("repeats", repeats, least=2)
    whole("seed", seed, least=0)
    regime = AsIs() if regime is None else regime
    if not isinstance(regime, AsIs):
        raise DataError(
            f"regime: expected Copies(…), LabelShift(…), Missing(…) or FewLabels(), got {called(regime)}"
        )
    held_out = _held_out(test, data)
    sizes = _sizes(sizes, data, held_out)
    generator = Generator().manual_seed(seed)
    shape, _ = regime(data[:2], data, generator)
    each: dict[str, Any] = {}
    of = f"{data.name} has" + (f" {regime}" if shape.features != data.features else "")
    for name, learner in learners(models, shape, whole("draws", draws, least=2), of).items():
        each |= regime.variants(name, learner)
    scores = torch.zeros(3, len(each), repeats, len(sizes), dtype=torch.float64)
    splits: list[tuple[Dataset, Dataset]] = []
    for r, s in track(
        [(r, s) for r in range(repeats) for s in range(len(sizes))], "Learning curves", progress
    ):
        if s == 0:
            order = _order(data, sizes[0], stratify, generator)
            pair = data[order[: len(data) - held_out]], data[order[len(data) - held_out :]]
            splits = [regime(*pair, generator)]
        pool, tested = splits[0]
        train, rest = pool[: sizes[s]], pool[sizes[s] :]
        if standardize:
            rest, tested = rest.standardized(like=train), tested.standardized(like=train)
            train = train.standardized()
        for m, (name, learner) in enumerate(each.items()):
            scores[:, m, r, s] = _scored(name, learner, train, rest.x, tested, seed * repeats + r)
    how = {
        name: learner.how if isinstance(learner, Learner) else "as given" for name, learner in each.items()
    }
    error, log_loss, confidence = scores
    return LearningCurves(
        tuple(each), sizes, error, log_loss, confidence, how, data.name, str(regime), len(tested), seed
    )


def _scored(name: str, learner: Any, train: Dataset, rest: Tensor, test: Dataset, seed: int) -> Tensor:
    """Error, log loss and confidence on the test rows."""
    try:
        with isolated(seed, grad=True), warnings.catch_warnings():
            warnings.simplefilter("error", Interrupted)
            found = log_probs(name, learner(train, rest, seed)(test), test)
    except Interrupted:  # a fit that was stopped by hand stops the experiment
        raise KeyboardInterrupt from None
    error = (found.argmax(1) != test.y).double().mean()
    return torch.stack([error, -found[torch.arange(len(test)), test.y].mean(), found.amax(1).exp().mean()])


def _held_out(test: float | int, data: Dataset) -> int:
    number = isinstance(test, int | float) and not isinstance(test, bool)
    rows = (round(test * len(data)) if isinstance(test, float) else test) if number else 0
    if not number or not 0 < rows < len(data) or (isinstance(test, float) and not 0 < test < 1):
        raise DataError(
            f"test: expected a share between 0 and 1 or a number of the {len(data)} rows, got {test!r}"
        )
    return rows


def _sizes(sizes: Sequence[int], data: Dataset, held_out: int) -> tuple[int, ...]:
    try:
        found = tuple(sorted({whole("sizes", size) for size in sizes}))
    except TypeError:
        raise DataError(f"sizes: expected numbers of training rows, got {sizes!r}") from None
    classes, most = len(data.y.unique()), len(data) - held_out
    if not found or found[0] < classes or found[-1] > most:
        raise DataError(
            f"sizes: expected numbers from {classes}, one row of each class, to {most}, the rows not held "
            f"out; got {', '.join(map(str, found)) or 'none'}"
        )
    return found


def _order(data: Dataset, smallest: int, stratify: bool, generator: Generator) -> Tensor:
    """All rows in random order, of which the first ``smallest`` hold each class."""
    order = torch.randperm(len(data), generator=generator)
    y = data.y[order]
    if stratify:  # the rows of a class lie evenly among all, from a random start
        counts = torch.bincount(y, minlength=len(data.classes))
        rank = (y == torch.arange(len(counts))[:, None]).cumsum(1)[y, torch.arange(len(y))]
        start = torch.rand(len(counts), generator=generator, dtype=torch.float64)
        spread = ((rank - start[y]) / counts[y]).argsort(stable=True)
        order, y = order[spread], y[spread]
    for k in y.unique().tolist():
        if not bool((y[:smallest] == k).any()):
            here, at = torch.bincount(y[:smallest]), int((y == k).nonzero()[0])
            spare = int((here[y[:smallest]] > 1).nonzero()[-1])
            swap = torch.tensor([spare, at])
            order[swap], y[swap] = order[swap.flip(0)], y[swap.flip(0)]
    return order

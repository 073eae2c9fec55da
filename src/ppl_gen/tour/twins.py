"""Second chapter: generative against discriminative."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from ppl_gen import plot
from ppl_gen.ask import ask
from ppl_gen.data import Dataset, breast_cancer
from ppl_gen.engine import Importance
from ppl_gen.fit import fit
from ppl_gen.inference import SVI
from ppl_gen.models import GaussianNaiveBayes, LogisticRegression
from ppl_gen.progress import track
from ppl_gen.report import Section, Table
from ppl_gen.tour.words import half_width, interval, number, percent
from ppl_gen.tour.workshop import Workshop

NAMES = {"nb": "naive Bayes", "lr": "logistic regression"}


def twins(w: Workshop) -> Section:
    """Generative against discriminative, from few to many rows."""
    data, sizes, repeats = breast_cancer(), w.budget.sizes, w.budget.repeats
    scores = {key: torch.zeros(2, repeats, len(sizes), dtype=torch.float64) for key in NAMES}
    origin: dict[str, str] = {}
    sure = {key: torch.zeros(repeats) for key in NAMES}  # of the decisions, from the most rows
    work = [(r, s) for r in range(repeats) for s in range(len(sizes))]
    for r, s in track(work, "Learning curves"):
        seed = w.seed * repeats + r
        pool, test = data.split(test=0.5, seed=seed)
        train = pool.split(test=sizes[s], seed=seed)[1] if sizes[s] < len(pool) else pool
        test, train = test.standardized(like=train), train.standardized()
        method = SVI(steps=w.budget.regression_steps, learning_rate=0.1, seed=seed, progress=False)
        fitted = {
            "nb": fit(GaussianNaiveBayes(classes=2, features=30), x=train.x, y=train.y),
            "lr": fit(LogisticRegression(classes=2, features=30), method, x=train.x, y=train.y),
        }
        for key, posterior in fitted.items():
            answer = ask(posterior, "p(y | x)", Importance(300, seed), x=test.x)
            scores[key][0, r, s] = (answer.mode == test.y).double().mean()
            scores[key][1, r, s] = -answer.log_prob(y=test.y).mean()
            origin[key] = answer.how
            if s == len(sizes) - 1:
                sure[key][r] = answer.probs.amax(1).mean()
    parts: list[Any] = []
    leads = []
    for i, (score, sign) in enumerate((("accuracy", 1), ("log loss", -1))):
        curves = {NAMES[key]: scores[key][i] for key in NAMES}
        ahead = [_ahead(sign * (scores["nb"][i] - scores["lr"][i])[:, s]) for s in range(len(sizes))]
        leads.append(_lead(score, sizes, ahead))
        unit = "accuracy on held-out rows" if i == 0 else "log loss on held-out rows (nats)"
        with plot.style():
            drawing = plot.learning_curves(sizes, curves, ylabel=unit).figure
        rows = [
            (str(size), *(interval(scores[key][i][:, s]) for key in NAMES), ahead[s] or "too close to call")
            for s, size in enumerate(sizes)
        ]
        better = (
            "Higher is better."
            if i == 0
            else "Lower is better: it is minus the log probability given to the true class, and so charges "
            "for confident mistakes."
        )
        parts += [
            w.figure(
                f"learning-curve-{score.replace(' ', '-')}",
                drawing,
                f"{score.capitalize()} against the number of training rows. {better}",
            ),
            Table(
                ("rows", *NAMES.values(), "ahead"),
                rows,
                f"{score.capitalize()}: means of {repeats} repeats with 95 % intervals. A model is "
                "ahead where the 95 % interval of the paired difference excludes zero.",
                numbers=(0, 1, 2),
            ),
        ]
        for key in NAMES:
            w.note(
                f"{score}, {NAMES[key]}, {sizes[-1]} rows",
                interval(scores[key][i][:, -1]),
                f"{origin[key]}; {repeats} splits, 95 % interval",
            )
    last = {NAMES[key]: scores[key][0, :, -1].mean() for key in NAMES}
    best, other = sorted(last, key=lambda name: -last[name])
    close = "" if _ahead(scores["nb"][0, :, -1] - scores["lr"][0, :, -1]) else ", too close to call"
    w.glance.append(
        (
            percent(last[best]),
            f"accuracy of {best} on unseen cells, learned from {sizes[-1]} rows; {other} has "
            f"{percent(last[other])}{close}",
        )
    )
    lr = fitted["lr"]
    coords = {"feature": data.features, "class": data.classes}
    return Section(
        leads[0],
        [
            "Logistic regression is the discriminative twin of naive Bayes: it is given `x` and models "
            f"only `p(y | x)`. Both learn to tell malignant from benign cells, from {sizes[0]} to "
            f"{sizes[-1]} rows, and are scored on the {len(test)} rows held out of the same random "
            "halves. Rows are standardised by the training rows alone; both models have their default "
            "priors.",
            w.card(lr.model, observed=("y",)),
            parts[0],
            parts[1],
            f"{leads[1]}. The thirty measurements repeat one another: within a class their correlation "
            f"is {number(_correlation(data), 2)} on average, regardless of sign, while naive Bayes counts "
            f"them as independent evidence. From {sizes[-1]} rows it is {percent(sure['nb'].mean())} "
            f"sure of its decisions on average and right in {percent(scores['nb'][0, :, -1].mean())}; "
            f"logistic regression is {percent(sure['lr'].mean())} sure and right in "
            f"{percent(scores['lr'][0, :, -1].mean())}.",
            parts[2],
            parts[3],
            w.tree(
                "logistic-regression",
                lr,
                "logistic regression of the last split",
                ["w"],
                coords,
                {"term": ["intercept", *data.features[:3]]},
            ),
        ],
    )


def _correlation(data: Dataset) -> float:
    """The mean absolute correlation of two different features within a class."""
    inside = torch.cat([data.x[data.y == k] - data.x[data.y == k].mean(0) for k in range(len(data.classes))])
    matrix = torch.corrcoef(inside.T).abs()
    return float((matrix.sum() - len(matrix)) / (matrix.numel() - len(matrix)))


def _ahead(difference: Tensor) -> str:
    """Who is ahead, from the paired differences of the repeats; "" if they cannot tell."""
    if abs(difference.mean()) <= half_width(difference):
        return ""
    return NAMES["nb"] if difference.mean() > 0 else NAMES["lr"]


def _lead(score: str, sizes: Sequence[int], ahead: Sequence[str]) -> str:
    """A sentence on who is ahead where.

    >>> sizes, lr = (8, 16, 32, 64), "logistic regression"
    >>> _lead("accuracy", sizes, ("", "", lr, lr))
    'In accuracy, logistic regression is ahead from 32 rows on; with fewer it is too close to call'
    >>> _lead("accuracy", sizes, ("naive Bayes", "", lr, lr))
    'In accuracy, naive Bayes is ahead at 8 rows, logistic regression from 32 rows on; in between it is ...'
    >>> _lead("log loss", sizes, ("", "", "", ""))
    'In log loss, it is too close to call at every size'
    """
    runs = [(name, [i for i, _ in run]) for name, run in groupby(enumerate(ahead), lambda pair: pair[1])]
    places = {
        name: " and ".join(_place(sizes, run[0], run[-1]) for leader, run in runs if leader == name)
        for name in dict.fromkeys(filter(None, ahead))
    }
    if not places:
        return f"In {score}, it is too close to call at every size"
    said = [f"{name}{'' if i else ' is ahead'} {where}" for i, (name, where) in enumerate(places.items())]
    level = ["with fewer" if not i else "with more" if i == len(runs) - 1 else "in between"
             for i, (name, _) in enumerate(runs) if not name]  # fmt: skip
    where = level[0] if len(set(level)) == 1 else "elsewhere"
    return f"In {score}, {', '.join(said)}" + (f"; {where} it is too close to call" if level else "")


def _place(sizes: Sequence[int], first: int, last: int) -> str:
    """Where a run of sizes lies.

    >>> [_place((8, 16, 32), *run) for run in ((0, 2), (0, 1), (1, 1), (1, 2))]
    ['at every size', 'up to 16 rows', 'at 16 rows', 'from 16 rows on']
    """
    if (first, last) == (0, len(sizes) - 1):
        return "at every size"
    if first == last:
        return f"at {sizes[first]} rows"
    if first == 0:
        return f"up to {sizes[last]} rows"
    return (
        f"from {sizes[first]} rows on"
        if last == len(sizes) - 1
        else f"from {sizes[first]} to {sizes[last]} rows"
    )

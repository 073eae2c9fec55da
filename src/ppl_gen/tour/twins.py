"""Second chapter: generative against discriminative."""

from typing import Any

import torch

from ppl_gen.article import Section, Table
from ppl_gen.data import Dataset, breast_cancer
from ppl_gen.fit import fit
from ppl_gen.inference import MAP, SVI
from ppl_gen.laboratory import learning_curves
from ppl_gen.models import GaussianNaiveBayes, LogisticRegression
from ppl_gen.tour.words import interval, number, percent
from ppl_gen.tour.workshop import Workshop

NB, LR = "naive Bayes", "logistic regression"


def twins(w: Workshop) -> Section:
    """Generative against discriminative, from few to many rows."""
    data, sizes = breast_cancer(), w.budget.sizes
    regression = LogisticRegression(classes=2, features=30)
    curves = learning_curves(
        {NB: GaussianNaiveBayes(classes=2, features=30), LR: (regression, MAP())},
        data,
        sizes,
        w.budget.repeats,
        w.seed,
        test=0.5,
        stratify=True,
    )
    parts: list[Any] = []
    for score, better in (
        ("error", "Lower is better."),
        (
            "log loss",
            "Lower is better: it is minus the log probability given to the true class, and so charges for "
            "confident mistakes.",
        ),
    ):
        values, ahead = dict(zip(curves.models, curves.scores(score), strict=True)), curves.ahead(score)
        rows = [
            (str(size), *(interval(v[:, s]) for v in values.values()), ahead[s] or "too close to call")
            for s, size in enumerate(sizes)
        ]
        parts += [
            w.figure(
                f"learning-curve-{score.replace(' ', '-')}",
                curves.figure(score),
                f"{score.capitalize()} against the number of training rows. {better}",
            ),
            Table(
                ("rows", *curves.models, "ahead"),
                rows,
                f"{score.capitalize()}: means of {curves.repeats} repeats with 95 % intervals. A model is "
                "ahead where the 95 % interval of the paired difference excludes zero, widened so that all "
                "sizes hold together.",
                numbers=(0, 1, 2),
            ),
        ]
        for name in curves.models:
            w.note(
                f"{score}, {name}, {sizes[-1]} rows",
                interval(values[name][:, -1]),
                f"{curves.how[name]}; {curves.repeats} splits, 95 % interval",
            )
    right = dict(zip(curves.models, 1 - curves.error[..., -1].mean(1), strict=True))
    sure = dict(zip(curves.models, curves.confidence[..., -1].mean(1), strict=True))
    best, other = sorted(right, key=lambda name: -right[name])
    close = "" if curves.ahead("error")[-1] else ", too close to call"
    w.glance.append(
        (
            percent(right[best]),
            f"accuracy of {best} on unseen cells, learned from {sizes[-1]} rows; {other} has "
            f"{percent(right[other])}{close}",
        )
    )
    train = data.split(test=0.5, seed=w.seed)[0].standardized()
    method = SVI(steps=w.budget.regression_steps, learning_rate=0.1, seed=w.seed, progress=False)
    lr = fit(regression, method, x=train.x, y=train.y)
    coords = {"feature": data.features, "class": data.classes}
    return Section(
        curves.verdict("error").rstrip("."),
        [
            "Logistic regression is the discriminative twin of naive Bayes: it is given `x` and models "
            f"only `p(y | x)`. Both learn to tell malignant from benign cells, from {sizes[0]} to "
            f"{sizes[-1]} rows, and are scored on the {curves.held_out} rows held out of the same random "
            "halves. Rows are standardised by the training rows alone; both models have their default "
            "priors.",
            w.card(lr.model, observed=("y",)),
            parts[0],
            parts[1],
            f"{curves.verdict('log loss')} The thirty measurements repeat one another: within a class "
            f"their correlation is {number(_correlation(data), 2)} on average, regardless of sign, while "
            f"naive Bayes counts them as independent evidence. From {sizes[-1]} rows it is "
            f"{percent(sure[NB])} sure of its decisions on average and right in {percent(right[NB])}; "
            f"logistic regression is {percent(sure[LR])} sure and right in {percent(right[LR])}.",
            parts[2],
            parts[3],
            w.tree(
                "logistic-regression",
                lr,
                f"logistic regression of {len(train)} rows",
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

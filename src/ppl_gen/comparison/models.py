"""The two models in plain words, and their joints."""

from ppl_gen.article import Card, Section
from ppl_gen.comparison.findings import Findings
from ppl_gen.notation import Factorization

LETTERS = {
    "y": "the class",
    "x": "the columns",
    "pi": "the share of each class",
    "tau": "precisions of numbers, one over the variance, in each class",
    "mu": "means of numbers in each class",
    "theta": "probabilities of yes in each class",
    "lam": "rates of counts in each class",
    "phi": "shares of a category's levels in each class",
    "w": "the weights",
}


def introduced() -> Section:
    """One sentence on each model, and the words that the page needs."""
    return Section(
        "Two models and a few words",
        [
            "Naive Bayes learns for each class how its rows come about, column by column, and asks which "
            "class would most probably have brought forth a new row.\nLogistic regression learns a weight "
            "of each column for each class, adds up, and turns the sums into probabilities; how rows come "
            "about it does not ask.",
            "The error is the share of rows whose class is not the one decided for. The log loss also asks "
            "how probable the true class was said to be: minus the natural logarithm of that probability, "
            "whose unit is the nat. A log loss of 0.105 nats is that of giving every true class 90 %, one of "
            "0.693 that of tossing a coin between two.",
        ],
    )


def joints(f: Findings) -> Section:
    """Both joints, and how it was measured."""
    nb, lr = (side.posterior.model for side in f.sides)
    cards = [
        Card(type(nb).__name__, (("joint", nb.joint),), nb.drawn(observed=("x", "y")),
             f"Generative: it generates x, so a missing cell is summed out. {_letters(nb.joint)} The "
             "posterior of all parameters is exact."),
        Card(type(lr).__name__, (("joint", lr.joint),), lr.drawn(observed=("y",)),
             "Discriminative: it is given x (a square) and cannot sum over what is missing there, so numbers "
             f"have to be put in its place. {_letters(lr.joint)} The weights are the most probable ones "
             "given the rows, the mode of their posterior."),
    ]  # fmt: skip
    return Section(
        "One generates x, the other is given it",
        [
            *cards,
            "Circle: a variable; shaded: observed; square: given, not generated; box: repeated for each row "
            "or for each class.",
            "Naive Bayes takes the columns as they are, numbers in standard deviations. For logistic "
            "regression each level of a category becomes an indicator, 0 or 1. In place of a missing number "
            "it gets the mean, in place of a missing category no level, and for each column with missing "
            "cells an indicator of where. Every mean and spread is of the training rows only.",
            f.how,
        ],
    )


def _letters(joint: str) -> str:
    """What the letters of a joint stand for."""
    line = Factorization(joint)
    names = [name for name in LETTERS if name in {*line, *line.given}]
    return "; ".join(f"`{name}`: {LETTERS[name]}" for name in names) + "."

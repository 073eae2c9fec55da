"""Categorical naive Bayes: given the class, every feature is a die of its own."""

from collections.abc import Sequence
from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import Conjugate
from ppl_gen.distributions import ColumnCategorical, ColumnDirichlet, Dirichlet, Dirichlets, memberships
from ppl_gen.errors import DataError


class CategoricalNaiveBayes(Conjugate):
    """Categorical naive Bayes with Dirichlet priors; features may differ in their levels (Murphy 2012, 3.5).

    ``pi`` (classes,) are the class probabilities, ``theta`` (classes, sum of levels) those of the features'
    categories, laid end to end, ``y`` (n,) the class and ``x`` (n, features) category codes. A category that
    a class has never shown keeps its prior mass.

    Args:
        classes, features: sizes.
        levels: the number of categories, of each feature or of all of them.
        concentration: prior rows of each class.
        pseudocount: prior rows of each category (scikit-learn's ``alpha``).

    >>> print(CategoricalNaiveBayes(classes=2, features=3, levels=[3, 2, 5]))
    p(pi) p(theta) p(y | pi) p(x | y, theta)
    """

    joint = "p(pi) p(theta) p(y | pi) p(x | y, theta)"
    approximation = "q(pi) q(theta)"
    marginal = "p(y) p(x | y)"
    families = {
        "classes": (Dirichlet, ("concentration",)),
        "features": (Dirichlets, ("pseudocount", "levels")),
    }
    svi = {"steps": 1000, "learning_rate": 0.05}

    def __init__(
        self,
        classes: int,
        features: int,
        *,
        levels: int | Sequence[int],
        concentration: Any = 1.0,
        pseudocount: Any = 1.0,
    ):
        super().__init__()
        self.classes, self.features = whole("classes", classes), whole("features", features)
        each = list(levels) if isinstance(levels, Sequence) else [levels] * features
        self.levels = tuple(whole("levels", size) for size in each)
        if len(self.levels) != features:
            raise DataError(
                f"levels: expected one number, or one for each of {features} features, got {levels}"
            )
        cells = (classes, sum(self.levels))
        self.register_buffer("concentration", hyperparameter("concentration", concentration, cells[:1]))
        self.register_buffer("pseudocount", hyperparameter("pseudocount", pseudocount, cells))
        self.q_concentration = PyroParam(torch.ones_like(self.concentration), constraints.positive)
        self.q_pseudocount = PyroParam(torch.ones_like(self.pseudocount), constraints.positive)

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("classes", self.classes):
            theta = pyro.sample("theta", ColumnDirichlet(self.pseudocount, self.levels))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(pi))
            return pyro.sample("x", ColumnCategorical(theta[y], self.levels).to_event(1))

    def guide(self) -> None:
        pyro.sample("pi", dist.Dirichlet(self.q_concentration))
        with pyro.plate("classes", self.classes):
            pyro.sample("theta", ColumnDirichlet(self.q_pseudocount, self.levels))

    def updated(self, x: Tensor, y: Tensor) -> Self:
        """The same model with the posterior's hyperparameters: the categories of each class, counted."""
        weights = memberships(y, self.classes).to(x.dtype)
        classes = self.family("classes").updated(weights.sum(0))
        return self.having(classes=classes, features=self.family("features").updated(weights, x))

    def point(self, smoothing: float = 1.0) -> dict[str, Tensor]:
        """The parameters of largest likelihood, each count of a cell raised by ``smoothing``."""
        return {"pi": self.family("classes").point(), "theta": self.family("features").point(smoothing)}

    def predictive(self, n: int, pi: Tensor | None = None) -> Tensor:
        """One row with the parameters integrated out. ``pi`` may be given."""
        theta = self.family("features").predictive().probs
        with pyro.plate("data", n):
            y = pyro.sample("y", self.family("classes").predictive(pi))
            return pyro.sample("x", ColumnCategorical(theta[y], self.levels).to_event(1))

    def hint(self, name: str) -> str:
        """What to do when data do not fit."""
        return f"The levels of the features are {', '.join(map(str, self.levels))}" if name == "x" else ""

"""Kernel naive Bayes: given the class, the density of every feature is drawn by the rows themselves."""

import copy
from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.distributions import Dirichlet, KernelDensity, Values, select_bandwidth
from ppl_gen.distributions.bandwidth import SHARING
from ppl_gen.errors import DataError


class KernelNaiveBayes(ProbabilisticModel):
    """Naive Bayes without a family: a Normal kernel about each value seen (John and Langley 1995).

    ``pi`` (classes,) are the class probabilities, ``y`` (n,) the class and ``x`` (n, features) the features
    of a row; p(x_j | y) is the mean of Normal(x_j; x_ij, h_yj) over the rows i of class y. Rows and
    bandwidths h are no variables of the joint: `CrossValidation` keeps the rows, and chooses the h under
    which each is most likely given the others. pi has its exact posterior. A fitted model has ``bandwidth``
    (classes, features) and ``leave_one_out``, the log likelihood of each value given the others, in nats.

    Args:
        classes, features: sizes.
        bandwidth: "each" class and feature has its own, each "feature" has, or all have "one"; or numbers
            that fit (classes, features), and nothing is chosen. `select_bandwidth` tells of ties.
        concentration: prior rows of each class.
        loc, scale: of the Normal where a class has no value of a feature; for standardised features.

    >>> print(KernelNaiveBayes(classes=3, features=13))
    p(pi) p(y | pi) p(x | y)
    """

    joint = "p(pi) p(y | pi) p(x | y)"
    marginal = "p(y) p(x | y)"
    grows = ("values",)

    def __init__(
        self,
        classes: int,
        features: int,
        *,
        bandwidth: Any = "each",
        concentration: Any = 1.0,
        loc: Any = 0.0,
        scale: Any = 1.0,
    ):
        super().__init__()
        self.classes, self.features = cells = whole("classes", classes), whole("features", features)
        if isinstance(bandwidth, str) and bandwidth not in SHARING:
            raise DataError(f"bandwidth: expected {', '.join(SHARING)} or numbers, got {bandwidth!r}")
        self.sharing = bandwidth if isinstance(bandwidth, str) else ""
        self.register_buffer("concentration", hyperparameter("concentration", concentration, cells[:1]))
        self.register_buffer("loc", hyperparameter("loc", loc, cells, above_zero=False))
        self.register_buffer("scale", hyperparameter("scale", scale, cells))
        given = 1.0 if self.sharing else bandwidth
        self.register_buffer("bandwidth", hyperparameter("bandwidth", given, cells))
        nothing = Values.none(*cells)
        self.register_buffer("values", nothing.sorted)
        self.register_buffer("counts", nothing.counts)
        self.register_buffer("leave_one_out", torch.zeros((), dtype=torch.float64))

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        return self.predictive(n, pi)

    def predictive(self, n: int, pi: Tensor | None = None) -> Tensor:
        """One row with pi integrated out, or given."""
        empty = self.counts == 0
        values = Values(torch.where(empty[..., None], self.loc[..., None], self.values), self.counts + empty)
        h = torch.where(empty, self.scale, self.bandwidth)
        classes = Dirichlet(self.concentration).predictive(pi)
        with pyro.plate("data", n):
            y = pyro.sample("y", classes)
            return pyro.sample("x", KernelDensity(values, h, y).to_event(1))

    @property
    def estimates(self) -> dict[str, str]:
        """What p(x | y) holds fixed."""
        how = "cross-validated" if self.sharing else "given"
        return {"x": f"{how} bandwidths"} if self.counts.any() else {}

    def cross_validated(self, x: Tensor, y: Tensor) -> Self:
        """The same model with these rows added and the bandwidths chosen anew; pi by Bayes' rule."""
        more = torch.bincount(y, minlength=self.classes)
        return self._keeping(Values(self.values, self.counts).and_rows(x, y), self.concentration + more)

    def before(self, prior: Self) -> Self:
        """The same rows and bandwidths, with pi as the ``prior`` has it."""
        after = copy.deepcopy(self)
        after.concentration = prior.concentration
        return after

    def merged(self, other: Self, prior: Self) -> Self:
        """The model that knows the rows of both, which learned from one ``prior``."""
        mine, theirs = (Values(p.values, p.counts) for p in (self, other))
        if bool(prior.counts.any()):
            raise DataError("merge: expected a prior without rows, got one whose rows would count twice")
        pi = self.concentration + other.concentration - prior.concentration
        return self._keeping(mine.merged(theirs), pi)

    def _keeping(self, values: Values, concentration: Tensor) -> Self:
        after = copy.deepcopy(self)
        after.values, after.counts, after.concentration = values.sorted, values.counts, concentration
        after.bandwidth, after.leave_one_out = select_bandwidth(values, self.sharing or self.bandwidth)
        return after

"""Naive Bayes for tables: given the class, every column has a family of its own."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.core import Conjugate
from ppl_gen.distributions import ColumnCategorical, ColumnDirichlet, ColumnPriors, Dirichlet, memberships

# Each kind of column: its parameters' factors, and what its cells depend on.
PRIORS = dict(gaussian="p(tau) p(mu | tau)", bernoulli="p(theta)", poisson="p(lam)", categorical="p(phi)")
PARENTS = dict(gaussian="mu, tau", bernoulli="theta", poisson="lam", categorical="phi")


class MixedNaiveBayes(Conjugate):
    """Naive Bayes with a family for each column: Gaussian, Bernoulli, Poisson or categorical.

    Parameters and priors are those of the models of one family (``phi``: of categories), as columns need.

    Args:
        classes: how many. concentration: prior rows of each.
        columns: "gaussian", "bernoulli", "poisson" or ``Categorical(levels)`` (see `columns_of`).
        priors: kind of column -> hyperparameters to replace, as in ``{"poisson": {"rate": 1.0}}``.

    >>> print(MixedNaiveBayes(classes=2, columns={"smoker": "bernoulli", "visits": "poisson"}))
    p(pi) p(theta) p(lam) p(y | pi) p(x | y, theta, lam)
    """

    joint = f"p(pi) {' '.join(PRIORS.values())} p(y | pi) p(x | y, {', '.join(PARENTS.values())})"
    approximation = f"p(pi) {' '.join(PRIORS.values())}".replace("p(", "q(")
    marginal, scaled = "p(y) p(x | y)", {"x": ("gaussian",)}
    svi = {"steps": 2000, "learning_rate": 0.05}

    def __init__(
        self,
        classes: int,
        columns: Mapping[str, Any] | Sequence[Any],
        *,
        concentration: Any = 1.0,
        priors: Mapping[str, Mapping[str, Any]] | None = None,
    ):
        super().__init__()
        self.classes, self.columns = whole("classes", classes), ColumnPriors(classes, columns, priors)
        self.features, kinds = self.columns.features, self.columns.places
        parameters = f"p(pi) {' '.join(PRIORS[kind] for kind in kinds)}"
        self.joint = f"{parameters} p(y | pi) p(x | y, {', '.join(PARENTS[kind] for kind in kinds)})"
        self.approximation = parameters.replace("p(", "q(")
        self.families = {"classes": (Dirichlet, ("concentration",)), **self.columns.families("columns")}
        self.register_buffer("concentration", hyperparameter("concentration", concentration, (classes,)))
        self.q_concentration = pyro.nn.PyroParam(torch.ones(classes).double(), dist.constraints.positive)

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        row = self._draw(self.columns.now())
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(pi))
            return pyro.sample("x", self.columns.rows({k: cells(y) for k, cells in row.items()}).to_event(1))

    def _draw(self, prior: Mapping[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {}  # kind of column -> its cells' distribution, given the class
        with pyro.plate("classes", self.classes):
            if p := prior.get("gaussian"):
                tau = pyro.sample("tau", dist.Gamma(p.shape, p.rate).to_event(1))
                mu = pyro.sample("mu", dist.Normal(p.loc, (p.strength * tau).rsqrt()).to_event(1))
                row["gaussian"] = lambda y: dist.Normal(mu[y], tau[y].rsqrt())
            if p := prior.get("bernoulli"):
                theta = pyro.sample("theta", dist.Beta(p.ones, p.zeros).to_event(1))
                row["bernoulli"] = lambda y: dist.Bernoulli(theta[y])
            if p := prior.get("poisson"):
                lam = pyro.sample("lam", dist.Gamma(p.shape, p.rate).to_event(1))
                row["poisson"] = lambda y: dist.Poisson(lam[y])
            if p := prior.get("categorical"):
                phi, levels = pyro.sample("phi", ColumnDirichlet(p.pseudocount, p.levels)), p.levels
                row["categorical"] = lambda y: ColumnCategorical(phi[y], levels)
        return row

    def guide(self) -> None:
        pyro.sample("pi", dist.Dirichlet(self.q_concentration))
        self._draw(self.columns.trained())

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        self.columns.measure(x)

    def updated(self, x: Tensor, y: Tensor) -> Self:
        """The same model with the posterior's hyperparameters, family by family."""
        weights = memberships(y, self.classes).to(x.dtype)
        after = {k: self.family(k).updated(weights, x[:, place]) for k, place in self.columns.places.items()}
        return self.having(**after, classes=self.family("classes").updated(weights.sum(0)))

    def point(self, smoothing: float | None = None) -> dict[str, Tensor]:
        """The parameters of largest likelihood, each with the usual smoothing of its family, or this one."""
        own = () if smoothing is None else (smoothing,)
        found = {PARENTS[kind]: family.point(*own) for kind, family in self.columns.now().items()}
        normal = dict(zip(("mu", "tau"), found.pop("mu, tau", ()), strict=False))
        return {"pi": self.family("classes").point(), **normal, **found}

    def expected(self) -> tuple[dict[str, Tensor], list[Tensor]]:
        values, constants = super().expected()
        return values, [constants[0], self.columns.together(constants[1:])]

    def predictive(self, n: int, pi: Tensor | None = None) -> Tensor:
        """One row with the parameters integrated out. ``pi`` may be given."""
        with pyro.plate("data", n):
            y = pyro.sample("y", self.family("classes").predictive(pi))
            return pyro.sample("x", self.columns.predictive(y).to_event(1))

"""Several models of the same rows: which predicts them better, and is that more than chance?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ppl_gen import plot
from ppl_gen.checks import called
from ppl_gen.diagnostics.criticism.left_out import LeaveOneOut
from ppl_gen.diagnostics.criticism.loo import loo
from ppl_gen.diagnostics.trees.arviz_bridge import is_tree
from ppl_gen.diagnostics.trees.trees import of_bare_pyro
from ppl_gen.errors import DataError
from ppl_gen.inference import PyroFit
from ppl_gen.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

NEAR = 4.0  # nats, below which the standard error of a difference says too little
SMALL = 100  # rows, below which it is too small


@dataclass(frozen=True, eq=False, repr=False)
class ModelComparison:
    """Models by their elpd, the best first; made by `compare_models`.

    Attributes:
        found: name -> what `loo` found.
        differences: of each elpd from the best one's, at most 0 (models,).
        standard_errors: of those, from the differences row by row (models,).
    """

    found: Mapping[str, LeaveOneOut]
    differences: Tensor
    standard_errors: Tensor

    @property
    def names(self) -> tuple[str, ...]:
        """The models, the best first."""
        return tuple(self.found)

    @property
    def best(self) -> str:
        """The model of the highest elpd."""
        return self.names[0]

    @property
    def weights(self) -> Tensor:
        """Shares of a mixture of all models that predicts rows left out best: stacking (Yao et al. 2018)."""
        return stacking(torch.stack([each.rows for each in self.found.values()]))

    @property
    def n(self) -> int:
        """The number of rows."""
        return len(self.found[self.best].rows)

    def doubts(self, name: str) -> list[str]:
        """Why the difference of this model from the best one is less sure than its standard error says."""
        i, said = self.names.index(name), []
        if abs(self.differences[i]) < NEAR:
            said.append(f"less than {NEAR:g} nats apart")
        if self.n < SMALL:
            said.append(f"only {self.n} rows")
        if bad := [v for v in (self.best, name) if self.found[v].unsure]:
            said.append(f"k-hat too high for rows of {' and '.join(bad)}")
        return said

    def table(self) -> "DataFrame":
        """One row for each model, in nats."""
        from pandas import DataFrame, Index

        columns = {
            "elpd": [f.elpd for f in self.found.values()],
            "s.e.": [f.standard_error for f in self.found.values()],
            "difference": self.differences.tolist(),
            "s.e. of difference": self.standard_errors.tolist(),
            "weight": self.weights.tolist(),
            "effective parameters": [f.p_loo for f in self.found.values()],
            "k-hat too high": [len(f.unsure) for f in self.found.values()],
            "how": [f.how for f in self.found.values()],
        }
        return DataFrame(columns, index=Index(self.names, name="model"))

    def verdict(self) -> str:
        """Which model predicts best, how sure that is, and why it may be less so, in plain words."""
        said = [f"{self.best} predicts best by leave-one-out, {self.found[self.best].question}."]
        for name, difference, error in zip(
            self.names[1:], self.differences[1:].tolist(), self.standard_errors[1:].tolist(), strict=True
        ):
            doubts = self.doubts(name)
            unsure = f" (unsure: {', '.join(doubts)})" if doubts else ""
            behind = "clearly behind" if not doubts else "so it seems"
            judged = behind if -difference > max(2 * error, NEAR) else "not to be told from it"
            said.append(f"{name} is {-difference:,.1f} ± {error:,.1f} nats behind, {judged}{unsure}.")
        return " ".join(said)

    def figure(self, *, dark: bool = False) -> "Figure":
        """Differences from the best, with two standard errors, as `plot.differences`."""
        with plot.style(dark):
            drawn: Any = plot.differences(self.names, self.differences, self.standard_errors).figure
        figure: Figure = drawn
        return figure

    def __str__(self) -> str:
        table = self.table().drop(columns="how").to_string(float_format=lambda v: f"{v:,.1f}")
        return f"{self.verdict()}\n{table}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        drawn = plot.inline(self.figure(), alt=self.verdict())
        table = self.table().to_html(float_format=lambda v: f"{v:,.1f}", border=0)
        return f"<p>{escape(self.verdict())}</p>{drawn}{table}"


def compare_models(
    models: Mapping[str, Any], question: str | None = None, /, **options: Any
) -> ModelComparison:
    """Compare posteriors on the same rows by leave-one-out, with the standard error of paired differences.

    Rows that are hard for one model are hard for all: the error of a difference comes from the differences
    row by row and is far below that of the elpd itself. It is too small where models predict nearly alike,
    rows are few or the models are badly misspecified; the verdict then says so (Sivula et al. 2025,
    Uncertainty in Bayesian leave-one-out cross-validation based model comparison).

    Args:
        models: name -> a posterior, what `fit_pyro` returned, a tree, or what `loo` found of one.
        question: as for `loo`: "p(y | x)" compares classifiers that generate x with those that are given it.
        options: for `loo`.

    Raises:
        DataError: fewer than two models; or they score different variables, or different rows.

    >>> from ppl_gen import fit
    >>> from ppl_gen.models import BernoulliNaiveBayes, PoissonNaiveBayes
    >>> rows = {"x": [[0.0], [1.0], [1.0], [0.0]], "y": [0, 1, 1, 0]}
    >>> found = compare_models({"bits": fit(BernoulliNaiveBayes(classes=2, features=1), **rows),
    ...                         "counts": fit(PoissonNaiveBayes(classes=2, features=1), **rows)})
    >>> found.best, found.doubts("counts")
    ('bits', ['less than 4 nats apart', 'only 4 rows'])
    """
    if not isinstance(models, Mapping) or len(models) < 2:
        raise DataError(
            f"models: expected names and two posteriors or more, {{'name': posterior, …}}, got "
            f"{called(models)}"
        )
    found = {}
    for name, model in models.items():
        if not (isinstance(model, Posterior | PyroFit | LeaveOneOut) or is_tree(model)):
            raise DataError(
                f"models: expected a posterior, a tree, or what loo found of one, for {name!r}, got "
                f"{called(model)}{of_bare_pyro(model)}"
            )
        found[name] = model if isinstance(model, LeaveOneOut) else loo(model, question, **options)
    first, one = next(iter(found.items()))
    for other, result in found.items():
        if set(result.asked.left) != set(one.asked.left):
            both = [v for v in one.asked.left if v in result.asked.left]
            advice = f". Ask all for one: compare_models(…, 'p({both[-1]} | x)')" if both else ""
            raise DataError(
                f"models: {first!r} scores {one.question}, {other!r} scores {result.question}: densities of "
                f"different variables do not compare{advice}"
            )
        known = result.fingerprint and one.fingerprint  # a tree may come without its data
        if len(result.rows) != len(one.rows) or (known and result.fingerprint != one.fingerprint):
            raise DataError(
                f"models: expected the same rows; {first!r} and {other!r} were fitted to different values "
                f"of {', '.join(one.asked.left)} ({len(one.rows)} and {len(result.rows)} rows)"
            )
    order = sorted(found, key=lambda name: -found[name].elpd)
    rows = torch.stack([found[name].rows for name in order])
    apart = rows - rows[0]
    errors = apart.std(1) * math.sqrt(rows.shape[1])
    return ModelComparison({name: found[name] for name in order}, apart.sum(1), errors)


def stacking(rows: Tensor, nats: float = 1e-3) -> Tensor:
    """Weights (models,) whose mixture has the highest sum of log densities; ``rows`` (models, n) are logs.

    EM of a mixture whose components stand. Its score is concave, so that the best one is at most
    n · (largest mean responsibility ratio - 1) nats away, where it ends.

    >>> stacking(torch.tensor([[-1.0, -1.0], [-9.0, -1.0]])).round(decimals=2).tolist()
    [1.0, 0.0]
    """
    density = (rows - rows.max(0).values).exp().double()
    weights = torch.full((len(rows),), 1 / len(rows), dtype=torch.float64)
    for _ in range(20_000):
        ratio = (density / (weights @ density)).mean(1)
        if float(ratio.max() - 1) * rows.shape[1] < nats:
            break
        weights = weights * ratio
    return weights

"""Missing cells given the others of their row: the mean of a mixture's conditional p(x_a | x_b)."""

from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ppl_gen.core import mean_of, score, variables
from ppl_gen.distributions import expected_rows, score_rows
from ppl_gen.errors import Unanswerable
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior


def imputed(posterior: Posterior, /, **rows: Any) -> Tensor:
    """Rows with their missing cells (NaN) replaced by E[x_a | x_b], the mean given the cells that are there.

    Exact: every component's own conditional mean, weighed by the probability of the component given the cells
    that are there; under a full covariance that is a regression whose lines change from place to place. Rows
    with the same cells missing go together. The density p(x_a | x_b) is the difference of two answers,
    ``ask(posterior, "p(x)").log_prob`` of the whole row and of the row with NaN.

    Args:
        posterior: of a mixture or naive Bayes, found by a method that leaves a point (`EM`,
            `MaximumLikelihood`) or a conjugate posterior (`Exact`, `VariationalBayes`).
        rows: the one variable with missing cells, by name: x (n, features).

    Raises:
        Unanswerable: the posterior is of another kind.

    >>> from ppl_gen import EM, fit
    >>> from ppl_gen.models import GaussianMixture
    >>> x = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.1], [9.0, 1.0], [9.5, 0.4], [10.0, 0.1]]
    >>> posterior = fit(GaussianMixture(components=2, features=2), EM(seed=1), x=x)
    >>> imputed(posterior, x=[[9.4, float("nan")]]).round(decimals=2)
    tensor([[9.4000, 0.5000]], dtype=torch.float64)
    """
    p: Any = posterior.model
    name = next(iter(rows), "")
    data = admit(p, rows, missing=True)
    label = [parent for parent in Factorization(p.joint).get(name, ()) if data.sites[parent].levels]
    if len(rows) != 1 or len(label) != 1:
        raise Unanswerable(
            f"imputed: expected one variable, a child of a label, of {p.joint}, got {sorted(rows)}"
        )
    if posterior.point:
        program = pyro.condition(p.model, data=posterior.point)
    elif posterior.guide is None and hasattr(p, "predictive"):
        program = p.predictive
    else:
        raise Unanswerable(
            f"imputed: {type(posterior.method).__name__} leaves neither a point nor a conjugate posterior; "
            f"use EM(), MaximumLikelihood(), Exact() or VariationalBayes()"
        )
    value, seen = data.observed[name], data.seen.get(name)
    if seen is None:
        return value
    levels: Any = data.sites[label[0]].values
    with torch.no_grad(), isolated(0):
        run = poutine.trace(pyro.condition(program, data={label[0]: levels[:, None]})).get_trace(n=1)
        found = variables(run)
        fn = found[name]["fn"]
        quick = score_rows(fn, value, seen)
        scores = score(fn, value, seen) if quick is None else quick
        weights = (scores + found[label[0]]["fn"].log_prob(levels[:, None])).softmax(0)  # (levels, n)
        means = _means(fn, value, seen)
        return torch.where(seen, value, (weights[..., None] * means).sum(0))


def _means(fn: Any, value: Tensor, seen: Tensor) -> Tensor:
    """E[x_a | x_b, label], (levels, n, features)."""
    root = getattr(fn, "scale_tril", None)
    if root is None:  # cells are independent given the label
        mean = mean_of(fn)
        assert mean is not None
        return mean.expand(-1, len(value), -1)
    return expected_rows(value, seen, fn.loc[:, 0], root[:, 0])

"""Missing cells given the others of their row: means and draws of a mixture's conditional p(x_a | x_b)."""

from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ppl_gen.checks import whole
from ppl_gen.core import bare, mean_of, score, variables
from ppl_gen.distributions import ColumnCategorical, drawn_rows, expected_rows, score_rows
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior


def imputed(posterior: Posterior, /, draws: int | None = None, seed: int = 0, **rows: Any) -> Tensor:
    """Rows with their missing cells (NaN) replaced by what the cells that are there tell of them.

    Without ``draws`` by the mean E[x_a | x_b], which is exact: every component's own conditional mean,
    weighed by the probability of the component given the cells that are there; under a full covariance that
    is a regression whose lines change from place to place. With ``draws`` by draws of p(x_a | x_b), the cells
    of a row together (multiple imputation; Rubin 1987): a mean is narrower than the data, and may lie between
    modes. Rows with the same cells missing go together. The density p(x_a | x_b) is the difference of two
    answers, ``ask(posterior, "p(x)").log_prob`` of the whole row and of the row with NaN.

    Args:
        posterior: of a mixture or naive Bayes, found by a method that leaves a point (`EM`,
            `MaximumLikelihood`) or a conjugate posterior (`Exact`, `VariationalBayes`).
        draws: how many of each row; None for the mean.
        seed: decides the draws.
        rows: the one variable with missing cells, by name: x (n, features).

    Returns:
        (n, features), or (draws, n, features).

    Raises:
        DataError: no rows came by name.
        Unanswerable: the posterior is of another kind, or some column has no mean.

    >>> from ppl_gen import EM, fit
    >>> from ppl_gen.models import GaussianMixture
    >>> x = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.1], [9.0, 1.0], [9.5, 0.4], [10.0, 0.1]]
    >>> posterior = fit(GaussianMixture(components=2, features=2), EM(seed=1), x=x)
    >>> imputed(posterior, x=[[9.4, float("nan")]]).round(decimals=2)
    tensor([[9.4000, 0.5000]], dtype=torch.float64)
    """
    p: Any = posterior.model
    if not rows or isinstance(draws, list | tuple) or hasattr(draws, "shape"):
        raise DataError("imputed: pass the rows with missing cells by name, as x=…")
    name = next(iter(rows))
    data = admit(p, rows, missing=True, like=posterior)
    label = [parent for parent in Factorization(p.joint).get(name, ()) if data.sites[parent].levels]
    if len(rows) != 1 or len(label) != 1:
        raise Unanswerable(
            f"imputed: expected one variable, a child of a label, of {p.joint}, got {sorted(rows)}. It takes "
            f"mixtures and naive Bayes{_by_codes(p, name, data)}"
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
    times = () if draws is None else (whole("draws", draws),)
    value, seen = data.observed[name], data.seen.get(name)
    if seen is None:
        return value.repeat(*times, 1, 1) if times else value
    levels: Any = data.sites[label[0]].values
    with torch.no_grad(), isolated(whole("seed", seed, least=0)):
        run = poutine.trace(pyro.condition(program, data={label[0]: levels[:, None]})).get_trace(n=1)
        found = variables(run)
        fn = found[name]["fn"]
        quick = score_rows(fn, value, seen)
        scores = score(fn, value, seen) if quick is None else quick
        weights = (scores + found[label[0]]["fn"].log_prob(levels[:, None])).softmax(0)  # (levels, n)
        if draws is None:
            return torch.where(seen, value, (weights[..., None] * _means(fn, value, seen)).sum(0))
        chosen = torch.distributions.Categorical(weights.mT).sample(times)  # (draws, n)
        each = torch.arange(len(value))
        return torch.stack([torch.where(seen, value, _drawn(fn, value, seen)[z, each]) for z in chosen])


def _by_codes(p: Any, name: str, data: Data) -> str:
    """What to ask of a model whose rows have codes of numbers, if this is one."""
    local = [other for other, site in data.sites.items() if site.local and not site.levels]
    codes = [parent for parent in Factorization(p.joint).get(name, ()) if parent in local]
    if len(codes) != 1:
        return ""
    (z,) = codes
    return (
        f"; of {type(p).__name__}, ask the codes, ask(posterior, 'p({z} | {name})', {name}=…), and from them "
        f"the rows, ask(posterior, 'p({name} | {z})', {z}=…)"
    )


def _means(fn: Any, value: Tensor, seen: Tensor) -> Tensor:
    """E[x_a | x_b, label], (levels, n, features)."""
    root = getattr(fn, "scale_tril", None)
    if root is None:  # cells are independent given the label
        own = bare(fn)
        codes = isinstance(own, ColumnCategorical) or getattr(own, "coded", False)
        mean = None if codes else mean_of(fn)
        if mean is None or not bool(torch.isfinite(mean).all()):
            raise Unanswerable("imputed: some columns have no mean, as categories have none: ask for draws=…")
        return mean.expand(-1, len(value), -1)
    return expected_rows(value, seen, fn.loc[:, 0], root[:, 0])


def _drawn(fn: Any, value: Tensor, seen: Tensor) -> Tensor:
    """One draw of p(x_a | x_b, label), (levels, n, features)."""
    root = getattr(fn, "scale_tril", None)
    if root is None:
        return fn.sample((len(value),))[:, :, 0].transpose(0, 1).to(value.dtype)
    df = getattr(fn, "df", None)
    return drawn_rows(value, seen, fn.loc[:, 0], root[:, 0], None if df is None else df[:, 0])

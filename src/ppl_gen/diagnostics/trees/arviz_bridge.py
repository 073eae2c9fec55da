"""All that ppl-gen asks of ArviZ: 0.23 with its 0.8 parts (Python 3.11), or 1 (from 3.12 on).

The parts arviz-stats and arviz-plots have nearly one interface in both. What differs is settled here: the
sign of `psislw`, rows of equal weights, and the `InferenceData` that 1 has no more.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppl_gen.core import dtype_of
from ppl_gen.diagnostics.trees.labels import Named
from ppl_gen.diagnostics.trees.posterior_draws import Scorer
from ppl_gen.diagnostics.trees.posterior_trees import posterior_tree
from ppl_gen.errors import DataError
from ppl_gen.inference.guides import point
from ppl_gen.inputs import Data
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior

FEWEST = 25  # draws, of which a fifth, five, are the least that a tail is fitted to


def arviz_summary(tree: Any, **options: Any) -> Any:
    """ArviZ's own table of a tree with a posterior group."""
    return _stats().summary(tree, **options)


def is_tree(value: Any) -> bool:
    """Whether this is a tree of groups, as `to_arviz` gives."""
    import xarray

    return isinstance(value, xarray.DataTree)


class LeftOut(NamedTuple):
    """Draws, and weights that make them draws of the posterior without one row.

    ``log_weights`` and ``log_likelihood`` are (draws, n), the former normalised; ``k_hat`` (n,) is to be
    below ``limit``; ``elpd_data`` is the same as ArviZ has it, for ``plot_khat`` and ``compare``.
    """

    log_weights: Tensor
    k_hat: Tensor
    limit: float
    log_likelihood: Tensor
    elpd_data: Any


def left_out_rows(tree: Any, names: Sequence[str]) -> LeftOut:
    """ArviZ's Pareto-smoothed weights of each row left out, and what they weigh: the variables ``names``.

    All variables of a row are left out together. Draws of a guide are first weighted by log p - log q, so
    that a wrong guide shows in k-hat, which plain LOO cannot see (Vehtari, Gelman and Gabry 2017; Magnusson
    et al. 2019, Bayesian leave-one-out cross-validation for large data). Where rows share no latents, there
    is nothing to weigh. Rows to which all draws give the same likelihood have equal weights, an elpd in
    sample and a k-hat of -inf; ArviZ's own functions raise an error there.

    Raises:
        DataError: the variables have different rows, or there are too few draws.
    """
    import xarray

    found = tree["log_likelihood"]
    scored = [found[name] for name in names]
    alike = [v for v in found.data_vars.values() if v.sizes == scored[0].sizes]
    if any(v.sizes != scored[0].sizes for v in scored):
        raise DataError(f"question: {', '.join(names)} have different rows; name one of them")
    count = scored[0].sizes["chain"] * scored[0].sizes["draw"]
    if count < FEWEST:
        raise DataError(f"tree: expected {FEWEST} draws or more, to fit a tail to; got {count}")
    rows, scores, name = _sum(alike), _sum(scored), "rows" if len(names) > 1 else names[0]
    groups = {"posterior": tree["posterior"].to_dataset(), "log_likelihood": xarray.Dataset({"rows": rows})}
    options: dict[str, Any] = {"pointwise": True}
    correction = _correction(tree)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they say what k-hat says
        chains = correction is None and "independent_draws" not in tree["posterior"].attrs
        if chains and not _still(rows, correction).any():  # draws depend on one another
            plain = _stats().loo(xarray.DataTree.from_dict(groups), **options)
            weights, k_hat = plain.log_weights, plain.pareto_k
        else:
            weights, k_hat = _weights(rows, correction)
        groups["log_likelihood"] = xarray.Dataset({name: scores})
        options |= {"log_weights": weights, "pareto_k": k_hat}
        data = _stats().loo(xarray.DataTree.from_dict(groups), **options)
    log_weights = as_draws(weights)
    limit = min(1 - 1 / math.log10(count), 0.7)
    log_weights = log_weights - log_weights.logsumexp(0)
    k = torch.as_tensor(k_hat.values).double().flatten()
    return LeftOut(log_weights, k, limit, as_draws(scores), data)


def as_draws(values: Any) -> Tensor:
    """A variable of a tree as (draws, cells), chain after chain."""
    ordered = values.transpose("chain", "draw", ...).values
    return torch.as_tensor(ordered.reshape(ordered.shape[0] * ordered.shape[1], -1).astype(float))


class Smoothed(NamedTuple):
    """`LeftOut` of a posterior, and its draws of the ``parameters`` by name (draws, …).

    ``log_likelihood`` is of the variables ``scored``, or of all of the row if that is empty.
    """

    log_weights: Tensor
    k_hat: Tensor
    limit: float
    log_likelihood: Tensor
    parameters: Named
    scored: tuple[str, ...]


def leave_one_out(
    posterior: Posterior, /, draws: int = 500, seed: int = 0, names: Sequence[str] = ()
) -> Smoothed:
    """`left_out_rows` of the last fit; ``names`` are scored if the tree has them one by one, else all."""
    tree = posterior_tree(
        posterior, draws, seed, {}, ("posterior", "log_likelihood", "log_prior", "sample_stats")
    )
    held = scored_in(tree)
    scored = tuple(names) if set(names) <= set(held) else ()
    found = left_out_rows(tree, scored or held)
    dtype = dtype_of(posterior.model)
    parameters = {
        str(name): as_draws(v).reshape(-1, *v.shape[2:]).to(dtype)
        for name, v in tree["posterior"].data_vars.items()
        if name in posterior.parameters
    }
    return Smoothed(*found[:4], parameters, scored)


def log_likelihood_at(posterior: Posterior, data: Data, parameters: Named) -> Tensor:
    """log p(row | parameters) of rows without continuous latents of their own, for each draw: (draws, n)."""
    scorer, rows = Scorer(posterior, data), []
    with isolated(0):
        for i in range(len(next(iter(parameters.values())))):
            drawn = scorer.draw(point({name: v[i] for name, v in parameters.items()}), data.observed)
            rows.append(sum(drawn.log_rows.values(), torch.zeros(data.n)).double())
    return torch.stack(rows)


def cells(tree: Any, var_name: str) -> Any:
    """A tree of one observed variable, its cells in one dimension: what ArviZ's PIT functions want.

    They refuse a variable whose log likelihood has fewer dimensions than itself, such as x (row, feature),
    of which a row has one likelihood; here each cell has its row's. Missing cells are left out.

    >>> from ppl_gen import fit, to_arviz
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> nb = fit(GaussianNaiveBayes(classes=2, features=2), x=[[0., 1.], [1., 2.], [5., 3.]], y=[0, 0, 1])
    >>> cells(to_arviz(nb, draws=10), "x").posterior_predictive["x"].sizes
    Frozen({'chain': 1, 'draw': 10, 'cell': 6})
    """
    import xarray

    if "observed_data" not in tree or var_name not in tree["observed_data"]:
        raise DataError(f"var_name: expected an observed variable, got {var_name!r}")
    names = scored_in(tree) if "log_likelihood" in tree else [var_name]
    if len(names) > 1 and var_name not in names:
        raise DataError(f"var_name: expected one of {', '.join(names)}, got {var_name!r}")
    likelihood = var_name if var_name in names else names[0]  # the only one also stands for what it is of
    seen = tree["observed_data"][var_name]
    seen = seen.drop_vars(list(seen.coords))
    there = seen.notnull().values.flatten()
    beside = ("posterior", "log_prior", "sample_stats")
    groups = {name: tree[name].to_dataset() for name in beside if name in tree}
    for group in ("observed_data", "posterior_predictive", "prior_predictive", "log_likelihood"):
        if group not in tree:
            continue
        values = tree[group]
        found = values[likelihood if group == "log_likelihood" else var_name]
        found = found.drop_vars([name for name in found.coords if name not in ("chain", "draw")])
        draws = [dim for dim in ("chain", "draw") if dim in found.dims]
        spread = found.broadcast_like(seen).transpose(*draws, *seen.dims)
        flat = spread.values.reshape(*(spread.sizes[dim] for dim in draws), -1)[..., there]
        coords = {**{dim: found.coords[dim] for dim in draws}, "cell": range(int(there.sum()))}
        groups[group] = xarray.Dataset({var_name: ((*draws, "cell"), flat)}, coords=coords)
    return xarray.DataTree.from_dict(groups)


def to_inference_data(tree: Any) -> Any:
    """The tree as an `arviz.InferenceData`, the container of ArviZ 0.

    Raises:
        DataError: this is ArviZ 1, whose functions take the tree as it is.
    """
    import arviz

    if not is_legacy():
        raise DataError(f"ArviZ {arviz.__version__} has no InferenceData: its functions take the tree itself")
    return arviz.from_datatree(tree)


def is_legacy() -> bool:
    """Whether ArviZ is 0.23 with its 0.8 parts."""
    return str(_stats().__version__).startswith("0.")


def scored_in(tree: Any) -> list[str]:
    """The variables of log_likelihood.

    Raises:
        DataError: there is no such group, or no posterior.
    """
    for group in ("posterior", "log_likelihood"):
        if group not in tree:
            raise DataError(f"tree: expected a {group} group, as to_arviz makes it unless it says why not")
    return [str(name) for name in tree["log_likelihood"].data_vars]


def _sum(values: Sequence[Any]) -> Any:
    return sum(values[1:], values[0])


def _correction(tree: Any) -> Any:
    """log p - log q of a guide's draws, if rows share latents; the largest is 0."""
    stats = tree.get("sample_stats", {})
    if not ("log_p" in stats and "log_q" in stats and "log_prior" in tree):
        return None
    difference = stats["log_p"] - stats["log_q"]
    return difference - difference.max()


def _still(rows: Any, correction: Any) -> Any:
    """Which rows have equal weights, up to rounding."""
    ratios = -rows if correction is None else correction - rows
    spread = ratios.max(["chain", "draw"]) - ratios.min(["chain", "draw"])
    return spread.values <= 1e-9 * (1 + abs(rows).max(["chain", "draw"]).values)


def _weights(rows: Any, correction: Any) -> tuple[Any, Any]:
    """Pareto-smoothed log weights that leave each row out, and their k-hat: -inf where all are equal.

    ArviZ's accessor takes a log likelihood, and negates it; the legacy ``arviz.psislw`` takes log weights.
    """
    _stats()  # brings the accessor
    still, draws = _still(rows, correction), rows.sizes["chain"] * rows.sizes["draw"]
    likelihood = rows if correction is None else rows - correction
    ramp = rows.isel({dim: 0 for dim in rows.dims if dim not in ("chain", "draw")}, drop=True).copy()
    ramp.values = np.arange(draws, dtype=float).reshape(ramp.shape)  # anything that varies
    still = rows.isel(chain=0, draw=0, drop=True).copy(data=still)
    likelihood = likelihood.where(~still, ramp).transpose(*rows.dims)
    smoothed, k_hat = likelihood.azstats.psislw(dim=["chain", "draw"])
    return smoothed.where(~still, -math.log(draws)), k_hat.where(~still, -math.inf)


def _stats() -> Any:
    import arviz_stats

    return arviz_stats  # some versions do not declare what they export: hence Any

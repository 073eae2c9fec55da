"""All that ppl-gen asks of ArviZ: 0.23 with its 0.8 parts (Python 3.11), or 1 (from 3.12 on).

The parts arviz-stats and arviz-plots have nearly one interface in both. What differs is settled here: the
sign and the rounding of `compare`'s differences, and the `InferenceData` that 1 has no more.
"""

import math
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppl_gen.core import dtype_of
from ppl_gen.diagnostics.trees.labels import Named
from ppl_gen.diagnostics.trees.posterior_draws import Scorer
from ppl_gen.diagnostics.trees.posterior_trees import posterior_tree
from ppl_gen.errors import DataError, Unreliable
from ppl_gen.inference.guides import point
from ppl_gen.inference.nuts import Draws
from ppl_gen.inputs import Data
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior


def arviz_summary(tree: Any, **options: Any) -> Any:
    """ArviZ's own table of a tree with a posterior group."""
    return _stats().summary(tree, **options)


def tree_loo(tree: Any, var_name: str | None = None) -> Any:
    """ArviZ's PSIS-LOO of one variable's rows, pointwise; of a guide's draws, `loo_approximate_posterior`.

    Draws of a guide are first weighted by log p - log q, so that a wrong guide shows in k-hat, which plain
    LOO cannot see (Vehtari, Gelman and Gabry 2017; Magnusson et al. 2019, Bayesian leave-one-out
    cross-validation for large data). Where rows share no latents, there is nothing to weigh.

    Rows to which all draws give the same likelihood have equal weights, an elpd in sample, a k-hat of -inf,
    and an `Unreliable` warning; ArviZ's own functions raise an error there.

    Args:
        tree: from `to_arviz`, with log_likelihood, log_prior and sample_stats.
        var_name: a variable of log_likelihood; None if there is one alone.

    Returns:
        ArviZ's ELPDData: elpd in nats, elpd_i and pareto_k (*rows,), good_k, their limit.

    Raises:
        DataError: the tree has no log_likelihood, or of several variables none is named.

    >>> from ppl_gen import fit, to_arviz
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> data = {"x": [[0.], [1.], [5.], [6.], [2.], [4.]], "y": [0, 0, 1, 1, 0, 1]}
    >>> tree = to_arviz(fit(GaussianNaiveBayes(classes=2, features=1), **data), draws=100)
    >>> tree_loo(tree, "x").elpd_i.sizes
    Frozen({'row': 6})
    """
    name = _scored(tree, var_name)
    rows, correction = tree["log_likelihood"][name], _correction(tree)
    options: dict[str, Any] = {"pointwise": True, "var_name": name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they say what k-hat says
        if not _still(rows, correction).any():
            if correction is None:
                return _stats().loo(tree, **options)
            weights = {key: tree["sample_stats"][key] for key in ("log_p", "log_q")}
            return _stats().loo_approximate_posterior(tree, **weights, **options)
        found = _weights(rows, correction)
        result = _stats().loo(tree, **options, log_weights=found[0], pareto_k=found[1])
    warnings.warn(
        f"tree_loo: all draws give some rows of {name} the same likelihood, as a point does: nothing changes "
        f"where such a row is left out, and its elpd is that of a row that was fitted",
        Unreliable,
        stacklevel=2,
    )
    return result


class Smoothed(NamedTuple):
    """Draws of the parameters, and weights that make them draws of the posterior without one row.

    ``log_weights`` and ``log_likelihood`` are (draws, n), the former normalised; ``k_hat`` (n,) is to be
    below ``limit``; ``parameters`` are by name (draws, …).
    """

    log_weights: Tensor
    k_hat: Tensor
    limit: float
    log_likelihood: Tensor
    parameters: Named


def leave_one_out(posterior: Posterior, /, draws: int = 500, seed: int = 0) -> Smoothed:
    """ArviZ's Pareto-smoothed weights of the rows of the last fit, each left out.

    Draws of a guide are first weighted by log p - log q, so that a wrong guide shows in k-hat (Vehtari,
    Gelman and Gabry 2017; Magnusson et al. 2019, Bayesian leave-one-out cross-validation for large data).
    """
    tree = posterior_tree(
        posterior, draws, seed, {}, ("posterior", "log_likelihood", "log_prior", "sample_stats")
    )
    rows: Any = sum(tree["log_likelihood"].data_vars.values())
    correction = None if posterior.evidence is not None else _correction(tree)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they say what k-hat says
        if isinstance(posterior.guide, Draws) and not _still(rows, correction).any():
            tree["log_likelihood"]["rows"] = rows
            found = _stats().loo(tree, pointwise=True, var_name="rows")  # draws depend on one another
            weights, k_hat = found.log_weights, found.pareto_k
        else:
            weights, k_hat = _weights(rows, correction)

    def of(values: Any) -> Tensor:
        flat = values.stack(sample=("chain", "draw")).transpose("sample", ...).values
        return torch.as_tensor(flat.astype(float))

    drawn = tree["posterior"].data_vars.items()
    parameters = {str(k): of(v).to(dtype_of(posterior.model)) for k, v in drawn if k in posterior.parameters}
    log_weights, count = of(weights), rows.sizes["chain"] * rows.sizes["draw"]
    limit = min(1 - 1 / math.log10(count), 0.7)
    log_weights = log_weights - log_weights.logsumexp(0)
    return Smoothed(log_weights, torch.as_tensor(k_hat.values).double(), limit, of(rows), parameters)


def log_likelihood_at(posterior: Posterior, data: Data, parameters: Named) -> Tensor:
    """log p(row | parameters) of rows without continuous latents of their own, for each draw: (draws, n)."""
    scorer, rows = Scorer(posterior, data), []
    with isolated(0):
        for i in range(len(next(iter(parameters.values())))):
            drawn = scorer.draw(point({name: v[i] for name, v in parameters.items()}), data.observed)
            rows.append(sum(drawn.log_rows.values(), torch.zeros(data.n)).double())
    return torch.stack(rows)


def compare_trees(trees: Mapping[str, Any], var_name: str | None = None) -> Any:
    """Models by their `tree_loo`, the best first: one table with one meaning in all versions of ArviZ.

    Columns: rank; elpd in nats and se, its standard error; p, the effective number of parameters; elpd_diff,
    elpd less that of the best (never above 0; ArviZ 0.8 has the other sign, 1 rounds to text), and dse, its
    standard error; weight, of stacking (Yao et al. 2018); bad_k, how many rows have a k-hat above its limit,
    so that their numbers mean little.

    Args:
        trees: name -> tree of the same rows. var_name: as in `tree_loo`.

    Raises:
        DataError: there are fewer than two trees, or `tree_loo` refuses one.

    >>> from ppl_gen import fit, to_arviz
    >>> from ppl_gen.models import GaussianNaiveBayes, SharedGaussianNaiveBayes
    >>> data = {"x": [[0.], [1.], [5.], [6.], [2.], [4.]], "y": [0, 0, 1, 1, 0, 1]}
    >>> twins = {"own": GaussianNaiveBayes(2, 1), "shared": SharedGaussianNaiveBayes(2, 1)}
    >>> table = compare_trees({name: to_arviz(fit(p, **data), draws=100) for name, p in twins.items()}, "x")
    >>> table["elpd_diff"].tolist()[0], bool(table["elpd_diff"].iloc[1] < 0)
    (0.0, True)
    """
    if len(trees) < 2:
        raise DataError(f"trees: expected two or more, by name; got {len(trees)}")
    found = {name: tree_loo(tree, var_name) for name, tree in trees.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {} if is_legacy() else {"round_to": "none"}
        table = _stats().compare(found, **options)
    table = table[["rank", "elpd", "se", "p", "dse", "weight"]].copy()
    table.insert(4, "elpd_diff", table["elpd"] - table["elpd"].max())
    limits = {name: float(each.good_k) for name, each in found.items()}
    table["bad_k"] = [int((found[name].pareto_k.values > limits[name]).sum()) for name in table.index]
    return table


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
    seen = tree["observed_data"][var_name]
    seen = seen.drop_vars(list(seen.coords))
    there = seen.notnull().values.flatten()
    beside = ("posterior", "log_prior", "sample_stats")
    groups = {name: tree[name].to_dataset() for name in beside if name in tree}
    for group in ("observed_data", "posterior_predictive", "prior_predictive", "log_likelihood"):
        if group not in tree:
            continue
        values = tree[group]
        found = values[_scored(tree, var_name, alone=True) if group == "log_likelihood" else var_name]
        found = found.drop_vars([name for name in found.coords if name not in ("chain", "draw")])
        draws = [dim for dim in ("chain", "draw") if dim in found.dims]
        spread = found.broadcast_like(seen).transpose(*draws, *seen.dims)
        flat = spread.values.reshape(*(spread.sizes[dim] for dim in draws), -1)[..., there]
        coords = {**{dim: found.coords[dim] for dim in draws}, "cell": range(int(there.sum()))}
        groups[group] = xarray.Dataset({var_name: ((*draws, "cell"), flat)}, coords=coords)
    return xarray.DataTree.from_dict(groups)


def tree_loo_pit(tree: Any, var_name: str, seed: int = 0) -> Tensor:
    """Where each cell lies among its predictions by the other rows: (cells,), uniform if all is well.

    Probability integral transforms, weighed as in `tree_loo`; missing cells are left out, ties are broken at
    random. Cells of one row are not independent. Reference: Gelfand, Dey and Chang 1992, Model determination
    using predictive distributions.

    >>> from ppl_gen import fit, to_arviz
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> nb = fit(GaussianNaiveBayes(classes=2, features=1), x=[[0.], [1.], [2.], [5.]], y=[0, 0, 0, 1])
    >>> tree_loo_pit(to_arviz(nb, draws=100), "x").shape
    torch.Size([4])
    """
    flat = cells(tree, var_name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they say what k-hat says
        log_weights, k_hat = _weights(flat["log_likelihood"][var_name], _correction(flat))
        weights = {"log_weights": {var_name: log_weights}, "pareto_k": {var_name: k_hat}}
        found = _stats().loo_pit(flat, var_names=[var_name], random_state=seed, **weights)
    return torch.as_tensor(found[var_name].values).clamp(0, 1)  # sums of weights may exceed 1 by rounding


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


def _scored(tree: Any, var_name: str | None, alone: bool = False) -> str:
    """The variable of log_likelihood; ``alone``, the only one also stands for each variable in it."""
    if "log_likelihood" not in tree:
        raise DataError("tree: expected a log_likelihood group, as to_arviz makes it unless it says why not")
    names = [str(name) for name in tree["log_likelihood"].data_vars]
    if var_name in names or (len(names) == 1 and (alone or var_name is None)):
        return var_name if var_name in names and var_name is not None else names[0]
    raise DataError(f"var_name: expected one of {', '.join(names)}, got {var_name!r}")


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

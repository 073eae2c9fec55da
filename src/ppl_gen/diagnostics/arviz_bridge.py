"""All that ppl-gen asks of ArviZ: 0.23 with its 0.8 parts (Python 3.11), or 1 (from 3.12 on).

The parts arviz-stats and arviz-plots have nearly one interface in both. What differs is settled here: the
sign and the rounding of `compare`'s differences, and the `InferenceData` that 1 has no more.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ppl_gen.diagnostics.posterior_trees import posterior_tree
from ppl_gen.errors import DataError
from ppl_gen.posterior import Posterior


def arviz_summary(tree: Any, **options: Any) -> Any:
    """ArviZ's own table of a tree with a posterior group."""
    return _stats().summary(tree, **options)


def loo(tree: Any, var_name: str | None = None) -> Any:
    """ArviZ's PSIS-LOO of one variable's rows, pointwise; of a guide's draws, `loo_approximate_posterior`.

    Draws of a guide are first weighted by log p - log q, so that a wrong guide shows in k-hat, which plain
    LOO cannot see (Vehtari, Gelman and Gabry 2017; Magnusson et al. 2019, Bayesian leave-one-out
    cross-validation for large data). Where rows share no latents, there is nothing to weigh.

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
    >>> loo(tree, "x").elpd_i.sizes
    Frozen({'row': 6})
    """
    if "log_likelihood" not in tree:
        raise DataError("tree: expected a log_likelihood group, as to_arviz makes it unless it says why not")
    names = [str(name) for name in tree["log_likelihood"].data_vars]
    if var_name not in names and (var_name is not None or len(names) > 1):
        raise DataError(f"var_name: expected one of {', '.join(names)}, got {var_name!r}")
    name, stats = var_name or names[0], tree.get("sample_stats", {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they say what k-hat says
        if "log_p" in stats and "log_q" in stats and "log_prior" in tree:
            weights = {key: stats[key] for key in ("log_p", "log_q")}
            return _stats().loo_approximate_posterior(tree, **weights, pointwise=True, var_name=name)
        return _stats().loo(tree, pointwise=True, var_name=name)


def leave_one_out(posterior: Posterior, /, draws: int = 500, seed: int = 0) -> tuple[Tensor, Tensor, float]:
    """`loo` of the rows of the last fit: log density of each (n,), k-hat (n,), and its limit."""
    groups = ("posterior", "log_likelihood", "log_prior", "sample_stats")
    found = loo(posterior_tree(posterior, draws, seed, {}, groups))
    rows, k_hat = (torch.as_tensor(v.values).double() for v in (found.elpd_i, found.pareto_k))
    return rows, k_hat, float(found.good_k)


def compare_loo(trees: Mapping[str, Any], var_name: str | None = None) -> Any:
    """Models by their `loo`, the best first: one table with one meaning in all versions of ArviZ.

    Columns: rank; elpd in nats and se, its standard error; p, the effective number of parameters; elpd_diff,
    elpd less that of the best (never above 0; ArviZ 0.8 has the other sign, 1 rounds to text), and dse, its
    standard error; weight, of stacking (Yao et al. 2018); bad_k, how many rows have a k-hat above its limit,
    so that their numbers mean little.

    Args:
        trees: name -> tree of the same rows. var_name: as in `loo`.

    Raises:
        DataError: there are fewer than two trees, or `loo` refuses one.

    >>> from ppl_gen import fit, to_arviz
    >>> from ppl_gen.models import GaussianNaiveBayes, SharedGaussianNaiveBayes
    >>> data = {"x": [[0.], [1.], [5.], [6.], [2.], [4.]], "y": [0, 0, 1, 1, 0, 1]}
    >>> twins = {"own": GaussianNaiveBayes(2, 1), "shared": SharedGaussianNaiveBayes(2, 1)}
    >>> table = compare_loo({name: to_arviz(fit(p, **data), draws=100) for name, p in twins.items()}, "x")
    >>> table["elpd_diff"].tolist()[0], bool(table["elpd_diff"].iloc[1] < 0)
    (0.0, True)
    """
    if len(trees) < 2:
        raise DataError(f"trees: expected two or more, by name; got {len(trees)}")
    found = {name: loo(tree, var_name) for name, tree in trees.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {} if is_legacy() else {"round_to": "none"}
        table = _stats().compare(found, **options)
    table = table[["rank", "elpd", "se", "p", "dse", "weight"]].copy()
    table.insert(4, "elpd_diff", table["elpd"] - table["elpd"].max())
    limits = {name: float(each.good_k) for name, each in found.items()}
    table["bad_k"] = [int((found[name].pareto_k.values > limits[name]).sum()) for name in table.index]
    return table


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


def _stats() -> Any:
    import arviz_stats

    return arviz_stats  # some versions do not declare what they export: hence Any

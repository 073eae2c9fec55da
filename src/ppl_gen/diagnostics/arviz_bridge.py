"""All that ppl-gen asks of ArviZ: 0.23 with its 0.8 parts (Python 3.11), or 1 (from 3.12 on)."""

import warnings
from typing import Any

import torch
from torch import Tensor

from ppl_gen.diagnostics.posterior_trees import posterior_tree
from ppl_gen.posterior import Posterior


def arviz_summary(tree: Any, **options: Any) -> Any:
    """ArviZ's own table of a tree with a posterior group."""
    import arviz_stats

    stats: Any = arviz_stats  # some versions do not declare what they export
    return stats.summary(tree, **options)


def leave_one_out(posterior: Posterior, /, draws: int = 500, seed: int = 0) -> tuple[Tensor, Tensor, float]:
    """ArviZ's PSIS-LOO of the rows of the last fit: log density of each (n,), k-hat (n,), and its limit.

    Draws of a guide are first weighted by log p - log q, so that a wrong guide shows in k-hat (Vehtari,
    Gelman and Gabry 2017; Magnusson et al. 2019, Bayesian leave-one-out cross-validation for large data).
    """
    import arviz_stats

    stats: Any = arviz_stats
    tree = posterior_tree(posterior, draws, seed, {}, ("posterior", "log_likelihood", "sample_stats"))
    (name,) = tree["log_likelihood"].data_vars
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they say what k-hat says
        if posterior.evidence is None and "log_q" in tree["sample_stats"]:
            guide = {key: tree["sample_stats"][key] for key in ("log_p", "log_q")}
            found = stats.loo_approximate_posterior(tree, **guide, pointwise=True, var_name=name)
        else:
            found = stats.loo(tree, pointwise=True, var_name=name)
    rows, k_hat = (torch.as_tensor(v.values).double() for v in (found.elpd_i, found.pareto_k))
    return rows, k_hat, float(found.good_k)

"""Tables of a posterior: means, standard deviations and intervals; and whether chains agree."""

import math
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from ppl_gen.checks import called
from ppl_gen.diagnostics.trees.arviz_bridge import arviz_summary
from ppl_gen.diagnostics.trees.trees import of_bare_pyro, to_arviz
from ppl_gen.errors import DataError, Unanswerable, Unreliable
from ppl_gen.inference import PyroFit
from ppl_gen.posterior import Posterior

AGREE = 1.05  # an R-hat up to which chains may be said to agree
BESIDE = "components renamed alike"
MARK = "invariant: "
TINY = 1e-9  # relative: rounding, and no scatter


def summary(posterior: Any, /, **options: Any) -> Any:
    """ArviZ's table of means, standard deviations and intervals, one row for each parameter.

    Draws of `to_arviz` are independent, so there are no r_hat and ess columns, and the numbers of a row have
    two decimals, or more until its spread has two digits. For other trees, such as those of MCMC, ArviZ's own
    defaults hold.

    Chains of a mixture have r_hat and ess, and the rows of `invariants` below those of the parameters: R-hat
    of a parameter tells nothing where labels switch. In the corner stands that components were renamed alike,
    if they were.

    Args:
        posterior: what `fit`, `fit_pyro` or `to_arviz` returned, or any tree with a posterior group.
        options: of ``arviz_stats.summary``: var_names, ci_prob, round_to, …; with ``var_names``, there are
            no invariants.

    Raises:
        DataError: this is neither a posterior nor such a tree, or ``kind`` asks for convergence diagnostics
            of independent draws.

    >>> from ppl_gen import fit
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> posterior = fit(GaussianNaiveBayes(classes=2, features=1), x=[[0.], [1.], [5.]], y=[0, 0, 1])
    >>> summary(posterior, var_names=["pi"]).index.tolist()
    ['pi[0]', 'pi[1]']
    """
    tree = _tree(posterior)
    if not tree["posterior"].data_vars:  # nothing is hidden
        import pandas

        return pandas.DataFrame(columns=["mean", "sd"], dtype=float)
    if "independent_draws" in tree["posterior"].attrs:
        kind = options.setdefault("kind", "stats")
        if "stats" not in kind:
            raise DataError(
                f"kind: expected 'stats' or 'stats_median', got {kind!r}: the draws are independent, there "
                f"is no chain whose convergence r_hat or ess could judge"
            )
        if "round_to" not in options and options.get("fmt", "wide") == "wide":
            return _rounded(arviz_summary(tree, **options, round_to="none"))
    table = arviz_summary(tree, **options)
    if options.keys() <= {"kind", "ci_prob", "ci_kind", "round_to", "stat_focus"} and _has_labels(tree):
        import pandas

        table = pandas.concat([table, _invariants(tree, options, 3)])
        if BESIDE in tree.attrs.get("note", ""):
            table.columns.name = BESIDE
    return table


def invariants(posterior: Any, /, **options: Any) -> Any:
    """Do the chains of a mixture agree? R-hat and ess of what the names of its components cannot change.

    Where labels switch, R-hat of a component's mean is large though all is well; once components are renamed
    alike, it may be near one though chains are stuck in different groupings. These rows stay as they are
    under any renaming: log p(parameters, data); log p(data | parameters); of the densities of single rows,
    p(row | parameters), the worst; of the probabilities that two rows have the same component (all pairs, or
    200 at random), the worst; and the entropies in nats of p(label | parameters) and, on average over the
    rows, of p(label | row, parameters). The worst is the one of the largest R-hat (Vehtari et al. 2021,
    Rank-normalization, folding, and localization: an improved R-hat for assessing convergence of MCMC).

    An `Unreliable` warning says so where an R-hat exceeds 1.05.

    Args:
        posterior: of a mixture, by `NUTS`; or its tree.
        options: of ``arviz_stats.summary``: kind, ci_prob, round_to, …

    Raises:
        DataError: this is neither a posterior nor a tree.
        Unanswerable: there are no chains, or no hidden labels.

    >>> from ppl_gen import EM, fit
    >>> from ppl_gen.models import PoissonMixture
    >>> posterior = fit(PoissonMixture(components=2, features=1), EM(), x=[[0], [1], [9], [8]])
    >>> invariants(posterior)
    Traceback (most recent call last):
    ppl_gen.errors.Unanswerable: invariants: expected chains of NUTS from a mixture, a joint with one hidden \
finite variable of each row; other draws are independent, and without hidden labels `summary` has R-hat
    """
    return _invariants(_tree(posterior), options, 3)


def _invariants(tree: Any, options: dict[str, Any], stacklevel: int) -> Any:
    import xarray

    if not _has_labels(tree):
        raise Unanswerable(
            "invariants: expected chains of NUTS from a mixture, a joint with one hidden finite variable of "
            "each row; other draws are independent, and without hidden labels `summary` has R-hat"
        )
    stats, likelihood = tree["sample_stats"], tree["log_likelihood"]
    (rows,) = likelihood.data_vars.values()
    found = {
        "log p(all)": stats.get("log_p"),
        "log p(data)": rows.sum("row"),
        "log p(row {})": rows,
        "p(rows {} together)": stats["together"],
        "entropy of weights": stats["weights_entropy"],
        "entropy of labels": stats["labels_entropy"],
    }
    shown = {}
    for name, values in found.items():
        if values is None:
            continue
        dims = [dim for dim in values.dims if dim not in ("chain", "draw")]
        if dims:
            place = _worst(values, dims[0])
            values = values.isel({dims[0]: place})
            name = f"{name.format(values[dims[0]].item())}, the worst"
        shown[MARK + name] = values.drop_vars(["row", "pair"], errors="ignore")
    chosen = xarray.DataTree.from_dict({"posterior": xarray.Dataset(shown)})
    hats = dict(zip(shown, _hats(chosen, shown.values()), strict=True))
    bad = {name: hat for name, hat in hats.items() if hat > AGREE}
    if len(bad):
        named = ", ".join(f"{hat:.2f} of {name.removeprefix(MARK)}" for name, hat in bad.items())
        warnings.warn(
            f"the chains disagree on what no renaming of components can change: R-hat {named}. They "
            f"are too short, or stuck in different modes: take more draws or chains, and compare them",
            Unreliable,
            stacklevel=stacklevel,
        )
    with np.errstate(invalid="ignore", divide="ignore"):  # where a row is constant
        return arviz_summary(chosen, **options)


def _tree(posterior: Any) -> Any:
    """The tree of a posterior, or what already is one."""
    tree = posterior
    if isinstance(posterior, Posterior):
        tree = to_arviz(posterior)
    elif isinstance(posterior, PyroFit):
        tree = to_arviz(posterior, groups=["posterior"])
    try:
        _ = tree["posterior"].attrs
    except Exception:  # whatever it says: a class of Pyro asserts
        raise DataError(
            f"posterior: expected what fit, fit_pyro or to_arviz returned, or a tree with a posterior group, "
            f"got {called(posterior)}{of_bare_pyro(posterior)}"
        ) from None
    return tree


def _has_labels(tree: Any) -> bool:
    return "sample_stats" in tree and "together" in tree["sample_stats"]


def _worst(values: Any, dim: str) -> int:
    """Where R-hat is largest."""
    import xarray

    each = xarray.DataTree.from_dict({"posterior": values.to_dataset(name="each")})
    hats = _hats(each, (values.isel({dim: i}) for i in range(values.sizes[dim])))
    return max(range(len(hats)), key=lambda i: hats[i] if hats[i] == hats[i] else 0.0)


def _hats(tree: Any, each: Iterable[Any]) -> list[float]:
    """R-hat of each array, those of the tree in order: nan of a constant, inf where every chain has its own.

    There the variance within chains is zero, or rounding, and ArviZ's figure means nothing.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        found = arviz_summary(tree, kind="diagnostics", round_to="none")["r_hat"].astype(float)
    hats = []
    for values, hat in zip(each, found, strict=True):
        array = np.asarray(values, dtype=float)
        within = float(np.ptp(array, axis=values.dims.index("draw")).max())
        still = TINY * max(1.0, float(abs(array).max()))
        hats.append(hat if within > still else math.inf if float(np.ptp(array)) > still else math.nan)
    return hats


def _rounded(table: Any) -> Any:
    """Each row with two decimals, or as many more as give its second column, the spread, two digits."""
    for i, spread in enumerate(table.iloc[:, 1]):
        digits = 1 - math.floor(math.log10(spread)) if 0 < spread < math.inf else 2
        table.iloc[i] = table.iloc[i].round(max(2, digits))
    return table

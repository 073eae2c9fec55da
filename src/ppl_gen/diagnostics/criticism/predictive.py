"""Predictive checks: do data that the model generates look like the data at hand?"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from ppl_gen.checks import called, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.diagnostics.criticism.criteria import values_of
from ppl_gen.diagnostics.criticism.misfit import PredictiveCheck
from ppl_gen.diagnostics.criticism.replications import Array, arrays_of, replications, targets_of
from ppl_gen.diagnostics.criticism.statistics import Names, Statistic, labels_of, statistics_of
from ppl_gen.diagnostics.trees.trees import of_bare_pyro
from ppl_gen.errors import DataError
from ppl_gen.fit import fit
from ppl_gen.inference import PyroFit
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior

SHOWN = 30  # replications that are kept for figures
ABSURD = 10  # widths of the data away from them


def predictive_check(
    of: Posterior | ProbabilisticModel,
    /,
    statistics: Iterable[str] | Mapping[str, Any] | None = None,
    *,
    prior: bool = False,
    split: bool = False,
    draws: int = 500,
    seed: int = 0,
    level: float = 0.05,
    names: Names | None = None,
    **data: Any,
) -> PredictiveCheck:
    """Compare test statistics of the data with those of data sets that the model generates.

    Each of the ``draws`` draws the parameters and, given these, as many rows as there are, with the same
    cells missing; rows' own latents are drawn anew, and what the joint is given stays (Rubin 1984; Gelman,
    Meng and Stern 1996). The two-sided tail probability of each statistic comes with its Monte-Carlo error.
    The adjusted one is that of the farthest of all statistics, each on its own scale, so that the more one
    looks at, the more it takes (Westfall and Young 1993, single step): below ``level`` once in 1/level sound
    models.

    Three kinds. *Posterior predictive*: on the rows that were fitted. The data are used twice, so tail
    probabilities of a sound model crowd at one half, and a statistic that the model fits, such as a mean it
    has a parameter for, finds nothing: few false alarms, and little power. *Held out* (``split=True``, or
    new rows passed by name): half the rows are fitted, by the same method, the other half is compared; tail
    probabilities of a sound model are uniform (Moran, Blei and Ranganath 2024; Li and Huggins 2022). *Prior
    predictive* (``prior=True``, or of a model): what is believed before any data, with the share of values
    that are absurd, farther from all of the data than ten times their width.

    Args:
        of: a posterior; or a model, for the prior predictive.
        statistics: names out of mean, sd, min, max, skew, zeros (their share), distinct (how many), shares
            (of classes), correlation, and "by class"; or a mapping of names to functions of variables by
            name, on NumPy arrays with nan where a cell is missing: ``{"gap": lambda x: numpy.ptp(x)}``, which
            give one number or several. What the joint is given has its name, too: ``lambda y, group:
            y[group == 2].mean()``; or all of it is in the mapping ``given``: ``lambda y, given: …``. Whole
            numbers that it is given, such as groups, stay whole and may index. By default, what suits the
            kind of each variable.
        prior: whether to check the prior.
        split: whether to fit half of the rows anew and to compare with the others.
        draws: how many replications. seed: decides them, and the halves.
        level: the share of sound models in which anything may be flagged.
        names: what columns, or classes, are called: ``{"x": data.features, "y": data.classes}``.
        data: rows by name; by default those of the fit.

    Raises:
        DataError: an argument is not as expected, or a statistic is undefined on the data.
        NoSampler: the joint cannot be drawn from.

    >>> import torch
    >>> from ppl_gen import fit
    >>> from ppl_gen.models import GaussianMixture
    >>> x = torch.cat([torch.linspace(-1, 1, 40), torch.tensor([9.0])])[:, None]
    >>> one = fit(GaussianMixture(components=1, features=1), x=x, z=torch.zeros(41))
    >>> check = predictive_check(one, ["max", "skew"], draws=200)
    >>> check.misfit
    ('skew of x[0]', 'max of x[0]')
    """
    if not isinstance(of, ProbabilisticModel | Posterior):
        bare = ""
        if isinstance(of, PyroFit) or of_bare_pyro(of):
            bare = (
                ". Of bare Pyro, to_arviz(…) has posterior_predictive to compare with observed_data, and "
                "diagnose(found) compares them, if fit_pyro made it"
            )
        raise DataError(f"of: expected a Posterior or a ProbabilisticModel, got {called(of)}{bare}")
    model = not isinstance(of, Posterior)
    prior = prior or model
    if prior and split:
        raise DataError("split: a prior has seen no rows, so that none need be held out")
    if not 0 < level < 1:
        raise DataError(f"level: expected a number between 0 and 1, got {level!r}")
    whole("draws", draws, least=20)
    whole("seed", seed, least=0)
    with isolated(seed):
        rows = _rows(of, data)
        kind = "prior" if prior else "held out" if split or _are_new(of, rows) else "posterior"
    if split:
        of, rows = _half(of, rows, seed)
    targets, values = targets_of(rows), arrays_of(rows)
    levels = {name: rows.sites[name].levels for name in targets if rows.sites[name].levels}
    wanted = statistics_of(statistics, values, targets, levels, names)
    observed = _numbers(wanted, values)
    found = np.empty((draws, len(observed)))
    absurd, kept = np.zeros(len(targets)), []
    for i, one in enumerate(replications(of, rows, draws, seed, prior)):
        found[i] = _numbers(wanted, one)
        if prior:
            absurd += [0 if name in levels else _absurd(values[name], one[name]) for name in targets]
        if i < SHOWN:
            kept.append({name: one[name] for name in targets})
    labels = [label for statistic in wanted for label in statistic.labels]
    return PredictiveCheck.of(
        kind, type(of.model if isinstance(of, Posterior) else of).__name__, labels, observed, found, level,
        {name: values[name] for name in targets}, kept,
        dict(zip(targets, absurd / draws, strict=True)) if prior else {},
        {k: v for k, v in labels_of(values, targets, levels, names).items() if k not in levels},
        rows.n, isinstance(of, Posterior) and bool(of.point),
    )  # fmt: skip


def _rows(of: Any, data: Mapping[str, Any]) -> Data:
    if data:
        fitted = isinstance(of, Posterior)
        return admit(of.model if fitted else of, data, missing=True, like=of if fitted else None)
    if not isinstance(of, Posterior):
        raise DataError(f"predictive_check of a model needs data to compare with: pass rows of {of.joint}")
    return of.fitted_data()


def _are_new(of: Any, rows: Data) -> bool:
    return isinstance(of, Posterior) and rows.fingerprint() not in of.fingerprints


def _half(of: Any, rows: Data, seed: int) -> tuple[Posterior, Data]:
    """The same model fitted, by the same method, to half of the rows; and the other half."""
    if of.yesterday is not None or len(of.fingerprints) > 1:
        raise DataError(
            "split: this posterior continues an earlier one, whose rows are not here: fit all rows at once, "
            "or pass rows that it has not seen by name"
        )
    with isolated(seed):
        order = torch.randperm(rows.n)
    first, second = order.tensor_split(2)
    return fit(of.prior, of.method, **values_of(rows.take(first))), rows.take(second)


def _numbers(wanted: Iterable[Statistic], values: Mapping[str, Array]) -> Array:
    with np.errstate(all="ignore"):
        return np.concatenate([statistic.of(values) for statistic in wanted])


def _absurd(observed: Array, drawn: Array) -> float:
    """The share of cells that are not finite, or farther from all of the data than ABSURD widths of them."""
    x, y = (v.reshape(len(v), -1) for v in (observed, drawn))
    low, high = np.nanmin(x, 0), np.nanmax(x, 0)
    wide = np.where(high > low, high - low, np.maximum(abs(high), 1.0)) * ABSURD
    seen = ~np.isnan(x)
    inside = (y >= low - wide) & (y <= high + wide)
    return float((~inside & seen).sum() / seen.sum())

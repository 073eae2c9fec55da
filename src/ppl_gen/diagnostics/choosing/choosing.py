"""How many components, or codes: a model of each size, compared by every criterion that applies."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass, replace
from typing import Any

import torch

from ppl_gen.checks import called, did_you_mean, whole
from ppl_gen.core import Conjugate, ProbabilisticModel
from ppl_gen.diagnostics.choosing.choice import Choice, Criterion
from ppl_gen.diagnostics.criticism import criteria as measured
from ppl_gen.errors import DataError, NonFinite, PplGenError, Unanswerable, Unreliable
from ppl_gen.fit import fit
from ppl_gen.inference import SVI, Exact, MaximumLikelihood, VariationalBayes
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior
from ppl_gen.progress import track

CRITERIA = ("log evidence", "LOO", "held out", "-BIC/2")
LEAST_DRAWS = 25  # of which a fifth, five, are the least that a tail is fitted to
_FAILURES = DataError, NonFinite, Unanswerable  # of one K, which the others outlive


def choose_k(
    model_of: Callable[[int], ProbabilisticModel],
    ks: Iterable[int] = range(1, 7),
    method: Any = None,
    /,
    *,
    criteria: Iterable[str] = CRITERIA,
    folds: int = 5,
    draws: int = 500,
    seed: int = 0,
    progress: bool | None = None,
    **data: Any,
) -> Choice:
    """Fit a model of each size K, and compare them by every criterion that applies, all in nats.

    *log evidence*: enumerated, where all labellings of the rows can be tried; else exact, or importance
    sampled, or the bound of `VariationalBayes`. The last two know one naming of a mixture's components, so
    the log of the number of their orders is added where all are alike a priori (Bishop 2006, section 10.2.4):
    log K!, less that of the empty ones. Where components overlap it is too much, so this is no bound.
    *LOO*: the leave-one-out density by Pareto-smoothed importance sampling of ArviZ, corrected for the guide
    where there is one (Vehtari, Gelman and Gabry 2017), with the rows whose k-hat is too high.
    *held out*: the log likelihood of rows that the fit did not see, in ``folds`` parts.
    *-BIC/2*: for `EM` and `MaximumLikelihood`, the log likelihood less half of log n for each parameter.

    Each chooses the smallest K whose paired difference from the best is within one standard error of it
    (Breiman et al. 1984; Hastie, Tibshirani and Friedman 2009, section 7.10), or none where k-hat is too high
    for that to be trusted. What does not apply, to all K or to some, says why.

    Args:
        model_of: from K to a model.
        ks: the sizes that are tried.
        method: of inference; by default `VariationalBayes` for mixtures, else the model's own.
        criteria: some of "log evidence", "LOO", "held out", "-BIC/2".
        folds: parts of the rows, held out in turn.
        draws: of each posterior, for LOO (which takes 25 or more) and importance sampling.
        seed: decides folds, draws, and what the default method leaves to chance.
        progress: whether to show a bar; None shows it in terminals and notebooks.
        data: rows, by name, as for `fit`.

    Raises:
        DataError: an argument is not as expected, fewer than two K can be fitted, or no criterion applies
            to two of them.

    >>> from ppl_gen.models import GaussianMixture
    >>> x = [[-9.1], [-9.0], [-8.9], [-9.05], [9.1], [8.9], [9.0], [9.2]]
    >>> found = choose_k(lambda k: GaussianMixture(components=k, features=1), range(1, 4),
    ...                  criteria=["log evidence"], x=x)
    >>> found.chosen, found["log evidence"].how[1]
    ({'log evidence': 2}, 'variational bound + log 2!')
    """
    wanted = tuple(criteria)
    for name in wanted:
        if name not in CRITERIA:
            hint = did_you_mean(str(name), CRITERIA)
            raise DataError(f"criteria: expected some of {', '.join(CRITERIA)}, got {name!r}.{hint}")
    models = _models(model_of, ks)
    whole("draws", draws, least=LEAST_DRAWS if "LOO" in wanted else 2)
    with isolated(whole("seed", seed, least=0)):
        values = admit(next(iter(models.values())), data, missing=True)
        order = torch.randperm(values.n)
    if whole("folds", folds, least=2) > values.n:
        raise DataError(f"folds: expected at most one for each of {values.n} rows, got {folds}")
    parts = order.tensor_split(folds) if "held out" in wanted else ()
    posteriors: dict[int, Posterior] = {}
    notes: list[str] = []
    failed: dict[int, PplGenError] = {}  # to be fitted to all rows
    unheld: dict[int, PplGenError] = {}  # to be fitted without some of them
    held = {k: torch.zeros(values.n, dtype=torch.float64) for k in models}
    for k, part in track([(k, part) for k in models for part in (None, *parts)], "choose_k", progress):
        if k in failed or k in unheld:
            continue
        seen = torch.ones(values.n, dtype=torch.bool)
        if part is not None:
            seen[part] = False
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", Unreliable)
                how = _method(models[k], method, seed, values.observed)
                rows = measured.values_of(values.take(seen.nonzero().flatten()))
                posterior = fit(models[k], how, **rows)
                if part is None:
                    posteriors[k] = posterior
                else:
                    held[k][part] = measured.log_likelihood(posterior, values.take(part)).double()
        except _FAILURES as error:
            (failed if part is None else unheld)[k] = error
        notes += [f"K = {k}: {w.message}" for w in caught if part is None]
    if not posteriors:
        raise next(iter(failed.values()))
    notes += [f"K = {k} is left out: {error}" for k, error in failed.items()]
    if len(posteriors) < 2:
        raise DataError(f"ks: expected two sizes or more that can be fitted. {'; '.join(notes)}")
    enumerable = max(posteriors) ** values.n <= measured.LABELLINGS

    def of_held(k: int) -> measured.Worth:
        if k in unheld:
            raise unheld[k]
        return measured.of_rows(held[k], f"{folds}-fold cross-validation")

    ways: dict[str, Callable[[int], measured.Worth]] = {
        "log evidence": lambda k: measured.evidence(posteriors[k], k, values, enumerable, draws, seed),
        "LOO": lambda k: measured.loo(posteriors[k], draws, seed),
        "held out": of_held,
        "-BIC/2": lambda k: measured.bic(posteriors[k], values),
    }
    found = []
    for name in wanted:
        worth, why = _worth(ways[name], posteriors)
        notes += [f"{name} does not apply{of}: {error}" for error, of in why.items()]
        if len(worth) > 1:
            found.append(Criterion.of(name, worth))
        elif worth:
            notes.append(f"{name} does not apply to K = {next(iter(worth))} alone: one is no choice")
    if not found:
        raise DataError(f"criteria: expected one that applies. {'; '.join(notes)}")
    return Choice(tuple(found), posteriors, tuple(notes), tuple(failed))


def _worth(
    way: Callable[[int], measured.Worth], ks: Iterable[int]
) -> tuple[dict[int, measured.Worth], dict[str, str]]:
    """What each K is worth; and why others have no such number -> which those are, nothing if it is all."""
    worth, why, tried = {}, dict[str, list[int]](), list(ks)
    for k in tried:
        try:
            worth[k] = way(k)
        except _FAILURES as error:
            why.setdefault(str(error), []).append(k)
    return worth, {
        error: "" if out == tried else f" to K = {', '.join(map(str, out))}" for error, out in why.items()
    }


def _models(model_of: Any, ks: Iterable[int]) -> dict[int, ProbabilisticModel]:
    if isinstance(model_of, ProbabilisticModel | type) or not callable(model_of):
        raise DataError(
            f"model_of: expected a function from K to a model, such as "
            f"lambda k: GaussianMixture(components=k, features=2), got {called(model_of)}"
        )
    sizes = sorted({whole("ks", k) for k in ks})
    if len(sizes) < 2:
        raise DataError(f"ks: expected two sizes or more to choose from, got {sizes}")
    models = {k: model_of(k) for k in sizes}
    for k, model in models.items():
        if not isinstance(model, ProbabilisticModel):
            raise DataError(f"model_of: expected a ProbabilisticModel for K = {k}, got {called(model)}")
    return models


def _method(model: ProbabilisticModel, method: Any, seed: int, observed: Any) -> Any:
    """The method, without a bar of its own."""
    if method is None and isinstance(model, Conjugate):
        method = VariationalBayes(seed=seed) if model.hidden and model.hidden not in observed else Exact()
    elif method is None:
        method = MaximumLikelihood() if hasattr(model, "maximized") else SVI(seed=seed)
    if is_dataclass(method) and not isinstance(method, type) and hasattr(method, "progress"):
        return replace(method, progress=False)
    return method

"""Leave-one-out: how well each row is predicted by all others, exactly or by reweighting draws."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ppl_gen.ask import ask
from ppl_gen.checks import called, whole
from ppl_gen.core import Conjugate
from ppl_gen.diagnostics.criticism.left_out import LeaveOneOut, fingerprint
from ppl_gen.diagnostics.criticism.of_trees import given, tree_loo
from ppl_gen.diagnostics.trees.arviz_bridge import (
    FEWEST,
    Smoothed,
    is_tree,
    leave_one_out,
    log_likelihood_at,
)
from ppl_gen.diagnostics.trees.trees import of_bare_pyro, to_arviz
from ppl_gen.errors import DataError, PplGenError, Unanswerable
from ppl_gen.fit import fit
from ppl_gen.inference import Exact, PyroFit
from ppl_gen.inputs import Data
from ppl_gen.notation import Factor, Factorization, read_question
from ppl_gen.posterior import Posterior
from ppl_gen.progress import track

WAYS = ("exact", "PSIS", "refit")
DRAWS = 1000  # of PSIS, if the user does not say


def loo(
    posterior: Any,
    question: str | None = None,
    /,
    *,
    by: str | None = None,
    refit: bool = False,
    draws: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> LeaveOneOut:
    """The log predictive density of each row given all others, and its sum, the elpd.

    *exact*: where the posterior is conjugate, each row is scored by the model updated on all others; halves
    are updated on halves, so that it takes n log n rows and takes nothing back out of a sum. *PSIS*: draws
    of the posterior are weighted by one over the row's likelihood, the largest weights smoothed (Vehtari,
    Gelman and Gabry 2017); draws of a guide first by log p - log q (Magnusson et al. 2019). A row whose
    k-hat is too high is named. *refit*: the model is fitted anew without the row.

    A tree of `to_arviz` has draws of its own, of which PSIS gives the same as of the posterior; in
    ``elpd_data`` is then what ArviZ's ``plot_khat`` and ``compare`` take.

    Args:
        posterior: what `fit` returned, with its data, or `fit_pyro`; or a tree with log_likelihood and, of a
            guide's draws, log_prior and sample_stats.
        question: what of a row is scored, such as "p(y | x)"; by default all that the joint generates. Only
            scores of the same variables compare models: "p(y | x)" of a classifier of either kind. Of a
            tree, also the name of a variable, given its parents.
        by: "exact", "PSIS", or "refit" for all rows; by default the first that applies of the first two.
        refit: whether rows whose k-hat is too high are scored by fits without them.
        draws: of PSIS [1000, or those of the tree]. seed: decides them.
        progress: whether refits show a bar; None shows it in terminals and notebooks.

    Raises:
        Unanswerable: there is nothing to reweight: a point, or no parameters. ``by="refit"`` always answers.
            Or the tree does not hold what is asked.
        DataError: the data are not there, or an argument is not as expected.

    >>> from ppl_gen import fit
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> posterior = fit(GaussianNaiveBayes(classes=2, features=1), x=[[0.], [1.], [5.]], y=[0, 0, 1])
    >>> found = loo(posterior)
    >>> round(found.elpd, 4), found.how
    (-17.8351, 'exact')
    """
    if by not in (None, *WAYS):
        raise DataError(f"by: expected {', '.join(WAYS)} or None, got {by!r}")
    if is_tree(posterior):
        if by not in (None, "PSIS") or refit or draws is not None:
            raise DataError(
                "loo: a tree has draws of its own, which PSIS reweights: by='exact', by='refit', refit=True "
                "and draws=… take the posterior itself"
            )
        return tree_loo(posterior, question)
    draws = DRAWS if draws is None else draws
    if isinstance(posterior, PyroFit):
        if by not in (None, "PSIS") or refit:
            raise Unanswerable(
                f"loo: which arguments of {posterior.model.name} hold rows only you know, so none can be "
                f"left out of a fit: leave by and refit as they are, and PSIS reweights the guide's draws"
            )
        return tree_loo(tree_of_fit(posterior, draws, seed), question)
    if not isinstance(posterior, Posterior):
        raise DataError(
            f"posterior: expected what fit, fit_pyro or to_arviz returned, got {called(posterior)}"
            f"{of_bare_pyro(posterior)}"
        )
    data = posterior.fitted_data()
    asked = _asked(posterior, question, data)
    exact = posterior.guide is None and isinstance(posterior.method, Exact)
    if by == "exact" and not (exact and isinstance(posterior.prior, Conjugate)):
        raise Unanswerable(
            f"exact leave-one-out takes a conjugate posterior by Exact(), got {posterior.method}: "
            f"by='PSIS' reweights draws, by='refit' fits anew"
        )
    if by == "exact" or (by is None and exact and isinstance(posterior.prior, Conjugate)):
        return _exact(posterior, asked, data, question)
    if by == "refit":
        rows = _refitted(posterior, asked, data, range(data.n), progress)
        none = torch.full((data.n,), torch.nan, dtype=torch.float64)
        return _found(posterior, asked, data, rows, none, none, f"{data.n} fits without a row")
    found, _ = smoothed(posterior, question, draws, seed)
    if not refit or not len(found.unsure):
        return found
    rows = found.rows.clone()
    rows[list(found.unsure)] = _refitted(posterior, asked, data, found.unsure, progress)
    how = f"{found.how}; {len(found.unsure)} fits without such a row"
    return replace(found, rows=rows, k_hat=_without(found.k_hat, found.unsure), how=how)


def tree_of_fit(found: PyroFit, draws: int, seed: int, *more: str) -> Any:
    """The groups that leave-one-out takes of what `fit_pyro` returned, and ``more``."""
    groups = ("posterior", "log_likelihood", "log_prior", "sample_stats", "observed_data", "constant_data")
    return to_arviz(found, draws=whole("draws", draws, least=FEWEST), seed=seed, groups=[*groups, *more])


def smoothed(
    posterior: Posterior, question: str | None, draws: int, seed: int
) -> tuple[LeaveOneOut, Smoothed]:
    """PSIS-LOO, and the draws and weights behind it.

    Raises:
        Unanswerable: there are no draws to reweight.
    """
    if posterior.point or not posterior.parameters:
        raise Unanswerable(
            "there is no posterior of parameters whose draws could be reweighted: by='refit' fits without "
            "each row"
        )
    whole("draws", draws, least=FEWEST)
    data = posterior.fitted_data()
    asked = _asked(posterior, question, data)
    targets = {name for name in data.observed if data.sites[name].local}
    line = Factorization(posterior.model.joint)
    along = set(asked.right) == set(given(line, asked.left, targets | line.given))  # as trees hold it
    found = leave_one_out(posterior, draws, seed, asked.left if along else ())
    scores = found.log_likelihood
    if set(asked.left) != targets and not (along and found.scored):
        scores = _conditional(posterior, asked, data, found)
    rows = (found.log_weights + scores).logsumexp(0)
    fitted = scores.logsumexp(0) - math.log(len(scores))
    bad = int((found.k_hat > found.limit).sum())
    how = f"PSIS, {len(scores)} draws; k-hat above {found.limit:.2f} for {bad} of {len(rows)} rows"
    return _found(posterior, asked, data, rows, fitted, found.k_hat, how, found.limit), found


def _asked(posterior: Posterior, question: str | None, data: Data) -> Factor:
    """What is scored, and given what."""
    inputs = Factorization(posterior.model.joint).given
    seen = tuple(name for name in data.observed if data.sites[name].local)
    if not seen:
        raise DataError(f"expected rows of a variable that {posterior.model.joint} generates, got none")
    if question is None:
        return Factor(seen, tuple(sorted(inputs)))
    asked = read_question(question)
    known = {*seen, *inputs}
    for name in asked.left + asked.right:
        if name not in known or (name in inputs and name in asked.left):
            raise DataError(
                f"{question}: expected variables of the rows fitted, {', '.join(seen)}; got {name!r}"
            )
    right = (*asked.right, *sorted(inputs - set(asked.right)))
    return Factor(asked.left, right)


def _conditional(posterior: Posterior, asked: Factor, data: Data, found: Smoothed) -> Tensor:
    """log p(left | right, parameters) of each draw and row, as a ratio of two likelihoods."""
    try:
        parts = [set(asked.left) | set(asked.right), set(asked.right)]
        top, below = (
            log_likelihood_at(posterior, _only(data, part), found.parameters)
            if any(data.sites[name].local for name in part if name in data.observed)
            else torch.zeros(())
            for part in parts
        )
    except PplGenError as error:
        raise Unanswerable(f"the rows' {', '.join(asked.left)} cannot be scored by draws: {error}") from error
    return top - below


def _only(data: Data, names: set[str]) -> Data:
    kept = {k: v for k, v in data.observed.items() if k in names or not data.sites[k].local}
    return replace(data, observed=kept, seen={k: v for k, v in data.seen.items() if k in kept})


# Exactly ----------------------------------------------------------------------------------------------------


def _exact(posterior: Posterior, asked: Factor, data: Data, question: str | None) -> LeaveOneOut:
    rows = torch.zeros(data.n, dtype=torch.float64)
    fitted = torch.zeros_like(rows)
    everything: Any = posterior.model
    whole_rows = question is None or set(asked.left) == {n for n in data.observed if data.sites[n].local}

    def log_prob(model: Any, row: Data) -> float:
        if whole_rows:
            return float(model.updated(**row.gaps).log_normalizer() - model.log_normalizer())
        return float(_scored(model, asked, row)[0])

    with torch.no_grad():
        for i, model in _without_each(posterior.prior, data, torch.arange(data.n)):
            row = data.take(torch.tensor([i]))
            rows[i], fitted[i] = log_prob(model, row), log_prob(everything, row)
    none = torch.full((data.n,), torch.nan, dtype=torch.float64)
    return _found(posterior, asked, data, rows, fitted, none, "exact")


def _without_each(model: Any, data: Data, index: Tensor) -> Iterator[tuple[int, Any]]:
    """Each row, and the model updated on all others: what one half needs of the other is learned once."""
    if len(index) == 1:
        yield int(index), model
        return
    left, right = index.tensor_split(2)
    yield from _without_each(model.updated(**data.take(right).gaps), data, left)
    yield from _without_each(model.updated(**data.take(left).gaps), data, right)


def _refitted(posterior: Posterior, asked: Factor, data: Data, rows: Any, progress: bool | None) -> Tensor:
    """log p(row | all others) by fits without each."""
    if posterior.yesterday is not None:
        raise DataError("refit: this posterior continues an earlier one; fit all rows at once")
    method = posterior.method
    if hasattr(method, "progress"):
        method = replace(method, progress=False)
    scores = []
    for i in track(list(rows), "loo", progress):
        others = torch.tensor([j for j in range(data.n) if j != i])
        part = data.take(others)
        without = fit(posterior.prior, method, **{**part.inputs, **part.observed, **part.gaps})
        scores.append(_scored(without, asked, data.take(torch.tensor([i])))[0])
    return torch.stack(scores).double()


def _scored(of: Any, asked: Factor, row: Data) -> Tensor:
    """log p(left | right) of one row."""
    values = {**row.inputs, **row.gaps}
    known = {name: values[name] for name in asked.right}
    left, right = ", ".join(asked.left), ", ".join(asked.right)
    question = f"p({left} | {right})" if right else f"p({left})"
    score: Tensor = ask(of, question, **known).log_prob(**{name: values[name] for name in asked.left})
    return score.reshape(-1)


def _found(
    posterior: Posterior,
    asked: Factor,
    data: Data,
    rows: Tensor,
    fitted: Tensor,
    k_hat: Tensor,
    how: str,
    limit: float = math.nan,
) -> LeaveOneOut:
    scored = {name: v.numpy(force=True) for name, v in data.gaps.items() if name in asked.left}
    return LeaveOneOut(
        type(posterior.model).__name__, asked, rows, fitted, k_hat, limit, how, fingerprint(scored)
    )


def _without(k_hat: Tensor, rows: Any) -> Tensor:
    """Rows scored by a fit of their own have no k-hat."""
    k_hat = k_hat.clone()
    k_hat[list(rows)] = torch.nan
    return k_hat

"""The verb `fit`: from a model and data to a posterior."""

import copy
from typing import Any

import torch

from ppl_gen.checks import called
from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import DataError, NonFinite
from ppl_gen.inference import SVI, Exact
from ppl_gen.inference.method import Fitted
from ppl_gen.inference.nuts import Draws
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior


def fit(
    model: ProbabilisticModel | Posterior, method: Any = None, /, *unnamed: Any, **data: Any
) -> Posterior:
    """Infer the latent variables of a joint from data named like its variables.

    The model itself stays as it was: fitting twice gives the same posterior twice. Fitting a posterior
    goes on from it. New rows are added, with yesterday's posterior as today's prior; the same rows again
    give an SVI fit more steps.

    Args:
        model: the joint, or a posterior to continue.
        method: `Exact`, `SVI`, `Laplace` or `NUTS`; by default exact where there is a closed form, else SVI.
        data: by name, rows first, such as x (n, features) and y (n,): NumPy arrays, tensors, data frames or
            lists; classes as codes 0, 1, …. A missing cell (NaN, None, NA) of a variable that no other
            depends on is summed out.

    Raises:
        UnknownVariable, DataError: the data do not fit the joint.
        Unexplained: a latent is neither observed, guided nor enumerable.
        NonFinite: the fit met inf or nan; ``error.posterior`` is the last good state.

    >>> from ppl_gen import fit
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> posterior = fit(GaussianNaiveBayes(classes=2, features=1), x=[[0.], [1.], [5.]], y=[0, 0, 1])
    >>> round(posterior.log_evidence, 6)
    -13.829919
    """
    before = model if isinstance(model, Posterior) else None
    start = before.model if before else model
    if not isinstance(start, ProbabilisticModel):
        raise DataError(f"model: expected a ProbabilisticModel or a Posterior, got {called(start)}")
    if unnamed or hasattr(method, "__array__") or isinstance(method, list | tuple):
        raise DataError(f"data are passed by name, as in {start.joint}: fit(model, x=…)")
    if method is None:
        method = before.method if before else (Exact() if hasattr(start, "updated") else SVI())
    if isinstance(method, type) or not hasattr(method, "fit"):
        raise DataError(f"method: expected Exact(), SVI(…) or another method, got {called(method)}")
    if not data:
        raise DataError(f"fit needs data named like the variables of {start.joint}")
    with isolated(getattr(method, "seed", 0), grad=True):
        admitted = admit(start, data, missing=True)
        if admitted.n == 0:
            raise DataError(f"{', '.join(data)}: expected at least one row, got none")
        if not admitted.observed:
            raise DataError(f"fit needs a generated variable of {start.joint}; got only inputs")
        _refuse_gaps(start, admitted, method)
        fingerprint = admitted.fingerprint()
        if isinstance(method, Exact):
            return _exact(start, before, method, admitted, fingerprint)
        method = method.resolved(start) if isinstance(method, SVI) else method
        return _approximate(start, before, method, admitted, fingerprint)


def _refuse_gaps(p: ProbabilisticModel, data: Data, method: Any) -> None:
    """A missing cell sums out of its own factor; what looks at it would have to be summed as well."""
    line = Factorization(p.joint)
    for name in data.seen:
        children = sorted(child for child, parents in line.items() if name in parents)
        if children and not isinstance(method, Exact):
            row = torch.nonzero(~data.seen[name])[0].tolist()
            raise DataError(
                f"{name}: expected no missing cells, since {', '.join(children)} depends on it; got NaN at "
                f"{row}. Drop such rows, or fill them in"
            )


def _exact(
    start: ProbabilisticModel, before: Posterior | None, method: Exact, data: Data, fingerprint: str
) -> Posterior:
    # Discrete rows repeat by themselves; continuous ones do not.
    unique = any(not getattr(data.sites[name].support, "is_discrete", True) for name in data.observed)
    if before and unique and fingerprint in before.fingerprints:
        raise DataError("these very rows are in this posterior already; they would be counted twice")
    if before and before.guide is not None:
        raise DataError("this posterior was found by another method; fit its model afresh with Exact()")
    fitted = method.fit(start, None, data)
    evidence = fitted.log_evidence
    if before and evidence is not None:
        evidence = None if before.evidence is None else before.evidence + evidence
    return _posterior(fitted._replace(log_evidence=evidence), start, before, method, data, fingerprint)


def _approximate(
    start: ProbabilisticModel, before: Posterior | None, method: Any, data: Data, fingerprint: str
) -> Posterior:
    guide = before.guide if before else None
    again = before is not None and before.fingerprints[-1:] == (fingerprint,)
    shared = before is not None and bool(before.parameters)
    yesterday = None
    if isinstance(guide, Draws):
        if not again:
            raise DataError(
                "draws of NUTS have no density, so they are no prior for new rows: fit all rows together"
            )
        guide = None
    if before is not None and again:
        yesterday = before.yesterday
    elif shared and guide is not None:
        yesterday = copy.deepcopy(guide)
    try:
        fitted = method.fit(start, guide, data, yesterday)
    except NonFinite as error:
        error.posterior = _posterior(
            error.posterior._replace(note=f"stopped by inf or nan at step {error.step}"),
            start,
            before,
            method,
            data,
            fingerprint,
            yesterday,
        )
        raise
    if before is not None and again:
        fitted = fitted._replace(elbo=torch.cat([before.elbo, fitted.elbo]))
    return _posterior(fitted, start, before, method, data, fingerprint, yesterday)


def _posterior(
    fitted: Fitted,
    start: ProbabilisticModel,
    before: Posterior | None,
    method: Any,
    data: Data,
    fingerprint: str,
    yesterday: Any = None,
) -> Posterior:
    seen = before.fingerprints if before else ()
    values = {**data.inputs, **data.observed}
    return Posterior(
        model=fitted.model,
        prior=start,
        guide=fitted.guide,
        method=method,
        elbo=fitted.elbo,
        n=data.n,
        shapes={name: tuple(v.shape) for name, v in values.items()},
        dtypes={name: v.dtype for name, v in values.items()},
        sites={name: site for name, site in data.sites.items() if site.local or name not in data.observed},
        fingerprints=seen if seen[-1:] == (fingerprint,) else (*seen, fingerprint),
        evidence=fitted.log_evidence,
        yesterday=yesterday,
        data=data,
        note=fitted.note,
    )

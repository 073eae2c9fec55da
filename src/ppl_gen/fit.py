"""The verb `fit`: from a model and data to a posterior."""

import copy
import inspect
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

import torch

from ppl_gen import ranks
from ppl_gen.checks import called
from ppl_gen.core import ProbabilisticModel, Site
from ppl_gen.errors import DataError, NonFinite, Repeated, Unanswerable
from ppl_gen.inference import EM, NUTS, SVI, CrossValidation, Exact, MaximumLikelihood, VariationalBayes
from ppl_gen.inference.conflict import warn_of_conflict
from ppl_gen.inference.devices import ready
from ppl_gen.inference.guides import Point
from ppl_gen.inference.method import Fitted
from ppl_gen.inference.nuts import Draws
from ppl_gen.inference.sources import Arrays, Stream, in_a_file, opened
from ppl_gen.inference.stored import Stored, stored
from ppl_gen.inputs import Data, admit, may_repeat
from ppl_gen.inputs.admitting import NAMELESS
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior
from ppl_gen.unscored import refuse_unscorable


def fit(
    model: ProbabilisticModel | Posterior,
    method: Any = None,
    batches: Any = None,
    /,
    *unnamed: Any,
    **data: Any,
) -> Posterior:
    """Infer the latent variables of a joint from data named like its variables.

    The model itself stays as it was: fitting twice gives the same posterior twice. Fitting a posterior
    goes on from it. New rows are added, with yesterday's posterior as today's prior; the same rows again
    give an SVI fit more steps.

    Args:
        model: the joint, or a posterior to continue.
        method: `Exact`, `MaximumLikelihood`, `EM`, `VariationalBayes`, `CrossValidation`, `MAP`, `SVI`,
            `Laplace` or `NUTS`; by default exact where there is a closed form, cross-validation where a
            model keeps its rows, else SVI.
        batches: data that memory does not hold, in the place of named ones. For a method that counts (the
            first two), anything that gives mappings such as ``{"x": rows, "y": labels}``: one is looked at,
            and held, at a time. For those and for SVI: `Parquet`, a torch Dataset or DataLoader, with names
            by `Batches`.
        data: by name, rows first, such as x (n, features) and y (n,): NumPy arrays (memory maps too: methods
            that count read them in chunks, SVI with a batch_size by batches), tensors, data frames or lists;
            classes as codes 0, 1, …, or by name, as texts, dates or categories: ``posterior.classes`` tells
            which code each name got, and answers have ``.labels``. A missing cell (NaN, None, NA) of a
            variable that no other depends on is summed out, and so is a missing class: labels that only some
            rows have make the fit semi-supervised.

    Ctrl-C during `SVI`, `EM`, `VariationalBayes`, `MAP` or `NUTS` (whole chains) returns what there is so
    far, with the warning `Interrupted`, and the program goes on. To stop it instead, turn that warning into
    an error: ``warnings.simplefilter("error", Interrupted)``.

    Under ``torchrun`` all processes call it with the same data, each takes its part of the rows, and all get
    the same posterior: see `ppl_gen.ranks`.

    The warning `Unreliable` tells of rows whose location or scale the prior overrules: standardise them.

    Raises:
        UnknownVariable, DataError: the data do not fit the joint.
        Unexplained: a latent is neither observed, guided nor enumerable.
        NoDensity, NoSampler: the model has no density of the data, or one up to a constant that is learned.
        NonFinite: the fit met inf or nan; ``error.posterior`` is the last good state, also of a DataError
            that a later batch of a file gave.
        OutOfStep: one of several processes is gone, or came with other data.

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
    arrays = hasattr(method, "__array__") or hasattr(batches, "__array__")
    if unnamed or arrays or isinstance(method, list | tuple):
        raise DataError(f"data are passed by name, as in {start.joint}: fit(model, x=…)")
    chosen = method is not None
    if method is None:
        method = before.method if before else _default(start, data)
    if isinstance(method, type) or not hasattr(method, "fit"):
        raise DataError(f"method: expected Exact(), SVI(…) or another method, got {called(method)}")
    if hasattr(start, "cross_validated") and not isinstance(method, CrossValidation):
        raise Unanswerable(
            f"{type(start).__name__} keeps the rows themselves, which {type(method).__name__}() cannot give "
            f"it: use CrossValidation()"
        )
    counts = isinstance(method, Exact | MaximumLikelihood)
    if not data and batches is None:
        raise DataError(f"fit needs data named like the variables of {start.joint}")
    if batches is not None and hasattr(start, "maximized"):
        raise DataError(f"batches: {type(start).__name__} is fitted to all rows at once; pass them by name")
    if batches is not None and (data or not (counts or isinstance(method, SVI))):
        raise DataError(
            "batches: expected no other data beside them, and Exact(), MaximumLikelihood() or SVI(). A "
            "method that needs all rows together would not save memory: pass them by name"
        )
    ready(getattr(method, "device", None))  # its generator too is to be restored
    with isolated(getattr(method, "seed", 0), grad=True):
        ranks.hush()
        if batches is not None and counts:
            return _streamed(start, before, method, batches)
        admitted = (
            _admitted(start, method, data, like=before, learn=True)
            if batches is None
            else _stored(start, method, batches, chosen, before)
        )
        if before is None and _minds_prior(method):
            warn_of_conflict(start, admitted, stacklevel=2)
        if counts or isinstance(method, CrossValidation):
            return _counted(start, before, method, admitted)
        method = method.resolved(start) if isinstance(method, SVI) else method
        fingerprint = admitted.fingerprint()
        _agree(start, method, fingerprint)
        return _approximate(start, before, method, admitted, fingerprint)


def _minds_prior(method: Any) -> bool:
    """Whether the prior of the parameters plays a part."""
    return not isinstance(method, MaximumLikelihood | CrossValidation) and getattr(method, "prior", True)


def _agree(start: ProbabilisticModel, method: Any, fingerprint: str) -> None:
    """Of several processes: that all have the same data, and that each will have a part of the work."""
    if ranks.count() == 1:
        return
    kind = type(method).__name__
    known = [f"{buffer.double().sum():.9g}" for buffer in start.buffers()]
    ranks.agree(f"{kind} {start.joint} {known}", fingerprint)
    shared = isinstance(method, EM | NUTS | SVI | Exact | MaximumLikelihood | VariationalBayes)
    if not shared or (isinstance(method, MaximumLikelihood) and hasattr(start, "maximized")):
        warnings.warn(
            f"{kind} has no part for each of {ranks.count()} processes: every one does the same whole work",
            Repeated,
            stacklevel=4,
        )


def _default(start: ProbabilisticModel, data: Mapping[str, Any]) -> Any:
    hidden = getattr(start, "hidden", "")  # the label that a mixture's closed form would need
    if hasattr(start, "updated") and (not hidden or hidden in data):
        return Exact()
    closed = ("cross_validated", CrossValidation), ("maximized", MaximumLikelihood)
    return next((method() for name, method in closed if hasattr(start, name)), SVI())


def _stored(
    start: ProbabilisticModel, method: Any, batches: Any, chosen: bool, before: Posterior | None
) -> Stored:
    source = opened(batches)
    if isinstance(source, Stream) and chosen and method.batch_size is not None:
        raise DataError("batch_size: these batches have a size of their own; leave it open")
    return stored(source, partial(_admitted, start, method, like=before or NAMELESS))


def _reads_parts(start: ProbabilisticModel, method: Any) -> bool:
    if isinstance(method, SVI):
        return method.setting(start, "batch_size", 0) > 0
    return isinstance(method, Exact | MaximumLikelihood) and not hasattr(start, "maximized")


def _admitted(
    start: ProbabilisticModel,
    method: Any,
    data: Mapping[str, Any],
    found: Mapping[str, Site] | None = None,
    like: Any = None,
    learn: bool = False,
) -> Data:
    if found is None and _reads_parts(start, method) and in_a_file(data):
        return stored(Arrays(data), partial(_admitted, start, method, like=like or NAMELESS))
    admitted = admit(start, data, missing=True, found=found, like=like, learn=learn)
    if admitted.n == 0:
        raise DataError(f"{', '.join(data)}: expected at least one row, got none")
    if not admitted.observed:
        raise DataError(f"fit needs a generated variable of {start.joint}; got only inputs")
    refuse_unscorable(start, admitted.observed, admitted.sites)
    _refuse_gaps(start, admitted, method)
    return admitted


def _refuse_gaps(p: ProbabilisticModel, data: Data, method: Any) -> None:
    """A missing cell sums out of its own factor; what looks at it has to be summed with it, by value."""
    if isinstance(method, Exact | MaximumLikelihood | CrossValidation | EM | VariationalBayes):
        return  # they say for themselves what they can count
    line, guide = Factorization(p.joint), getattr(method, "guide", None) or p.guide
    for name in data.seen:
        children = sorted(child for child, parents in line.items() if name in parents)
        row = torch.nonzero(~data.seen[name])[0].tolist()
        if children and not data.sites[name].levels:
            raise DataError(
                f"{name}: expected no missing cells, since {', '.join(children)} depends on it; got NaN at "
                f"{row}. Drop such rows, or fill them in"
            )
        if children and _reads(guide, name):
            raise DataError(
                f"{name}: expected no missing cells, since the guide is given it: {p.approximation}; got NaN "
                f"at {row}. Drop such rows, or write a guide with a factor q({name} | …)"
            )


def _reads(program: Any, name: str) -> bool:
    """Whether the signature of a guide names the variable."""
    if isinstance(program, str | type) or not callable(program):
        return False
    own = program.forward if isinstance(program, torch.nn.Module) else program
    return name in inspect.signature(own).parameters


def _counted(start: ProbabilisticModel, before: Posterior | None, method: Any, data: Data) -> Posterior:
    guide = before.guide if before else None
    if before and type(guide) is not (Point if isinstance(method, MaximumLikelihood) else type(None)):
        raise DataError(
            f"this posterior was found by another method; fit its model afresh with {type(method).__name__}()"
        )
    fingerprint = data.fingerprint()
    unique = not may_repeat(data.sites, data.observed)
    if before and unique and fingerprint in before.fingerprints:
        raise DataError("these very rows are in this posterior already; they would be counted twice")
    _agree(start, method, fingerprint)
    fitted = method.fit(start, guide, data)
    evidence = fitted.log_evidence
    if before and evidence is not None:
        evidence = None if before.evidence is None else before.evidence + evidence
    return _posterior(fitted._replace(log_evidence=evidence), start, before, method, data, fingerprint)


def _streamed(
    start: ProbabilisticModel, before: Posterior | None, method: Any, batches: Iterable[Mapping[str, Any]]
) -> Posterior:
    """One batch after the other, each forgotten before the next."""
    after, n, elbo = before, 0, torch.zeros((), dtype=torch.float64)
    for batch in batches:
        if not isinstance(batch, Mapping):
            raise DataError(f'batches: expected mappings such as {{"x": rows}}, got {called(batch)}')
        here = after.model if after else start
        after = _counted(here, after, method, _admitted(here, method, batch, like=after, learn=True))
        after = replace(after, data=None)
        n, elbo = n + after.n, elbo + after.elbo
    if after is None or not n:
        raise DataError("batches: expected at least one, got none")
    return replace(after, prior=start, n=n, shapes=after.shapes_of(n), elbo=elbo)


def _approximate(
    start: ProbabilisticModel, before: Posterior | None, method: Any, data: Data, fingerprint: str
) -> Posterior:
    guide = before.guide if before else None

    again = before is not None and before.fingerprints[-1:] == (fingerprint,)
    if before is not None and again and isinstance(method, VariationalBayes):
        raise DataError("these very rows are in this posterior already; they would be counted twice")
    if before is not None and isinstance(guide, Point) and not (again and isinstance(method, EM)):
        raise DataError(
            f"this posterior is {guide.what}; fit its model afresh with {type(method).__name__}()"
        )
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
    except (NonFinite, DataError) as error:
        if error.posterior is None:  # there is no state before it
            raise
        met = (
            f"inf or nan at step {error.step}" if isinstance(error, NonFinite) else "a batch that was refused"
        )
        error.posterior = _posterior(
            error.posterior._replace(note=f"stopped by {met}"),
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


def _lasting(method: Any) -> Any:
    """How the posterior was found, less what belongs to one fit: its files, its start, its rows' weights."""
    if not is_dataclass(method) or isinstance(method, type):  # a method of the user's
        return method
    passing = {"checkpoint", "start", "weights"} & {field.name for field in fields(method)}
    return replace(method, **dict.fromkeys(passing))


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
    blank = [f"{rows:,} of {data.n:,} rows without {name}" for name, (rows, _) in data.blank.items()]
    fitted = fitted._replace(note="; ".join(filter(None, [fitted.note, *blank])))
    return Posterior(
        model=fitted.model,
        prior=start,
        guide=fitted.guide,
        method=_lasting(method),
        elbo=fitted.elbo,
        n=data.n,
        shapes={name: tuple(v.shape) for name, v in values.items()},
        dtypes={name: v.dtype for name, v in values.items()},
        sites={name: site for name, site in data.sites.items() if site.local or name not in data.observed},
        fingerprints=seen if seen[-1:] == (fingerprint,) else (*seen, fingerprint),
        evidence=fitted.log_evidence,
        yesterday=yesterday,
        data=None if isinstance(data, Stored) else data,
        note=fitted.note,
        columns=data.columns,
        classes=data.classes,
        encoder=before.encoder if before else None,
    )

"""One model by every method that applies, from exact to approximate, and what each step down costs."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ppl_gen.checks import called, did_you_mean, whole
from ppl_gen.clusters import assignments
from ppl_gen.core import ProbabilisticModel
from ppl_gen.diagnostics.choosing.moments import moments
from ppl_gen.diagnostics.choosing.rungs import Ladder, Rung
from ppl_gen.errors import DataError, NonFinite, Unanswerable
from ppl_gen.evidence import log_evidence
from ppl_gen.fit import fit
from ppl_gen.inference import EM, MAP, NUTS, SVI, Exact, Laplace, MaximumLikelihood, VariationalBayes
from ppl_gen.inference.evidence import log_mean_exp, log_mean_exp_error, pareto_k
from ppl_gen.inference.nuts import Draws
from ppl_gen.inference.relabelling import Components, namings, rename
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior

# From exact to approximate: name -> the method, by the number of steps (None: the model's) and the seed.
METHODS: dict[str, Callable[[int | None, int], Any]] = {
    "exact": lambda steps, seed: Exact(),
    "maximum likelihood": lambda steps, seed: MaximumLikelihood(),
    "EM": lambda steps, seed: EM(seed=seed),
    "MAP": lambda steps, seed: MAP(seed=seed),
    "enumeration": lambda steps, seed: None,
    "Laplace": lambda steps, seed: Laplace(seed=seed),
    "variational Bayes": lambda steps, seed: VariationalBayes(seed=seed),
    "SVI, own guide": lambda steps, seed: SVI(steps=steps, seed=seed),
    "SVI, mean-field": lambda steps, seed: SVI(steps=steps, seed=seed, guide="mean_field"),
    "SVI, full-rank": lambda steps, seed: SVI(steps=steps, seed=seed, guide="full_rank"),
    "SVI, flow": lambda steps, seed: SVI(steps=steps, seed=seed, guide="flow"),
    "importance-weighted": lambda steps, seed: None,
    "NUTS": lambda steps, seed: NUTS(seed=seed, chains=2),
}


def ladder(
    model: ProbabilisticModel,
    /,
    *,
    rungs: Iterable[str] | Mapping[str, Any] | None = None,
    steps: int | None = None,
    draws: int = 500,
    seed: int = 0,
    **data: Any,
) -> Ladder:
    """Fit one model by every method that applies, from exact to approximate, and measure what each loses.

    Means and sds are judged by the exact posterior, else by NUTS, else by importance weights; bounds by the
    exact evidence, else by the importance-weighted one. Components of mixtures are renamed alike in all draws
    of all rungs (see `relabelled`) before their means and sds are taken.

    Args:
        model: the joint.
        rungs: names of METHODS, all by default; or a mapping from such names to methods with settings of your
            own, such as ``{"SVI, mean-field": None, "NUTS": NUTS(draws=2000)}``; None is the usual one.
        steps: of SVI; by default the model's own.
        draws: of each posterior that are measured.
        seed: decides everything random.
        data: as for `fit`.

    >>> from ppl_gen.models import LinearRegression
    >>> found = ladder(LinearRegression(features=1), rungs=["exact", "Laplace"], draws=50,
    ...                x=[[0.], [1.], [2.], [3.]], y=[1.1, 2.9, 5.1, 6.9])
    >>> found.table().index.tolist(), found.evidence_by
    (['exact', 'Laplace'], 'exact')
    """
    if not isinstance(model, ProbabilisticModel):
        raise DataError(f"model: expected a ProbabilisticModel, got {called(model)}")
    names = list(METHODS) if rungs is None else list(rungs)
    for name in names:
        if name not in METHODS:
            raise DataError(
                f"rungs: expected names of {', '.join(map(repr, METHODS))}, got {name!r}."
                f"{did_you_mean(str(name), METHODS)}"
            )
    whole("draws", draws, least=2)
    with isolated(seed):
        values = admit(model, data, missing=True)
    found: list[Rung] = []
    naming, own = _Naming(model, values), dict(rungs) if isinstance(rungs, Mapping) else {}
    for name in (n for n in METHODS if n in names):
        start = time.perf_counter()
        try:
            if name == "importance-weighted":
                found.append(_weighted(found, draws, seed, naming))
                continue
            if name == "enumeration":
                found.append(_enumerated(model, values, data, draws, seed, naming))
                continue
            if name == "SVI, own guide" and type(model).guide is ProbabilisticModel.guide:
                raise Unanswerable(f"{type(model).__name__} has no guide of its own.")
            posterior = fit(model, own.get(name) or METHODS[name](steps, seed), **data)
            found.append(_measured(name, posterior, time.perf_counter() - start, draws, seed, naming))
        except (Unanswerable, DataError, NonFinite) as error:
            found.append(Rung(name, why=str(error)))
    return Ladder(model, tuple(found), *_evidence(found, naming), _reference(found), naming.note)


class _Naming:
    """Renames the components of all rungs' draws alike: by the labels that the first rung finds."""

    def __init__(self, model: ProbabilisticModel, data: Data):
        self.data, self.note, self.ways = data, "", 1
        self.pivot: Tensor | None = None
        try:
            Components("ladder", model, data)
            self.mixture = True
        except Unanswerable:
            self.mixture = False

    def __call__(self, joint: ProbabilisticModel, drawn: dict[str, Tensor]) -> dict[str, Tensor]:
        if not self.mixture or not drawn:
            return drawn
        with isolated(0):
            renamed = rename(Components("ladder", joint, self.data), drawn, self.pivot)
        if renamed.pivot is not None:
            first = {name: v[0] for name, v in renamed.values.items()}
            self.ways = namings(joint, self.data, first)
            self.pivot, self.note = renamed.pivot, ", after components were renamed alike in the draws of all"
        return renamed.values


def _measured(
    name: str, posterior: Posterior, seconds: float, draws: int, seed: int, naming: _Naming
) -> Rung:
    guide, joint = posterior.guide, posterior.joint
    if isinstance(guide, Draws):  # in their order, from which their worth is estimated
        drawn = naming(joint, {name: v.flatten(0, 1) for name, v in guide.values.items()})
        found = moments(drawn, chains=guide.chains)
        return Rung(name, moments=found, seconds=seconds, posterior=posterior)
    if posterior.point:
        drawn = naming(joint, posterior.draw(1, seed))
        return Rung(name, moments=moments(drawn) if drawn else None, seconds=seconds, posterior=posterior)
    weights, drawn = posterior.weighted(draws, seed)
    drawn, total = naming(joint, drawn), weights.sum(1)
    error = 0.0 if posterior.evidence is not None else float(total.std() / draws**0.5)
    k_hat, kept = float(pareto_k(weights).median()), moments(drawn) if drawn else None
    return Rung(name, "", float(total.mean()), error, k_hat, kept, seconds, posterior)


def _enumerated(
    model: ProbabilisticModel, values: Data, data: Mapping[str, Any], draws: int, seed: int, naming: _Naming
) -> Rung:
    """All values of what is finite; of a conjugate mixture of few rows, all labellings."""
    start = time.perf_counter()
    hidden = [name for name in values.sites if name not in values.observed]
    endless = [name for name in hidden if not values.sites[name].levels]
    if not hidden:
        raise Unanswerable(f"{type(model).__name__} is {model.joint}: nothing is hidden.")
    if not endless:
        evidence = log_evidence(model, **data)
        return Rung("enumeration", "", evidence.total, 0.0, -torch.inf, seconds=time.perf_counter() - start)
    if not naming.mixture or not hasattr(model, "updated"):
        raise Unanswerable(
            f"{type(model).__name__} is {model.joint}: the values of {', '.join(endless)} cannot be listed."
        )
    label = Components("enumeration", model, values).name
    try:
        ways = assignments(model, **data)
    except DataError as error:
        raise Unanswerable(f"{str(error).removeprefix('largest: ').capitalize()}.") from None
    with isolated(seed):
        counts = torch.multinomial(ways.log_probs.exp(), draws, replacement=True).bincount()
    drawn = []
    for i in counts.nonzero()[:, 0].tolist():
        posterior = fit(model, Exact(), **{**data, label: ways.labels[i]})
        drawn.append(posterior.draw(int(counts[i]), seed + i))
    stacked = naming(model, {name: torch.cat([d[name] for d in drawn]) for name in drawn[0]})
    seconds = time.perf_counter() - start
    return Rung("enumeration", "", ways.log_evidence, 0.0, -torch.inf, moments(stacked), seconds)


def _weighted(found: list[Rung], draws: int, seed: int, naming: _Naming) -> Rung:
    """The draws of the best guide, weighted by log p - log q."""
    name, start = "importance-weighted", time.perf_counter()
    guided = [
        r for r in found if r.posterior is not None and r.posterior.evidence is None and r.bound == r.bound
    ]
    if not guided:
        return Rung(name, why="No rung above it has a guide whose draws could be weighted.")
    best = max(guided, key=lambda rung: rung.bound)
    assert best.posterior is not None
    weights, drawn = best.posterior.weighted(draws, seed + 1)
    bound, error = log_mean_exp(weights), log_mean_exp_error(weights)
    drawn = naming(best.posterior.joint, drawn)
    kept = moments(drawn, weights.sum(1).softmax(0)) if drawn else None
    seconds = best.seconds + time.perf_counter() - start
    total, k_hat = float(bound.sum()), float(pareto_k(weights).median())
    return Rung(name, "", total, float(error.square().sum().sqrt()), k_hat, kept, seconds)


def _evidence(found: list[Rung], naming: _Naming) -> tuple[float, str]:
    """The log evidence, and the rung that knows it best."""
    for rung in found:
        if rung.posterior is not None and rung.posterior.evidence is not None:
            return rung.posterior.evidence, rung.name
    by = {rung.name: rung for rung in found if rung.bound == rung.bound}
    if not by:
        return float("nan"), "none of these rungs"
    for name in ("enumeration", "importance-weighted"):
        if name in by:
            doubts = [f"k-hat {by[name].k_hat:.2f}: likely too low"] * (by[name].k_hat > 0.7)
            if name == "importance-weighted" and naming.ways > 1:
                most = math.log(naming.ways)
                doubts.append(f"of one naming of the components, it may be: up to {most:.2f} nats too low")
            return by[name].bound, f"{name} ({'; '.join(doubts)})" if doubts else name
    best = max(by.values(), key=lambda rung: rung.bound)
    return best.bound, f"the highest bound, of {best.name}: the gaps may be larger"


def _reference(found: list[Rung]) -> str:
    names = [rung.name for rung in found if rung.moments]
    return next(
        (name for name in ("exact", "enumeration", "NUTS", "importance-weighted") if name in names), ""
    )

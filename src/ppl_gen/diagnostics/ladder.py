"""One model by every method that applies, from exact to approximate, and what each step down costs."""

import html
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ppl_gen.checks import called, did_you_mean, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.diagnostics.arviz_bridge import to_arviz
from ppl_gen.errors import DataError, NonFinite, Unanswerable
from ppl_gen.evidence import log_evidence
from ppl_gen.fit import fit
from ppl_gen.inference import EM, MAP, NUTS, SVI, Exact, Laplace, MaximumLikelihood, VariationalBayes
from ppl_gen.inference.evidence import log_mean_exp, log_mean_exp_error, pareto_k
from ppl_gen.inference.nuts import Draws
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

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


@dataclass(frozen=True, eq=False)
class Rung:
    """What one method found, and what that took.

    Attributes:
        name: of the method.
        why: in words, why it does not apply; empty if it does.
        bound: on the log evidence of all rows in nats; nan where the method has none.
        error: the bound's standard error.
        k_hat: of the guide's draws as importance weights (the median over rows, if they stand apart).
        means, sds: of every parameter's posterior, by name.
        seconds: to fit, without these measurements.
        posterior: what `fit` returned, if it did.
    """

    name: str
    why: str = ""
    bound: float = float("nan")
    error: float = float("nan")
    k_hat: float = float("nan")
    means: Mapping[str, Tensor] | None = None
    sds: Mapping[str, Tensor] | None = None
    seconds: float = float("nan")
    posterior: Posterior | None = None


@dataclass(frozen=True, eq=False)
class Ladder:
    """The rungs of one model, by `ladder`.

    Attributes:
        model: the joint. rungs: one for each method, in order.
        log_evidence: the best that is known, in nats; which that is stands in ``evidence_by``.
        reference: the rung whose posterior means and sds count as right.
    """

    model: ProbabilisticModel
    rungs: tuple[Rung, ...]
    log_evidence: float
    evidence_by: str
    reference: str

    def __getitem__(self, name: str) -> Rung:
        found = {rung.name: rung for rung in self.rungs}
        if name not in found:
            raise DataError(f"{name!r} is no rung; there are {', '.join(found)}{did_you_mean(name, found)}")
        return found[name]

    def errors(self, name: str) -> tuple[float, float]:
        """Of means and of sds, over all parameters' elements.

        Root mean squares of the means' errors, in sds of the reference, and of the sds' relative errors. Both
        are of draws, and have their noise. A point has no sd, which is an error of 1.
        """
        rung, best = self[name], self[self.reference] if self.reference else None
        if best is None or not best.means or not rung.means or not best.sds or not rung.sds:
            return float("nan"), float("nan")
        mean, sd = (
            torch.cat([(of[v] - to[v]).flatten() / best.sds[v].flatten() for v in best.means if v in of])
            for of, to in ((rung.means, best.means), (rung.sds, best.sds))
        )
        return _root_mean_square(mean), _root_mean_square(sd)

    def table(self) -> "pandas.DataFrame":
        """The rungs that apply, one row each; what does not is in `words`."""
        import pandas

        columns: dict[str, list[float]] = {name: [] for name in COLUMNS}
        applied = [rung for rung in self.rungs if not rung.why]
        for rung in applied:
            gap = self.log_evidence - rung.bound
            row = (rung.bound, rung.error, gap, rung.k_hat, *self.errors(rung.name), rung.seconds)
            for name, value in zip(COLUMNS, row, strict=True):
                columns[name].append(value)
        return pandas.DataFrame(columns, index=pandas.Index([r.name for r in applied], name="method"))

    def words(self) -> str:
        """Against what the rungs are measured, and why the others do not apply."""
        lines = [f"log evidence {self.log_evidence:,.3f} nats, by {self.evidence_by}"]
        lines += [f"means and sds against {self.reference}"] if self.reference else []
        return "\n".join(lines + [f"{r.name}: does not apply. {r.why}" for r in self.rungs if r.why])

    def figure(self) -> "Figure":
        """The gaps to the log evidence, and the errors of means and sds, as `plot.ladder`."""
        from ppl_gen.plot import ladder as draw

        applied = [rung for rung in self.rungs if not rung.why]
        gaps = [self.log_evidence - rung.bound for rung in applied]
        errors = [self.errors(rung.name) for rung in applied]
        return draw([r.name for r in applied], gaps, *zip(*errors, strict=True))

    def trees(self, draws: int = 500, seed: int = 0) -> "dict[str, xarray.DataTree]":
        """Every rung's posterior for ArviZ, by `to_arviz`; points and evidences have none."""
        kept = {r.name: r.posterior for r in self.rungs if r.posterior is not None and not r.posterior.point}
        return {name: to_arviz(posterior, draws=draws, seed=seed) for name, posterior in kept.items()}

    def __str__(self) -> str:
        shown = self.table().to_string(float_format=lambda value: f"{value:,.3g}", na_rep="")
        return f"{type(self.model).__name__}: {self.model.joint}\n{shown}\n{self.words()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        shown = self.table().to_html(float_format=lambda value: f"{value:,.3g}", na_rep="", border=0)
        return f"{shown}<small>{html.escape(self.words()).replace(chr(10), '<br>')}</small>"


COLUMNS = (
    "bound (nats)", "s.e.", "gap (nats)", "k-hat", "error of means (sd)", "error of sds (fraction)",
    "seconds",
)  # fmt: skip


def ladder(
    model: ProbabilisticModel,
    /,
    *,
    rungs: Iterable[str] | None = None,
    steps: int | None = None,
    draws: int = 500,
    seed: int = 0,
    **data: Any,
) -> Ladder:
    """Fit one model by every method that applies, from exact to approximate, and measure what each loses.

    Means and sds are judged by the exact posterior, else by NUTS, else by importance weights; bounds by the
    exact evidence, else by the importance-weighted one. Labels of mixtures may be switched between rungs:
    judge those by their bounds.

    Args:
        model: the joint.
        rungs: names of METHODS; all by default.
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
                f"rungs: expected names of {', '.join(METHODS)}, got {name!r}{did_you_mean(name, METHODS)}"
            )
    whole("draws", draws, least=2)
    with isolated(seed):
        values = admit(model, data, missing=True)
    found: list[Rung] = []
    for name in (n for n in METHODS if n in names):
        if name == "importance-weighted":
            found.append(_weighted(found, draws, seed))
            continue
        start = time.perf_counter()
        try:
            if name == "enumeration":
                found.append(_enumerated(model, values, data, start))
                continue
            if name == "SVI, own guide" and type(model).guide is ProbabilisticModel.guide:
                raise Unanswerable(f"{type(model).__name__} has no guide of its own.")
            posterior = fit(model, METHODS[name](steps, seed), **data)
            found.append(_measured(name, posterior, time.perf_counter() - start, draws, seed))
        except (Unanswerable, DataError, NonFinite) as error:
            found.append(Rung(name, why=str(error)))
    return Ladder(model, tuple(found), *_evidence(found), _reference(found))


def _root_mean_square(values: Tensor) -> float:
    return float(values[values.isfinite()].square().mean().sqrt())


def _measured(name: str, posterior: Posterior, seconds: float, draws: int, seed: int) -> Rung:
    if posterior.point or isinstance(posterior.guide, Draws):
        every = posterior.guide.chains * posterior.guide.draws if not posterior.point else 2
        means, sds = _moments(posterior.draw(every, seed))
        return Rung(name, means=means, sds=sds, seconds=seconds, posterior=posterior)
    weights, drawn = posterior.weighted(draws, seed)
    total, means_sds = weights.sum(1), _moments(drawn)
    bound, error = float(total.mean()), float(total.std() / draws**0.5)
    k_hat = float(pareto_k(weights).median())
    return Rung(name, "", bound, error, k_hat, *means_sds, seconds, posterior)


def _moments(drawn: Mapping[str, Tensor], weights: Tensor | None = None) -> tuple[Any, Any]:
    """Means and standard deviations of draws, name -> (draws, *shape)."""
    means, sds = {}, {}
    for name, value in drawn.items():
        value = value.double()
        shape = (len(value), *[1] * (value.dim() - 1))
        w = torch.full(shape, 1 / len(value)) if weights is None else weights.reshape(shape)
        means[name] = (w * value).sum(0)
        sds[name] = (w * (value - means[name]).square()).sum(0).sqrt()
    return means, sds


def _enumerated(model: ProbabilisticModel, values: Data, data: Mapping[str, Any], start: float) -> Rung:
    hidden = [name for name in values.sites if name not in values.observed]
    endless = [name for name in hidden if not values.sites[name].levels]
    if endless or not hidden:
        what = f"the values of {', '.join(endless)} cannot be listed" if endless else "nothing is hidden"
        raise Unanswerable(f"{type(model).__name__} is {model.joint}: {what}.")
    evidence = log_evidence(model, **data)
    return Rung("enumeration", "", evidence.total, 0.0, -torch.inf, seconds=time.perf_counter() - start)


def _weighted(found: list[Rung], draws: int, seed: int) -> Rung:
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
    moments = _moments(drawn, weights.sum(1).softmax(0))
    k_hat = float(pareto_k(weights).median())
    seconds = best.seconds + time.perf_counter() - start
    return Rung(name, "", float(bound.sum()), float(error.square().sum().sqrt()), k_hat, *moments, seconds)


def _evidence(found: list[Rung]) -> tuple[float, str]:
    """The log evidence, and the rung that knows it best."""
    for rung in found:
        if rung.posterior is not None and rung.posterior.evidence is not None:
            return rung.posterior.evidence, rung.name
    by = {rung.name: rung for rung in found if rung.bound == rung.bound}
    if not by:
        return float("nan"), "none of these rungs"
    for name in ("enumeration", "importance-weighted"):
        if name in by:
            sure = by[name].k_hat <= 0.7
            return by[name].bound, name if sure else f"{name} (k-hat {by[name].k_hat:.2f}: likely too low)"
    best = max(by.values(), key=lambda rung: rung.bound)
    return best.bound, f"the highest bound, of {best.name}: the gaps may be larger"


def _reference(found: list[Rung]) -> str:
    names = [rung.name for rung in found if rung.means]
    return next((name for name in ("exact", "NUTS", "importance-weighted") if name in names), "")

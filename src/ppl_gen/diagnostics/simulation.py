"""Simulation-based calibration: fit data whose parameters are known, again and again, and see."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppl_gen import ranks
from ppl_gen.checks import called, did_you_mean, whole
from ppl_gen.core import ProbabilisticModel, run, variables
from ppl_gen.diagnostics.quantities import (
    Array,
    Quantities,
    Quantity,
    distinct,
    places,
    posterior_draws,
)
from ppl_gen.diagnostics.simulated import SimulatedCalibration
from ppl_gen.diagnostics.workers import Each, one_thread
from ppl_gen.errors import DataError, Interrupted, Unanswerable
from ppl_gen.fit import _default, fit
from ppl_gen.inference import EM, MAP, SVI, CrossValidation, MaximumLikelihood
from ppl_gen.inference.signals import Signals, users_line
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior
from ppl_gen.progress import track

TRIES = 5  # first simulations of which one fit at least must succeed
LOOKS = 30  # draws of the prior that tell which scalars are distinct


def simulation_based_calibration(
    model: ProbabilisticModel,
    method: Any = None,
    /,
    *,
    simulations: int = 200,
    draws: int = 99,
    n: int | None = None,
    observed: Sequence[str] | None = None,
    quantities: Mapping[str, Quantity] | None = None,
    false_alarm: float = 0.05,
    seed: int = 0,
    workers: int = 1,
    progress: bool | None = None,
    **given: Any,
) -> SimulatedCalibration:
    """Does this method find right posteriors of this model? Ask it where the truth is known.

    Each simulation draws latents from the prior and data from the joint's own program, fits the data by the
    method, and looks where the truth lies among draws of the posterior. If every posterior is right, the
    truth is one more draw: its rank is uniform, for each scalar of the latents and for the log likelihood of
    the data, which catches posteriors that the ranks of parameters miss, such as the prior itself (Modrák
    et al. 2023). Ties are broken at random. Chains are thinned to nearly independent draws. Components of a
    mixture that have no names of their own are put in order, each parameter by size.

    What is said is about data of this size, drawn from this prior: wide priors ask the method about data
    that nobody has. See `SimulatedCalibration` for the tests, and `calibration_power` for what they find.

    Args:
        model: the joint.
        method: of inference, by default the one that `fit` takes. Its seed, if it has one, is replaced in
            every fit.
        simulations: how many fits.
        draws: of each posterior; of chains at most.
        n: rows of the data, where the joint is not given any.
        observed: variables that the fits are given; by default those of a row that are not hidden from the
            model's guide or closed form.
        quantities: more to rank: name -> function of one draw of the latents and of the data, both by name,
            that returns a number or an array. For `workers`, a function of a module.
        false_alarm: probability that anything is found where all is right: of the whole call.
        seed: decides everything. The number of workers decides nothing.
        workers: processes that share the fits; a script then calls this below
            ``if __name__ == "__main__":``.
        progress: whether to show a bar; None shows it in terminals and notebooks.
        given: what the joint is given, by name, such as x (n, features) of a regression: the same rows in
            every simulation.

    A fit that fails is named and counted in the result's ``failures``. The first Ctrl-C ends after the fits
    at hand; what was done is reported, with the warning `Interrupted`.

    Raises:
        DataError: an argument does not fit, or none of the first five fits succeeded.
        Unanswerable: the method finds a point, which has no ranks; or trains parameters of the model, which
            then is not the joint that the data came from.

    References: Talts et al. 2018, Validating Bayesian inference algorithms with simulation-based calibration;
    Modrák et al. 2023, Simulation-based calibration checking for Bayesian computation: the choice of test
    quantities shapes sensitivity.

    >>> from ppl_gen.models import LinearRegression
    >>> line = LinearRegression(features=1, precision=1.0, shape=3.0, rate=2.0)
    >>> found = simulation_based_calibration(line, simulations=20, x=[[-1.0], [0.0], [1.0], [2.0]])
    >>> list(found.names)
    ['tau', 'w[0]', 'w[1]', 'log likelihood']
    >>> print(found.verdict().partition(":")[0])
    no fault found
    """
    if not isinstance(model, ProbabilisticModel):
        raise DataError(f"model: expected a ProbabilisticModel, got {called(model)}")
    for name, value in (("simulations", simulations), ("draws", draws)):
        whole(name, value, least=2)
    whole("seed", seed, least=0)
    whole("workers", workers)
    if not 0 < false_alarm < 1:
        raise DataError(f"false_alarm: expected a probability between 0 and 1, got {false_alarm!r}")
    if not all(map(callable, (quantities or {}).values())):
        raise DataError("quantities: expected functions of (latents, data), by name")
    with isolated(seed), ranks.alone():
        plan = _plan(model, method, draws, n, observed, dict(quantities or {}), seed, given)
    found: dict[int, Outcome] = {}
    with one_thread():
        for index in range(min(TRIES, simulations)):
            found[index] = plan(index)
            if not found[index].failure:
                break
        else:
            raise DataError(
                f"the first {len(found)} fits all failed, so the others were not tried. The first: "
                f"{found[0].failure}"
            )
        plan = plan.settled(found[index])
        found[index] = plan(index)
    stopped, rest = False, range(len(found), simulations)
    with Signals("simulation_based_calibration") as signals:
        try:
            work = Each(plan, rest, workers, _lost)
            for index, outcome in track(work, "Simulations", progress):
                found[index] = outcome
                if signals.pressed:
                    break
        except KeyboardInterrupt:
            signals.pressed = True
    if signals.pressed and len(found) < simulations:
        stopped = True
        warnings.warn(
            f"simulation_based_calibration stopped by hand after {len(found)} of {simulations} simulations, "
            f"which are reported",
            Interrupted,
            stacklevel=users_line(),
        )
    return _result(plan, found, simulations if not stopped else len(found), simulations, false_alarm)


class Outcome(NamedTuple):
    """What one simulation found, of each quantity (quantities,); or why there is nothing.

    Attributes:
        names: of the quantities.
        below, equal: draws below the truth, and equal to it. u: where it lies, uniform if all is right.
        z: (truth - mean) / sd of the draws.
        draws: how many. warned: the fit's warnings. failure: the error, if there was one.
    """

    names: tuple[str, ...] = ()
    below: Array = np.zeros(0, int)
    equal: Array = np.zeros(0, int)
    u: Array = np.zeros(0)
    z: Array = np.zeros(0)
    draws: int = 0
    warned: tuple[str, ...] = ()
    failure: str = ""


@dataclass(frozen=True)
class Plan:
    """One simulation is a call with its number. Nothing else decides what it finds."""

    p: ProbabilisticModel
    method: Any
    given: Mapping[str, Any]
    observed: tuple[str, ...]
    quantities: Quantities
    draws: int
    seed: int

    def __call__(self, index: int) -> Outcome:
        seeds = self.seeds(index)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                with ranks.alone():
                    outcome = self._simulated(seeds)
            except Exception as error:  # whatever it is: named and counted
                outcome = Outcome(failure=f"{type(error).__name__}: {error}")
        if any(issubclass(w.category, Interrupted) for w in caught):
            raise KeyboardInterrupt
        return outcome._replace(warned=tuple(dict.fromkeys(str(w.message) for w in caught)))

    def seeds(self, index: int) -> list[int]:
        """Of the data, the fit, the posterior's draws, and the ties."""
        seeds: list[int] = np.random.SeedSequence((self.seed, index)).generate_state(4).tolist()
        return seeds

    def data(self, index: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The truth and the data of a simulation."""
        return self.simulated(self.seeds(index)[0])

    def simulated(self, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The latents' truth and the data, by name."""
        with isolated(seed):
            found = {name: site["value"] for name, site in variables(run(self.p.model, self.given)).items()}
        data = {name: found.pop(name) for name in self.observed}
        return found, data

    def posterior(self, data: Mapping[str, Tensor], seed: int) -> Posterior:
        """The fit of the simulated data."""
        inputs = {name: v for name, v in self.given.items() if name != "n"}
        return fit(self.p, _seeded(self.method, seed), **inputs, **data)

    def _simulated(self, seeds: Sequence[int]) -> Outcome:
        truth, data = self.simulated(seeds[0])
        posterior = self.posterior(data, seeds[1])
        if posterior.point:
            raise Unanswerable(f"{type(self.method).__name__} finds a point, among which nothing has a rank")
        admitted = posterior.fitted_data()
        with isolated(seeds[2]):
            drawn = posterior_draws(posterior, admitted, self.draws)
            ranked = self.quantities
            if not ranked.latents:  # the first simulation tells which latents a posterior has
                ranked = ranked._replace(latents=tuple(name for name in truth if name in drawn))
            every = {name: torch.cat([truth[name][None], drawn[name]]) for name in ranked.latents}
            found = ranked(every, admitted)
        (t, *_), draws = np.split(np.stack(list(found.values()), 1), [1])
        below, equal = (draws < t).sum(0), (draws == t).sum(0)
        rng, count = np.random.default_rng(seeds[3]), len(draws)
        u = (below + rng.random(len(t)) * (equal + 1)) / (count + 1)
        with np.errstate(all="ignore"):
            z = (t - draws.mean(0)) / draws.std(0, ddof=1)
        return Outcome(tuple(found), below, equal, u, z, count)

    def settled(self, first: Outcome) -> "Plan":
        """The same plan, once a first simulation has told which latents there are to rank."""
        wanted = {name.partition("[")[0] for name in first.names}
        looks: list[dict[str, Array]] = []
        ranked = self.quantities
        for index in range(LOOKS):
            truth, data = self.data(index)
            latents = tuple(name for name in truth if name in wanted)
            inputs = {name: v for name, v in self.given.items() if name != "n"}
            with isolated(0):
                admitted = admit(self.p, {**inputs, **data}, missing=True)
                if not looks:
                    found = places(self.p, admitted, {name: truth[name] for name in latents})
                    ranked = ranked._replace(latents=latents, places=found)
                looks.append(ranked({name: truth[name][None] for name in latents}, admitted))
        values = {name: np.concatenate([look[name] for look in looks]) for name in looks[0]}
        return replace(self, quantities=ranked._replace(kept=distinct(values)))


def _lost(index: int) -> Outcome:
    return Outcome(failure="the process of this fit died, as one does that runs out of memory")


def _plan(
    p: ProbabilisticModel,
    method: Any,
    draws: int,
    n: int | None,
    observed: Sequence[str] | None,
    quantities: Mapping[str, Quantity],
    seed: int,
    given: Mapping[str, Any],
) -> Plan:
    line = Factorization(p.joint)
    for name in given:
        if name not in line.given:
            what = f"what {p.joint} is given, {', '.join(sorted(line.given))}" if line.given else "no data"
            raise DataError(f"{name}: expected {what}; all else is simulated{did_you_mean(name, line.given)}")
    data = admit(p, given)
    inputs: dict[str, Any] = dict(data.inputs)
    if bool(line.given) == (n is not None):
        raise DataError(
            f"n: {p.joint} has as many rows as {', '.join(sorted(line.given))}; leave it out"
            if line.given
            else f"n: how many rows shall be simulated? {p.joint} is not given any"
        )
    rows = data.n if n is None else whole("n", n)
    names = _observed(p, data, observed)
    hidden = [name for name in data.sites if name not in names]
    chosen = _default(p, dict.fromkeys(names)) if method is None else method
    if isinstance(chosen, type) or not hasattr(chosen, "fit"):
        raise DataError(f"method: expected Exact(), SVI(…) or another method, got {called(chosen)}")
    if isinstance(chosen, EM | MAP | MaximumLikelihood | CrossValidation):
        raise Unanswerable(
            f"{type(chosen).__name__} finds a point, and among the draws of a point nothing has a rank: "
            f"calibration is about what is not known. Use SVI(), VariationalBayes(), Laplace(), NUTS() or "
            f"Exact()"
        )
    if not hidden:
        raise Unanswerable(f"{type(p).__name__} is {p.joint}: nothing is latent, so there is nothing to rank")
    if getattr(chosen, "checkpoint", None) is not None:
        raise DataError("checkpoint: many fits would share it; leave it out")
    if isinstance(chosen, SVI):
        _refuse_trained(p, {**inputs, "n": rows})
    return Plan(p, chosen, {**inputs, "n": rows}, names, Quantities(p, (), {}, quantities), draws, seed)


def _observed(p: ProbabilisticModel, data: Data, chosen: Sequence[str] | None) -> tuple[str, ...]:
    """The variables that fits are given."""
    local = [name for name, site in data.sites.items() if site.local]
    if chosen is not None:
        names = (chosen,) if isinstance(chosen, str) else tuple(chosen)
        for name in names:
            if name not in data.sites:
                hint = did_you_mean(str(name), data.sites)
                raise DataError(f"observed: expected variables of {p.joint}, got {name!r}{hint}")
        if not names:
            raise DataError("observed: expected at least one variable, got none")
        return names
    line = Factorization(p.joint)
    parents = frozenset().union(*(line[name] for name in local))
    guided = Factorization(p.approximation, "q").keys() if p.approximation else frozenset()
    hidden = {getattr(p, "hidden", ""), *guided}
    open_ = [name for name in local if name in parents and name not in hidden]
    if open_ and not hasattr(p, "updated"):
        raise DataError(
            f"observed: which variables of {p.joint} do data hold? {', '.join(open_)} may be hidden or not. "
            f"Say observed=({', '.join(repr(name) for name in local if name not in open_)},), or more"
        )
    return tuple(name for name in local if name not in hidden)


def _refuse_trained(p: ProbabilisticModel, given: Mapping[str, Any]) -> None:
    """SVI trains what the joint's own densities depend on: the fitted joint is then another."""
    with isolated(0, grad=True):
        free = {name: v for name, v in p.named_parameters() if v.requires_grad}
        trace = run(p.model, given)
        trace.compute_log_prob()
        total = sum(site["log_prob"].sum() for site in variables(trace).values())
        if not free or not isinstance(total, Tensor) or not total.requires_grad:
            return
        grads = torch.autograd.grad(total, list(free.values()), allow_unused=True)
    trained = [name for name, grad in zip(free, grads, strict=True) if grad is not None]
    if trained:
        raise Unanswerable(
            f"{type(p).__name__} has parameters that SVI trains ({', '.join(trained[:3])}), so the joint "
            f"that is fitted is not the one that the data came from. Freeze them, "
            f"model.{trained[0]}.requires_grad_(False), to ask about the rest"
        )


def _seeded(method: Any, seed: int) -> Any:
    """The method with a seed of this fit's own, and no bar."""
    if not is_dataclass(method) or isinstance(method, type):
        return method
    known = {field.name for field in fields(method) if field.init}
    changes = {name: value for name, value in (("seed", seed), ("progress", False)) if name in known}
    return replace(method, **changes) if changes else method


def _result(
    plan: Plan, found: Mapping[int, Outcome], done: int, asked: int, false_alarm: float
) -> SimulatedCalibration:
    good = {index: found[index] for index in sorted(found) if not found[index].failure}
    if len(good) < 2:
        raise DataError(f"expected two simulations at least that could be fitted, got {len(good)} of {done}")
    names = next(iter(good.values())).names
    return SimulatedCalibration(
        model=type(plan.p).__name__,
        joint=plan.p.joint,
        method=str(plan.method),
        names=names,
        index=np.array(list(good)),
        u=np.stack([outcome.u for outcome in good.values()]),
        z=np.stack([outcome.z for outcome in good.values()]),
        below=np.stack([outcome.below for outcome in good.values()]),
        equal=np.stack([outcome.equal for outcome in good.values()]),
        draws=np.array([outcome.draws for outcome in good.values()]),
        failures={index: found[index].failure for index in sorted(found) if found[index].failure},
        warned={index: good[index].warned for index in good if good[index].warned},
        asked=asked,
        false_alarm=false_alarm,
        seed=plan.seed,
        plan=plan,
    )

"""One simulation: parameters from the prior, data from the likelihood, a fit, and where the truth lies."""

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
from ppl_gen.diagnostics.simulation.quantities import (
    LIKELIHOOD,
    Array,
    Quantities,
    Quantity,
    distinct,
    places,
    posterior_draws,
)
from ppl_gen.errors import DataError, Interrupted, Unanswerable
from ppl_gen.fit import _default, fit
from ppl_gen.inference import EM, MAP, SVI, CrossValidation, MaximumLikelihood
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior

LOOKS = 30  # draws of the prior that tell which scalars are distinct


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
        if bad := [name for name, values in found.items() if np.isnan(values).any()]:
            raise DataError(f"expected numbers from the posterior, got nan for {bad[0]}")
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
        return replace(self, quantities=ranked._replace(kept=distinct(values, latents)))


def lost(index: int) -> Outcome:
    """What is left of a simulation whose process died."""
    return Outcome(failure="the process of this fit died, as one does that runs out of memory")


def planned(
    p: ProbabilisticModel,
    method: Any,
    draws: int,
    n: int | None,
    observed: Sequence[str] | None,
    quantities: Mapping[str, Quantity],
    seed: int,
    given: Mapping[str, Any],
) -> Plan:
    """The arguments of `simulation_based_calibration`, checked. Call it `isolated`."""
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
    if clash := quantities.keys() & {*data.sites, LIKELIHOOD}:
        raise DataError(f"quantities: {min(clash)!r} is ranked already; give yours another name")
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

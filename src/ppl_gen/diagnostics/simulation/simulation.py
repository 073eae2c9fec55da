"""Simulation-based calibration: fit data whose parameters are known, again and again, and see."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ppl_gen import ranks
from ppl_gen.checks import called, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.diagnostics.simulation.quantities import Quantity
from ppl_gen.diagnostics.simulation.simulated import SimulatedCalibration
from ppl_gen.diagnostics.simulation.simulating import Outcome, Plan, lost, planned
from ppl_gen.diagnostics.simulation.workers import Each
from ppl_gen.errors import DataError, Interrupted
from ppl_gen.inference import SVI
from ppl_gen.inference.signals import Signals, users_line
from ppl_gen.isolation import isolated, one_thread
from ppl_gen.progress import track

TRIES = 5  # first simulations of which one fit at least must succeed


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
    mixture that have no names of their own are put in order, each parameter by size. Of latents that rows
    have each for themselves, those of the first ten are ranked.

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
    >>> found.u.shape  # where the truth lay: table(), verdict(), figure(), coverage() and vsbc() look at it
    (20, 4)
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
        plan = planned(model, method, draws, n, observed, dict(quantities or {}), seed, given)
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
    rest = range(len(found), simulations)
    with Signals("simulation_based_calibration") as signals:
        try:
            for index, outcome in track(Each(plan, rest, workers, lost), "Simulations", progress):
                found[index] = outcome
                if signals.pressed:
                    break
        except KeyboardInterrupt:  # by a second Ctrl-C, or where another handler stands
            pass
    if len(found) < simulations:
        warnings.warn(
            f"simulation_based_calibration stopped by hand after {len(found)} of {simulations} simulations, "
            f"which are reported",
            Interrupted,
            stacklevel=users_line(),
        )
    return _result(plan, found, simulations, false_alarm)


def _result(plan: Plan, found: Mapping[int, Outcome], asked: int, false_alarm: float) -> SimulatedCalibration:
    good = {index: found[index] for index in sorted(found) if not found[index].failure}
    if len(good) < 2:
        raise DataError(
            f"expected two simulations at least that could be fitted, got {len(good)} of {len(found)}"
        )
    names = next(iter(good.values())).names
    return SimulatedCalibration(
        model=type(plan.p).__name__,
        joint=plan.p.joint,
        method=_named(plan.method),
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


def _named(method: Any) -> str:
    """The method with the settings that are not its defaults."""
    if not is_dataclass(method) or type(method).__repr__ is SVI.__repr__:
        return str(method)
    changed = (f for f in fields(method) if getattr(method, f.name) != f.default)
    return f"{type(method).__name__}({', '.join(f'{f.name}={getattr(method, f.name)!r}' for f in changed)})"

"""Did the fit arrive? The history of the bound, a few more steps, other starts, and chains."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ppl_gen.core import is_local
from ppl_gen.diagnostics.trust.case import Case
from ppl_gen.diagnostics.trust.causes import EXPLAINED, curved
from ppl_gen.diagnostics.trust.chain_checks import chain_checks
from ppl_gen.diagnostics.trust.checks import Check, fault
from ppl_gen.diagnostics.trust.guide_checks import APART
from ppl_gen.diagnostics.trust.pyro_case import PyroCase, continued
from ppl_gen.diagnostics.trust.quality import GuideQuality, guide_quality
from ppl_gen.diagnostics.trust.starts import restarted
from ppl_gen.errors import NoEvidence, NonFinite, Unanswerable
from ppl_gen.fit import fit
from ppl_gen.inference import EM, SVI, VariationalBayes
from ppl_gen.inference.convergence import gain
from ppl_gen.inference.guides import Automatic
from ppl_gen.inference.nuts import Draws
from ppl_gen.inference.relabelling import Components
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior

MORE = 300  # steps that a fit is continued by
GAIN = 0.5, 0.02  # nats that these may still gain: of all rows, and of each that has latents of its own
LEAST, QUICK = 1000, 0.1  # steps that are advised, and the largest learning rate
USUAL, LONG, ENOUGH = 0.02, 10, 100  # the usual rate; times that, a long one; steps by which it goes far
NEARLY = 0.8  # of what the rate gains: by a tenth of it too much, but where the long steps got in the way
WANDER = 2.0  # nats that a constant rate may cost about the best place
LIKELY = 3.0  # standard errors: enough for the cause of what is wrong anyway
SURE = 5.0  # standard errors: one in 1.7 million is passed by chance
HELD = 1.0  # rows that a component must hold
SPIKE, STEP = 5.0, 0.01  # nats that a row's density loses when the row moves by this share of the spread


def climb_checks(case: Case, more_steps: int | None, restarts: int | None) -> Iterator[Check]:
    """What applies to the method: more steps of SVI, other starts of a mixture, chains of NUTS."""
    posterior = case.posterior
    if isinstance(posterior.guide, Draws):
        yield from chain_checks(case)
    if isinstance(posterior.method, SVI) and not case.given and posterior.data is not None:
        yield from _more_steps(case, MORE if more_steps is None else more_steps)
    try:
        components = Components("diagnose", posterior.joint, case.data)
        yield from _components(case, components)
    except Unanswerable:
        restarts = restarts or 0  # of what is no mixture, only where they are asked for
    if not isinstance(posterior.guide, Draws) and not case.given:
        yield from _starts(case, restarts)


def pyro_climb(case: PyroCase, more_steps: int | None) -> Iterator[Check]:
    """The same of a bare pair, whose own learning rate nobody knows but its method."""
    steps = MORE if more_steps is None else more_steps
    found = continued(case.fitted, steps, case.seed) if steps else None
    if found is None:
        return
    risen, error, further = found
    method, q = case.fitted.method, case.quality
    rate, uneven = float(method.learning_rate or USUAL), q is not None and not q.trusted
    shown = f"{steps} more steps gain {risen:,.2f} ± {error:.1g} nats"
    numbers: dict[str, Any] = {"value": risen, "error": error, "limit": GAIN[0]}
    rises, lost = risen - SURE * error > GAIN[0], risen < -SURE * error - GAIN[0]
    lost = lost and (
        uneven or q is None
    )  # of draws that can be weighed, it is no more than the rate's wander
    if rises or lost or (uneven and rate > USUAL):
        short = continued(case.fitted, steps, case.seed, learning_rate=rate / 10, schedule="cosine")
        gained, its, _ = short or (0.0, 0.0, further)
        most = q is not None and uneven and gained > LIKELY * its and gained > q.gap / 2
        nowhere = uneven and lost and gained < -SURE * its - GAIN[0]
        sure = gained - SURE * its > GAIN[0] or nowhere
        if (sure or most) and (
            gained - risen > SURE * (error + its)
            or (rate >= LONG * USUAL and len(case.fitted.elbo) >= ENOUGH and gained > NEARLY * risen)
        ):
            shown += f", and at a tenth of the rate {gained:,.2f} ± {its:.1g}"
            fix = _smaller(method, rate, min(rate / 10, QUICK))
            state = "fault" if nowhere or gained > WANDER else "caution"
            yield fault("learning rate too high", "climb", shown, fix, state=state, **numbers)
            return
        if lost:
            shown += f": at a tenth of the rate {gained:,.2f} ± {its:.1g}"
    if not rises:
        yield Check("climb", "ok", shown, "the bound has arrived", **numbers)
        return
    fix = f"take {max(5 * len(case.fitted.elbo), LEAST):,} steps"
    if rate < QUICK and _still(further):
        fix += f" at a larger learning_rate, such as {min(10 * rate, QUICK):g}, that falls (schedule)"
        shown += ", and it rises on"
    elif method.schedule != "cosine":
        fix += ", or a learning_rate that falls (schedule)"
    yield fault("too few steps", "climb", shown, fix, **numbers)


def _smaller(method: SVI, rate: float, smaller: float) -> str:
    falling = "" if method.schedule == "cosine" else ', falling to zero (schedule="cosine")'
    return f"take a smaller learning_rate than {rate:g}, such as {smaller:g}{falling}"


# More steps -------------------------------------------------------------------------------------------------


def _more_steps(case: Case, steps: int) -> Iterator[Check]:
    """Climb on, at the model's own learning rate: does the bound rise, by the same random numbers?"""
    posterior, method = case.posterior, case.posterior.method
    if not steps:
        return
    usual = float(posterior.model.svi.get("learning_rate", USUAL))
    own = float(method.learning_rate or usual)
    rate = own if usual / 10 < own < usual * 10 else usual
    before, _ = posterior.weighted(200, case.seed)
    short = False  # whether a smaller rate gains what the fit's own does not

    def climb(rate: float) -> tuple[Posterior, float, float]:
        on = _on(case, replace(method, steps=steps, learning_rate=rate))
        gained = on.weighted(200, case.seed)[0].sum(1) - before.sum(1)
        return on, float(gained.mean()), float(gained.std() / len(gained) ** 0.5)

    try:
        on, risen, error = climb(rate)
        if risen < -SURE * error - GAIN[0]:  # long steps fall back, and tell nothing of where short ones lead
            on, risen, error = climb(rate / 10)
            short = own >= rate
    except NonFinite:
        return
    local = any(is_local(site) and name in case.runs[0].q for name, site in case.runs[0].p.items())
    limit = GAIN[0] + GAIN[1] * case.data.n * local
    shown = f"{steps} more steps gain {risen:,.2f} ± {error:.1g} nats"
    numbers: dict[str, Any] = {"value": risen, "error": error, "limit": limit}
    history = posterior.elbo.double()
    further = f"fit(posterior, SVI(steps={max(5 * len(history), LEAST)}), …) goes on from here"
    if not risen - SURE * error > limit:
        if _explains(case.quality, risen, error):
            shown += ", most of the gap"
            yield fault("too few steps", "climb", shown, further, state="caution", **numbers)
        else:
            yield Check("climb", "ok", shown, "the bound has arrived", **numbers)
        return
    if (shape := _shape(on, risen, case.seed)) is not None:
        numbers |= {"later": True, "state": "caution"}
        shown += f"; the shape of the guide costs {shape:,.2f}, then as now"
    climbed, rising = _rate(history), _rising(history)
    if not short and own >= LONG * usual and rising and len(history) >= ENOUGH:
        try:
            short = risen > NEARLY * climb(own)[1]
        except NonFinite:
            short = True
    if short or _falls(history, before.sum(1)) or (own >= LONG * usual and not rising):
        fix = _smaller(method, own, usual if usual < own / 2 else own / 10)
        yield fault("learning rate too high", "climb", shown, fix, **numbers)
    elif len(history) >= 50 and risen / steps > 20 * max(climbed, 0.0):
        fix = f"take a larger learning_rate than {own:g}, such as {usual:g}"
        yield fault("learning rate too low", "climb", shown, fix, **numbers)
    else:
        yield fault("too few steps", "climb", shown, further, **numbers)


def _on(case: Case, method: SVI) -> Posterior:
    """The fit, gone on with by steps that fall to zero."""
    calm: dict[str, Any] = {"schedule": "cosine", "checkpoint": None, "progress": False, "tolerance": None}
    longer = replace(method, seed=method.seed + 1, compile=False, **calm)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit(case.posterior, longer, **case.rows)


def _explains(quality: GuideQuality | None, risen: float, error: float) -> bool:
    """Whether a climb that gains little still is why means are off: what it gains is most of the gap.

    To name the cause of what is wrong takes less certainty than to call it wrong.
    """
    if quality is None or quality.guide is None or (best := quality.best[0]) is None:
        return False
    off = any(abs(shift) > APART for _, shift, _ in quality.guide.differences(best))
    return off and risen > LIKELY * error and risen > quality.gap / 2


def _shape(on: Posterior, gained: float, seed: int) -> float | None:
    """What the guide's covariances cost in nats after the climb went on, if that is more than it gained.

    A guide without correlations climbs slowly along those of the posterior, and arrives at wrong sds.
    """
    try:
        quality = guide_quality(on, draws=500, seed=seed)
    except NoEvidence:
        return None
    bend = curved(quality.scored)
    factorised = isinstance(on.guide, Automatic) and on.guide.factorised
    if quality.trusted or bend is None or bend.share < EXPLAINED or not factorised:
        return None
    return bend.spread if bend.spread > gained else None


def _rate(history: Tensor) -> float:
    """Nats a step, from the first tenth of the climb to the last."""
    size = max(len(history) // 10, 1)
    return float(history[-size:].mean() - history[:size].mean()) / len(history)


def _still(history: Tensor) -> bool:
    """Whether the last third lies above the second by more than chance, and by nats that count."""
    size = len(history) // 3
    if size < 20:
        return False
    second, last = history[-2 * size :].double().reshape(2, size)
    error = float(torch.stack([second, last]).var(1).sum() / size) ** 0.5
    return float(last.mean() - second.mean()) > max(SURE * error, GAIN[0])


def _rising(history: Tensor) -> bool:
    """Whether the last quarter lies above the one before it by more than chance."""
    window = len(history) // 4
    if window < 20:
        return True
    last = gain(history.tolist(), window)
    return last.nats > SURE * last.standard_error


def _falls(history: Tensor, draws: Tensor, blocks: int = 10) -> bool:
    """Whether the second half of the climb falls as it rises, by far more than single draws scatter."""
    half = history[len(history) // 2 :]
    size = len(half) // blocks
    if size < 3:
        return False
    means = half[: blocks * size].reshape(blocks, size).mean(1)
    steps = means.diff()
    falling = float(steps.clamp(max=0).abs().sum() / steps.abs().sum().clamp(min=1e-300))
    noise = float(draws.std()) / size**0.5
    return falling > 0.25 and float(means.std()) > 3 * noise


# Mixtures ---------------------------------------------------------------------------------------------------


def _components(case: Case, components: Components) -> Iterator[Check]:
    posterior, data = case.posterior, case.data
    stored = isinstance(posterior.guide, Draws)
    values = posterior.draw(20, case.seed)
    draws = [{name: v[i] for name, v in values.items()} for i in range(1 if posterior.point else 20)]
    with isolated(case.seed):
        held = torch.stack([components.look(d).weights.sum(1) for d in draws])
        if not stored:
            spike = _spike(components, draws[-1])
            if spike > SPIKE:
                yield fault(
                    "singular component",
                    "components",
                    f"moving a row by {STEP:.0%} of the data's spread costs it {spike:,.1f} nats",
                    "take VariationalBayes() or EM(prior=True), whose prior keeps variances away from zero, "
                    "or fewer components",
                    value=spike,
                    limit=SPIKE,
                )
        endless = "v" in posterior.parameters and components.places(draws[-1]) is None
    least = held.mean(0).min() if not stored else held.sort(1).values[:, 0].mean()
    shown = f"the smallest of {components.levels} holds {float(least):,.1f} of {data.n:,} rows"
    if float(least) < HELD and not endless:
        yield fault(
            "empty component",
            "components",
            shown,
            "take fewer components (choose_k compares), or more starts: restarts=10",
            value=float(least),
            limit=HELD,
        )
    else:
        yield Check("components", "ok", shown, value=float(least), limit=HELD)


def _spike(components: Components, values: dict[str, Tensor]) -> float:
    """The most that any row's log density loses when the row moves a little."""
    data, lost = components.data, 0.0
    before = components.look(values).log_rows
    for name, value in data.observed.items():
        if data.sites[name].local and value.is_floating_point() and not data.sites[name].levels:
            if getattr(data.sites[name].support, "is_discrete", False):
                continue
            moved = Components("diagnose", components.p, data.with_value(name, value + STEP * value.std(0)))
            lost = max(lost, float((before - moved.look(values).log_rows).max()))
    return lost


def _starts(case: Case, restarts: int | None) -> Iterator[Check]:
    """Other starts, and how much higher the best of them comes."""
    method = case.posterior.method
    usual = {EM: 1, VariationalBayes: 1, SVI: 2}.get(type(method), 0)
    found = restarted(case.posterior, usual if restarts is None else restarts, case.seed)
    if found is None:
        return
    numbers: dict[str, Any] = {"value": found.higher, "error": found.error, "limit": 1.0}
    if found.higher - SURE * found.error > 1.0:
        fix = "take more starts (restarts=10, or other seeds) and keep the highest bound"
        yield fault("stuck in a worse mode", "starts", str(found), fix, **numbers)
    else:
        yield Check("starts", "ok", str(found), "none comes higher by a nat", **numbers)

"""Is the guide the posterior? Its draws weighed by the joint, and the name of what makes weights uneven."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ppl_gen.diagnostics.choosing.moments import in_words
from ppl_gen.diagnostics.trust.case import Case
from ppl_gen.diagnostics.trust.causes import attributed, claimed, curved, funnel, non_centre
from ppl_gen.diagnostics.trust.checks import Check, fault
from ppl_gen.diagnostics.trust.quality import GuideQuality, evidence_of_last_rows
from ppl_gen.inference.guides import correlated, richer

EXACTLY = 1 - 1e-6  # share of what an update is off by, that a cause of it explains: it has no noise
UNEVEN = 0.5  # sd of log weights in nats from which a cause is sought, whatever k-hat
NARROW, WIDE, APART = 0.8, 1.25, 0.3  # ratios of sds, and differences of correlations or means, worth a word


def guide_checks(case: Case) -> Iterator[Check]:
    """Support, claimed density, k-hat and the cause of it, gap, and single means and sds."""
    q = case.quality
    if q is None:
        return
    outside = float((~torch.isfinite(q.scored.log_weights)).any(1).double().mean())
    if outside > 0:
        yield fault(
            "outside the support",
            "support",
            f"{outside:.1%} of the guide's draws",
            "give the guide the support of the joint: map a Normal by "
            'pyro.distributions.TransformedDistribution, or take guide="mean_field"',
            value=outside,
            limit=0.0,
        )
        return
    if case.posterior.guide is not None and not q.exact:
        yield from claimed(case, q.scored)
    if case.posterior.evidence is not None and not case.given:
        yield from _exact(case, q)
        return
    cause = _cause(case, q)
    low, high = q.k_hat_range
    shown = (
        "all weights are equal"
        if q.exact
        else f"{q.k_hat:.2f} ({low:.2f} to {high:.2f}), at most {q.threshold:.2f}"
        + f", of {q.draws:,} draws worth {q.effective:,.0f}, {q.gap:.3g} nats away" * (not q.enough)
    )
    if q.rows is not None and not q.exact:
        shown = f"{q.k_hat:.2f} in the median row; above {q.threshold:.2f} in {q.above:.0%} of rows"
    numbers: dict[str, Any] = {"value": q.k_hat, "error": (high - low) / 3.3, "limit": q.threshold}
    if cause is not None:
        yield cause
    if q.trusted:
        yield Check("k-hat", "ok", shown, "the draws can be weighted to the posterior", **numbers)
    elif cause is None:
        far = _why_far(case, q, shown, numbers)
        open_yet = q.undecided and q.enough and far.state == "fault" and far.fault != "funnel"
        yield _undecided(q, shown, numbers) if open_yet else far
    else:
        yield Check("k-hat", "note", shown, "weights cannot mend it", **numbers)
    gap = f"{q.gap:,.3f} ± {q.gap_error:.2g} nats between the bound and the log evidence"
    if not q.trusted and q.rows is None:
        gap = f"{q.in_nats(q.gap, q.gap_error)} between the bound and the log evidence"
    yield Check("gap", "ok" if q.trusted and q.gap < 1 else "note", gap, value=q.gap, error=q.gap_error)
    best, by = q.best
    if best is not None and q.guide is not None and cause is None:
        symptom = _moments(case, q, best, by)
        yield (attributed(case, q.scored) if symptom.fault else None) or symptom


# A posterior that claims to be exact ------------------------------------------------------------------------


def _exact(case: Case, q: GuideQuality) -> Iterator[Check]:
    parts = (q.scored.log_prior, q.scored.log_likelihood, q.scored.log_q)
    digits = 1e-9 * max(1.0, *(float(v.abs().max()) for v in parts))
    weights = q.scored.log_weights.sum(1)
    spread, claimed = float(weights.max() - weights.min()), evidence_of_last_rows(case.posterior)
    assert claimed is not None
    if spread > digits:
        found = attributed(case, q.scored, EXACTLY) or fault(
            "wrong update",
            "update",
            f"log p - log q spreads over {spread:.3g} nats; it would be constant",
            "compare updated() with Bayes' rule: log p(latents, data) - log q(latents) must not depend on "
            "the latents; SVI() finds the posterior without it",
        )
        yield found
        return
    off = claimed - float(weights.mean())
    if abs(off) > digits:
        yield fault(
            "wrong evidence",
            "evidence",
            f"claimed {claimed:,.4f}, but log p - log q is {float(weights.mean()):,.4f} nats at every draw",
            "correct log_normalizer(): its change by the update is the log evidence",
            value=off,
            limit=digits,
        )
        return
    yield Check(
        "update", "ok", "log p - log q is constant: exact", "k-hat -inf, gap 0", value=q.gap, limit=digits
    )


# Causes -----------------------------------------------------------------------------------------------------


def _cause(case: Case, q: GuideQuality) -> Check | None:
    uneven = float(q.scored.log_weights.std(0).max()) > UNEVEN
    return attributed(case, q.scored) if uneven or not q.trusted else None


def _why_far(case: Case, q: GuideQuality, shown: str, numbers: dict[str, Any]) -> Check:
    """The name of a large k-hat."""
    if (pair := funnel(case)) is not None:
        child, parent = pair
        return fault(
            "funnel", "k-hat", shown, non_centre(child, parent), where=f"{child} given {parent}", **numbers
        )
    bend = curved(q.scored)
    if bend is None or bend.share < 0.8:
        better = richer(case.posterior.guide)
        fix = ", or ".join(
            filter(None, ["take more steps", better and f"a richer guide, {better}", "NUTS()"])
        )
        if q.rows is not None:
            fix = "take a richer guide of the rows' codes, or bound p(x) by more draws: LowerBound(k=…)"
        return fault("guide too far", "k-hat", shown, fix, **numbers)
    sd = [f"{n} {r:.2f}" for n, r in _worst(bend.names, bend.ratios, NARROW, WIDE)]
    sds = f"sds as multiples of the posterior's: {', '.join(sd)}" if sd else ""
    moved = float(bend.shift.abs().max())
    place = int(bend.shift.abs().argmax())
    if moved > APART:
        sds = "; ".join(
            filter(None, [f"mean of {bend.names[place]} off by {bend.shift[place]:+.2f} sd", sds])
        )
    state = "fault" if moved > APART else "caution"
    more: dict[str, Any] = {**numbers, "state": state}
    off = bend.apart.abs()
    rigid = correlated(case.posterior.guide)
    if len(bend.names) > 1 and float(off.max()) > APART and not rigid:
        i, j = divmod(int(off.argmax()), len(off))
        named = f"{bend.names[i]} and {bend.names[j]}"
        fix = 'take guide="full_rank", or centre and scale the inputs'
        text = FAULT_OF_SHAPE.format(shown, f"{named} correlate by {float(bend.apart[i, j]):+.2f} more", sds)
        return fault("correlations ignored", "k-hat", text, fix, where=named, **more)
    text = f"{shown}; {sds}" if sds else shown
    if bend.moved > max(bend.spread, 1.0):
        return fault("guide too far", "k-hat", text, "take more steps, or another start", **numbers)
    small = bool((bend.ratios < NARROW).any())
    if sd:
        fix = "let the guide learn its scales (more steps, or no scale held fixed)"
        return fault("sds too small" if small else "sds too large", "k-hat", text, fix, **more)
    fix = ", or ".join(filter(None, ["take more steps", richer(case.posterior.guide), "NUTS()"]))
    return fault("guide too far", "k-hat", text, fix, **numbers)


def _undecided(q: GuideQuality, shown: str, numbers: dict[str, Any]) -> Check:
    """k-hat lies above its limit by no more than it may err."""
    more = 10 * q.draws
    return fault(
        "weights undecided",
        "k-hat",
        shown,
        f"diagnose(posterior, draws={more:_}), which may decide it; sds of the guide may be off meanwhile",
        state="caution",
        **numbers,
    )


FAULT_OF_SHAPE = "{0}; {1} than the guide knows; {2}"


def _worst(
    names: list[str], ratios: Tensor, low: float, high: float, most: int = 4
) -> list[tuple[str, float]]:
    found = [(name, float(r)) for name, r in zip(names, ratios, strict=True) if not low <= float(r) <= high]
    return sorted(found, key=lambda pair: -abs(math.log(pair[1])))[:most]


def _moments(case: Case, q: GuideQuality, best: Any, by: str) -> Check:
    assert q.guide is not None
    off = list(q.guide.differences(best))
    narrow = [(n, r) for n, _, r in off if r < NARROW]
    wide = [(n, r) for n, _, r in off if r > WIDE]
    moved = [(n, s) for n, s, _ in off if abs(s) > APART]
    words = in_words(q.guide, best, by)
    better = " or ".join(filter(None, ["more steps", richer(case.posterior.guide)]))
    fix = f"weight the draws: guide_quality(posterior).corrected; or take {better}"
    if moved:
        more: dict[str, Any] = {
            "state": "caution",
            "where": moved[0][0],
            "value": moved[0][1],
            "limit": APART,
        }
        return fault("means off", "means and sds", words, fix, **more)
    if narrow:
        more = {"state": "caution", "where": narrow[0][0], "value": narrow[0][1], "limit": NARROW}
        return fault("sds too small", "means and sds", words, fix, **more)
    if wide:
        more = {"state": "caution", "where": wide[0][0], "value": wide[0][1], "limit": WIDE}
        return fault("sds too large", "means and sds", words, fix, **more)
    return Check("means and sds", "ok", words or f"as by {by}, up to noise")

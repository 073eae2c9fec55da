"""Is the guide the posterior? Its draws weighed by the joint, and what explains the weights if they differ."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import biject_to

from ppl_gen.core import bare, run, variables
from ppl_gen.diagnostics.case import Case
from ppl_gen.diagnostics.checks import Check, fault
from ppl_gen.diagnostics.drawn import Drawn
from ppl_gen.diagnostics.moments import in_words
from ppl_gen.diagnostics.quality import GuideQuality
from ppl_gen.inference.guides import Automatic
from ppl_gen.isolation import isolated

EXPLAINED = 0.9  # share of the variance of log weights that a cause must explain to be named
UNEVEN = 0.5  # sd of log weights in nats from which a cause is sought, whatever k-hat
NARROW, WIDE, APART = 0.8, 1.25, 0.3  # ratios of sds, and differences of correlations or means, worth a word
MOST = 25  # parameters of which the curvature of the weights is taken


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
            "give the guide the support of the joint: map a Normal by pyro.distributions.TransformedDistribution, "
            'or take guide="mean_field"',
            value=outside,
            limit=0.0,
        )
        return
    if case.posterior.guide is not None and not q.exact:
        yield from _claimed(case, q.scored)
    if case.posterior.evidence is not None and not case.given:
        yield from _exact(case, q)
        return
    cause = _cause(case, q)
    low, high = q.k_hat_range
    shown = "all weights are equal" if q.exact else f"{q.k_hat:.2f} ({low:.2f} to {high:.2f})"
    if q.rows is not None and not q.exact:
        shown = f"{q.k_hat:.2f} in the median row; above {q.threshold:.2f} in {q.above:.0%} of rows"
    numbers: dict[str, Any] = {"value": q.k_hat, "error": (high - low) / 3.3, "limit": q.threshold}
    if cause is not None:
        yield cause
    if q.trusted:
        yield Check("k-hat", "ok", shown, "the draws can be weighted to the posterior", **numbers)
    elif cause is None:
        yield _why_far(case, q, shown, numbers)
    else:
        yield Check("k-hat", "note", shown, "weights cannot mend it", **numbers)
    gap = f"{q.gap:,.3f} ± {q.gap_error:.2g} nats between the bound and the log evidence"
    yield Check("gap", "ok" if q.trusted else "note", gap, value=q.gap, error=q.gap_error)
    best, by = q.best
    if best is not None and q.guide is not None and cause is None:
        yield _moments(q, best, by)


# A posterior that claims to be exact ------------------------------------------------------------------------


def _exact(case: Case, q: GuideQuality) -> Iterator[Check]:
    parts = (q.scored.log_prior, q.scored.log_likelihood, q.scored.log_q)
    digits = 1e-9 * max(1.0, *(float(v.abs().max()) for v in parts))
    weights = q.scored.log_weights.sum(1)
    spread, claimed = float(weights.max() - weights.min()), case.posterior.evidence
    assert claimed is not None
    if spread > digits:
        found = attributed(case, q.scored, 0.99) or fault(
            "wrong update",
            "update",
            f"log p - log q spreads over {spread:.3g} nats; it would be constant",
            "compare updated() with Bayes' rule: log p(latents, data) - log q(latents) must not depend on the "
            "latents; SVI() finds the posterior without it",
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


def attributed(case: Case, scored: Drawn, explained: float = EXPLAINED) -> Check | None:
    """Which factor counts too often or too rarely, if one alone makes the weights uneven.

    If log q = b log prior + a log likelihood + constant, then log p - log q is (1 - b) log prior +
    (1 - a) log likelihood: the slope on either tells how often it was counted.
    """
    if scored.apart:
        return None
    w = _centred(scored.log_weights[:, 0])
    columns = {"prior": scored.log_prior[:, 0], "rows": scored.log_likelihood[:, 0], **scored.log_jacobian}
    columns = {name: _centred(v) for name, v in columns.items() if float(v.std()) > 1e-9}
    if not columns or float(w.std()) == 0:
        return None
    both = torch.stack([*columns.values()], 1)
    q = _centred(scored.log_q[:, 0])
    fitted = both @ torch.linalg.lstsq(both, q[:, None], driver="gelsd").solution
    if _share(q, fitted[:, 0]) < explained:  # then log q is no such mixture of factors
        return None
    slopes = {name: float(w @ v / (v @ v)) for name, v in columns.items()}
    shares = {name: _share(w, slopes[name] * v) for name, v in columns.items()}
    name = max(shares, key=lambda n: shares[n])
    times = 1 - slopes[name]
    shown = f"log p - log q follows log p of the {name}, which counts {times:.3g} times ({shares[name]:.1%})"
    near = abs(times - 1) < 0.15
    if shares[name] < explained or (near and explained < 0.95):
        return None
    more: dict[str, Any] = {"value": times, "limit": 1.0}
    if name == "prior":
        left_out = times < 0.5
        fix = "let it score each latent once" if not left_out else "score the latents under their prior too"
        return fault("prior left out" if left_out else "prior counted twice", "weights", shown, fix, **more)
    if name == "rows":
        size = getattr(case.posterior.method, "batch_size", None) or 0
        small = 0 < size < case.data.n and abs(times * case.data.n / size - 1) < 0.25
        of = f"as {times * case.data.n:,.1f} rows, of {case.data.n:,}"
        fix = f"weigh a minibatch by n / batch_size = {case.data.n / max(size, 1):.3g}" if small else (
            "count every row once: see the plate's size, and rows passed twice or left out"
        )  # fmt: skip
        return fault(
            "unscaled minibatch" if small else "rows counted wrongly", "weights", f"{shown}, {of}", fix, **more
        )
    shown = f"log p - log q follows log |Jacobian| of {name} ({shares[name]:.1%})"
    fix = f"add log |d {name} / d its real coordinate| to log q"
    return fault("dropped Jacobian", "weights", shown, fix, where=name, value=slopes[name], limit=0.0)


def _cause(case: Case, q: GuideQuality) -> Check | None:
    uneven = float(q.scored.log_weights.std(0).max()) > UNEVEN
    return attributed(case, q.scored) if uneven or not q.trusted else None


def _claimed(case: Case, scored: Drawn) -> Iterator[Check]:
    """Is the density that the guide claims that of its draws? Not if it lacks the Jacobian of a map.

    A Normal fitted to the draws in free coordinates, carried back, is nearly their density. Where it differs
    from log q by log |Jacobian| of one latent, that is what log q lacks.
    """
    u, _ = scored.columns()
    if not scored.log_jacobian or not 0 < u.shape[1] <= MOST or scored.apart:
        return
    free = _centred(u)
    covariance = free.T @ free / len(u) + 1e-12 * torch.eye(u.shape[1], dtype=u.dtype)
    near = torch.distributions.MultivariateNormal(torch.zeros(u.shape[1], dtype=u.dtype), covariance)
    total = sum(v.double() for v in scored.log_jacobian.values())
    off = _centred(near.log_prob(free) - total - scored.log_q[:, 0].double())
    for name, log_det in scored.log_jacobian.items():
        v = _centred(log_det.double())
        slope = float(off @ v / (v @ v))
        if abs(slope + 1) < 0.3 and _share(off, slope * v) > 0.5:
            yield fault(
                "dropped Jacobian",
                "density of the guide",
                f"log q of {name} lacks {-slope:.2f} times the log |Jacobian| of its map",
                f"give {name} a density that knows its map: pyro.distributions.TransformedDistribution, or "
                f"Delta(…, log_density=…)",
                where=name,
                value=-slope,
                limit=0.0,
            )
            return


class _Curved(NamedTuple):
    """What the weights' curvature says of the posterior: a Normal in free coordinates."""

    share: float
    names: list[str]
    ratios: Tensor  # sds of the guide over those of the posterior
    shift: Tensor  # of the posterior's means, in its sds
    apart: Tensor  # correlations of the posterior less those of the guide


def curved(scored: Drawn) -> _Curved | None:
    """Fit log p - log q by a quadratic in the free coordinates.

    Where the guide is Normal there and the quadratic fits, log p is a Normal whose precision is the guide's
    less the curvature: exact for a Normal posterior, however far the guide is from it.
    """
    u, names = scored.columns()
    d = u.shape[1]
    if scored.apart or not 0 < d <= MOST or len(u) < 3 * (1 + d) * (2 + d) / 2:
        return None
    z = _centred(u) / u.std(0).clamp(min=1e-300)
    pairs = torch.triu_indices(d, d)
    design = torch.cat([torch.ones(len(z), 1, dtype=z.dtype), z, z[:, pairs[0]] * z[:, pairs[1]]], 1)
    w = scored.log_weights[:, 0].double()
    found = torch.linalg.lstsq(design, w[:, None], driver="gelsd").solution[:, 0]
    share = _share(_centred(w), _centred(design @ found))
    curvature = torch.zeros(d, d, dtype=z.dtype)
    curvature[pairs[0], pairs[1]] = found[1 + d :]
    curvature = curvature + curvature.T
    correlation = torch.corrcoef(z.T).reshape(d, d)
    precision = torch.linalg.pinv(correlation) - curvature
    values, vectors = torch.linalg.eigh(precision)
    if float(values.min()) <= 0:
        return None
    covariance = vectors @ torch.diag(1 / values) @ vectors.T
    sds = covariance.diagonal().sqrt()
    theirs = covariance / sds[:, None] / sds
    return _Curved(share, names, 1 / sds, covariance @ found[1 : 1 + d] / sds, theirs - correlation)


def _why_far(case: Case, q: GuideQuality, shown: str, numbers: dict[str, Any]) -> Check:
    """The name of a large k-hat."""
    if (pair := funnel(case)) is not None:
        child, parent = pair
        return fault(
            "funnel", "k-hat", shown, non_centre(child, parent), where=f"{child} given {parent}", **numbers
        )
    bend = curved(q.scored)
    if bend is None or bend.share < 0.8:
        fix = 'take a richer guide, guide="full_rank" or guide="flow", or NUTS()'
        if q.rows is not None:
            fix = "take a richer guide of the rows' codes, or bound p(x) by more draws: LowerBound(k=…)"
        return fault("guide too far", "k-hat", shown, fix, **numbers)
    sd = [f"{n} {r:.2f}" for n, r in _worst(bend.names, bend.ratios, NARROW, WIDE)]
    sds = f"sds as multiples of the posterior's: {', '.join(sd)}" if sd else ""
    moved = float(bend.shift.abs().max())
    place = int(bend.shift.abs().argmax())
    if moved > APART:
        sds = "; ".join(filter(None, [f"mean of {bend.names[place]} off by {bend.shift[place]:+.2f} sd", sds]))
    state = "fault" if moved > APART else "caution"
    more: dict[str, Any] = {**numbers, "state": state}
    off = bend.apart.abs()
    rigid = isinstance(case.posterior.guide, Automatic) and not case.posterior.guide.factorised
    if len(bend.names) > 1 and float(off.max()) > APART and not rigid:
        i, j = divmod(int(off.argmax()), len(off))
        named = f"{bend.names[i]} and {bend.names[j]}"
        fix = 'take guide="full_rank", or centre and scale the inputs'
        text = FAULT_OF_SHAPE.format(shown, f"{named} correlate by {float(bend.apart[i, j]):+.2f} more", sds)
        return fault("correlations ignored", "k-hat", text, fix, where=named, **more)
    text = f"{shown}; {sds}" if sds else shown
    small = bool((bend.ratios < NARROW).any())
    if sd:
        fix = "let the guide learn its scales (more steps, or no scale held fixed)"
        return fault("sds too small" if small else "sds too large", "k-hat", text, fix, **more)
    return fault("guide too far", "k-hat", text, 'take more steps, or guide="full_rank"', **numbers)


FAULT_OF_SHAPE = "{0}; {1} than the guide knows; {2}"


def _worst(names: list[str], ratios: Tensor, low: float, high: float, most: int = 4) -> list[tuple[str, float]]:
    found = [(name, float(r)) for name, r in zip(names, ratios, strict=True) if not low <= float(r) <= high]
    return sorted(found, key=lambda pair: -abs(math.log(pair[1])))[:most]


def _moments(q: GuideQuality, best: Any, by: str) -> Check:
    assert q.guide is not None
    off = list(q.guide.differences(best))
    narrow = [(n, r) for n, _, r in off if r < NARROW]
    wide = [(n, r) for n, _, r in off if r > WIDE]
    moved = [(n, s) for n, s, _ in off if abs(s) > APART]
    words = in_words(q.guide, best, by)
    fix = 'weight the draws: guide_quality(posterior).corrected; or take guide="full_rank" or guide="flow"'
    if moved:
        more: dict[str, Any] = {"state": "caution", "where": moved[0][0], "value": moved[0][1], "limit": APART}
        return fault("means off", "means and sds", words, fix, **more)
    if narrow:
        more = {"state": "caution", "where": narrow[0][0], "value": narrow[0][1], "limit": NARROW}
        return fault("sds too small", "means and sds", words, fix, **more)
    if wide:
        more = {"state": "caution", "where": wide[0][0], "value": wide[0][1], "limit": WIDE}
        return fault("sds too large", "means and sds", words, fix, **more)
    return Check("means and sds", "ok", words or f"as by {by}, up to noise")


# Funnels ----------------------------------------------------------------------------------------------------


def funnel(case: Case) -> tuple[str, str] | None:
    """A variable of several numbers whose scale is another latent, where the data hardly tell it from its prior.

    There the two form a funnel (Neal 2003; Betancourt and Girolami 2015); where the data are many, or the
    variable is one number, they do not.
    """
    t, data = case.runs[0], case.data
    values = {name: site["value"] for name, site in t.p.items() if name in t.q}
    several = {n for n, v in values.items() if v.numel() > 1 and hasattr(bare(t.p[n]["fn"]), "scale")}
    parents = [n for n in values if values[n].numel() == 1]
    with isolated(case.seed):
        for parent in parents:
            to = biject_to(t.p[parent]["fn"].support)
            moved = {**values, parent: to(to.inv(values[parent]) + 0.5)}
            after = variables(run(case.posterior.joint.model, data.values, {**data.observed, **moved}))
            for child in several - {parent}:
                before = bare(t.p[child]["fn"])
                if torch.allclose(bare(after[child]["fn"]).scale, before.scale):
                    continue
                fns = [bare(s.p[child]["fn"]) for s in case.runs]
                drawn = torch.stack([(s.p[child]["value"] - fn.mean) / fn.scale for s, fn in zip(case.runs, fns)])
                if float(drawn.reshape(len(drawn), -1).std(0).median()) > 0.4:
                    return child, parent
    return None


def non_centre(child: str, parent: str) -> str:
    """What to do about a funnel."""
    return (
        f"non-centre {child}: draw a standard variable of the same shape, and compute {child} as its mean plus "
        f"{parent} times that"
    )


def _centred(values: Tensor) -> Tensor:
    return values.double() - values.double().mean(0)


def _share(whole: Tensor, part: Tensor) -> float:
    """Of the variance of ``whole``, both centred, how much ``part`` explains."""
    return 1 - float((whole - part).square().sum() / whole.square().sum().clamp(min=1e-300))



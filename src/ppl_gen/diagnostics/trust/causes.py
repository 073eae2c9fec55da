"""Why a guide's weights are uneven: what they follow, how they curve, and what the joint is shaped like."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import biject_to

from ppl_gen.core import bare, run, variables
from ppl_gen.diagnostics.trust.case import Case
from ppl_gen.diagnostics.trust.checks import Check, fault
from ppl_gen.diagnostics.trust.drawn import Drawn
from ppl_gen.inference import SVI, Laplace, VariationalBayes
from ppl_gen.isolation import isolated

EXPLAINED = 0.9  # share of the variance of log weights that a cause must explain to be named
OTHER = {"prior": "rows", "rows": "prior"}
MOST = 25  # parameters of which the curvature of the weights is taken


def attributed(case: Case, scored: Drawn, explained: float = EXPLAINED) -> Check | None:
    """Which factor counts too often or too rarely, if one alone makes the weights uneven.

    If log q = b log prior + a log likelihood + constant, then log p - log q is (1 - b) log prior +
    (1 - a) log likelihood: the slope on either tells how often it was counted, if the other counts once. Of
    one latent, any Normal is such a mixture, most with numbers that no mistake has. Methods of this library
    count rightly, whatever their guide; a model's own update, or somebody's own training, need not.
    """
    if scored.apart or isinstance(case.posterior.method, SVI | Laplace | VariationalBayes):
        return None  # what these climb is the bound itself
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
    if name in OTHER and (times < -0.25 or not _once(OTHER[name], q, columns)):
        return None
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
            "unscaled minibatch" if small else "rows counted wrongly",
            "weights",
            f"{shown}, {of}",
            fix,
            **more,
        )
    shown = f"log p - log q follows log |Jacobian| of {name} ({shares[name]:.1%})"
    fix = f"add log |d {name} / d its real coordinate| to log q"
    return fault("dropped Jacobian", "weights", shown, fix, where=name, value=slopes[name], limit=0.0)


def _once(name: str, q: Tensor, columns: dict[str, Tensor]) -> bool:
    """Whether log q, as a mixture of prior and rows, may count the factor ``name`` once."""
    if len(columns.keys() & OTHER) < 2:
        return True
    x = torch.stack([columns[name], columns[OTHER[name]]], 1)
    times = torch.linalg.lstsq(x, q[:, None], driver="gelsd").solution[:, 0]
    error = (torch.linalg.pinv(x.T @ x)[0, 0] * (q - x @ times).square().mean()).sqrt()
    return bool((times[0] - 1).abs() < 0.25 + 5 * error)


def claimed(case: Case, scored: Drawn) -> Iterator[Check]:
    """Is the density that the guide claims that of its draws? Not if it lacks the Jacobian of a map.

    A Normal fitted to the draws in free coordinates, carried back, is nearly their density. Where it differs
    from log q by log |Jacobian| of one latent, that is what log q lacks; the Normal's own error, of means
    known to one in the root of the draws, must be small beside that.
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
        error = 1 / (float(v.std()) * len(v) ** 0.5)
        if abs(slope + 1) < 0.3 and abs(slope) > 4 * error and _share(off, slope * v) > 0.5:
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


class Curved(NamedTuple):
    """What the weights' curvature says of the posterior: a Normal in free coordinates.

    The divergence of the guide from it, in nats, is ``spread``, what covariances cost, plus ``moved``, what
    means cost.
    """

    share: float
    names: list[str]
    ratios: Tensor  # sds of the guide over those of the posterior
    shift: Tensor  # of the posterior's means, in its sds
    apart: Tensor  # correlations of the posterior less those of the guide
    spread: float
    moved: float


def curved(scored: Drawn) -> Curved | None:
    """Fit log p by a quadratic in the free coordinates.

    Where it leaves little of what log weights vary, the posterior is nearly the Normal whose precision is its
    curvature: exact for a Normal posterior, however far the guide is from it.
    """
    u, names = scored.columns()
    d = u.shape[1]
    if scored.apart or not 0 < d <= MOST or len(u) < 3 * (1 + d) * (2 + d) / 2:
        return None
    z = _centred(u) / u.std(0).clamp(min=1e-300)
    pairs = torch.triu_indices(d, d)
    design = torch.cat([torch.ones(len(z), 1, dtype=z.dtype), z, z[:, pairs[0]] * z[:, pairs[1]]], 1)
    w = _centred(scored.log_weights[:, 0])
    log_p = (scored.log_prior + scored.log_likelihood)[:, 0].double()
    log_p = _centred(log_p + sum(v.double() for v in scored.log_jacobian.values()))
    found = torch.linalg.lstsq(design, log_p[:, None], driver="gelsd").solution[:, 0]
    share = 1 - float((log_p - design @ found).square().sum() / w.square().sum().clamp(min=1e-300))
    curvature = torch.zeros(d, d, dtype=z.dtype)
    curvature[pairs[0], pairs[1]] = found[1 + d :]
    curvature = curvature + curvature.T
    correlation = torch.corrcoef(z.T).reshape(d, d)
    values, vectors = torch.linalg.eigh(-curvature)
    if float(values.min()) <= 0:
        return None
    covariance = vectors @ torch.diag(1 / values) @ vectors.T
    sds = covariance.diagonal().sqrt()
    theirs, slope = covariance / sds[:, None] / sds, found[1 : 1 + d]
    off = float((-curvature * correlation).sum() - values.log().sum() - torch.logdet(correlation)) - d
    moved = float(slope @ covariance @ slope) / 2
    return Curved(share, names, 1 / sds, covariance @ slope / sds, theirs - correlation, off / 2, moved)


# Funnels ----------------------------------------------------------------------------------------------------


def funnel(case: Case, open_by: float = 0.3) -> tuple[str, str] | None:
    """A variable of several numbers whose scale is another latent, and of which the data tell little.

    There the two form a funnel (Neal 2003; Betancourt and Girolami 2015); where the data are many, or the
    variable is one number, they do not: its sd is less than ``open_by`` of its prior's. (Of one Normal row,
    known to an sd of s, that is s / (s² + scale²)^(1/2): .3 where the row counts ten times its prior.)
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
                drawn = torch.stack([s.p[child]["value"] for s in case.runs])
                fns = [bare(s.p[child]["fn"]) for s in case.runs]
                scales = torch.stack([fn.scale.expand(drawn.shape[1:]) for fn in fns])
                if float((drawn.std(0) / scales.mean(0)).median()) > open_by:
                    return child, parent
    return None


def non_centre(child: str, parent: str) -> str:
    """What to do about a funnel."""
    return (
        f"non-centre {child}: draw a standard variable of the same shape, and compute {child} as its mean "
        f"plus {parent} times that"
    )


def _centred(values: Tensor) -> Tensor:
    return values.double() - values.double().mean(0)


def _share(whole: Tensor, part: Tensor) -> float:
    """Of the variance of ``whole``, both centred, how much ``part`` explains."""
    return 1 - float((whole - part).square().sum() / whole.square().sum().clamp(min=1e-300))

"""Do the data put parameters where their priors do not expect them?"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.distributions import biject_to

from ppl_gen.core import is_local
from ppl_gen.diagnostics.trust.case import Case
from ppl_gen.diagnostics.trust.checks import Check, fault

FAR = 5.0  # sds
REACH = 3.24  # sds, of the farthest of 1,000 Normal draws
PULL = 1.0  # posterior sds


def prior_checks(case: Case) -> Iterator[Check]:
    """Is the posterior mean of a parameter where its prior, given the others, puts it?

    Over the data that the prior expects, its variance is the prior's less the posterior's (the law of total
    variance): a sharp prior draws the mean near, and what it expects nearer still. Named is what lies out so
    far, beyond all draws of a prior, which may be skewed, and was drawn back by more than a posterior sd: a
    prior that the data overrule does no harm.
    """
    q, worst = case.runs, (0.0, "")
    latents = [n for n, s in q[0].p.items() if n in q[0].q and not is_local(s)]
    if case.posterior.point or not latents or case.posterior.yesterday is not None:
        return
    for name in latents:
        fn = q[0].p[name]["fn"]
        if fn.has_enumerate_support or getattr(fn.support, "is_discrete", False):
            continue
        try:
            to = biject_to(fn.support)
            draws = torch.stack([to.inv(t.p[name]["value"]) for t in q]).double()
            prior = torch.stack([to.inv(t.p[name]["fn"].sample()) for t in q for _ in range(25)]).double()
        except (NotImplementedError, ValueError, RuntimeError):
            continue
        off = draws.mean(0) - prior.mean(0)
        reach = torch.where(off > 0, prior.amax(0) - prior.mean(0), prior.mean(0) - prior.amin(0))
        before, after = prior.var(0).clamp(min=1e-300), draws.var(0).clamp(min=1e-300)
        told = (1 - after / before).clamp(min=0.0)
        error = after / before / len(draws) + 1 / len(prior)
        far = off.abs() / (torch.maximum(before.sqrt(), reach / REACH) * (told + error).sqrt())
        pull = after / before / told.clamp(min=1e-12) * off.abs() / after.sqrt()
        slope = torch.stack([_slope(t.p[name], to) for t in q]).mean(0)
        pull = torch.maximum(pull, after.sqrt() * slope.abs())  # which knows priors that are not Normal
        far = torch.where((off.abs() > reach) & (pull > PULL), far, 0.0)
        if float(far.max()) > worst[0]:
            worst = float(far.max()), name
    far_off, name = worst
    if far_off > FAR:
        yield fault(
            "prior in conflict",
            "priors",
            f"{name} lies {far_off:.1f} sds from where its prior expects the posterior mean, and beyond all "
            "of 1,000 draws of it",
            f"widen the prior of {name} (is its scale an sd, or a variance?), or rescale the data",
            where=name,
            value=far_off,
            limit=FAR,
        )
    else:
        words = "every parameter lies where its prior may put it"
        yield Check("priors", "ok", words, value=far_off, limit=FAR)


def _slope(site: Any, to: Any) -> Tensor:
    """The slope of the prior's log density in free coordinates: times the variance, how far it pulls."""
    with torch.enable_grad():
        u = to.inv(site["value"]).detach().requires_grad_()
        value = to(u)
        total = site["fn"].log_prob(value).sum() + to.log_abs_det_jacobian(u, value).sum()
        return torch.autograd.grad(total, u)[0].double()

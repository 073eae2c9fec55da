"""Checks of priors: what they can draw, the rest of the model can take."""

import re
from collections.abc import Iterator

import torch
from torch import Tensor

from ppl_gen.linting.findings import Finding
from ppl_gen.linting.gradients import LATENTS
from ppl_gen.linting.pair import Pair
from ppl_gen.linting.ranges import draws_of, kind_of
from ppl_gen.linting.recording import Site

TAILS = (0.05, 0.95)  # ordinary draws of a prior, that a fit will meet


def reach(pair: Pair) -> Iterator[Finding]:
    """No ordinary draw of a prior on the real line is an argument that its children refuse."""
    if pair.alone.error is not None and "to satisfy the constraint" not in str(pair.alone.error):
        return
    drawn = [s for s in pair.alone.samples.values() if not (s.observed or s.deterministic or s.discrete)]
    for site in drawn[:LATENTS]:
        draws = draws_of(site)
        if not isinstance(site.value, Tensor) or "real" not in str(site.fn.support).lower() or not draws.ndim:
            continue
        values = draws.detach().quantile(torch.tensor(TAILS, dtype=draws.dtype), 0)
        errors = [_refusal(pair, site, v) for v in values]
        refused = [(v, found) for v, found in zip(values, errors, strict=True) if found]
        if len(refused) != 1:
            continue  # both are refused for another reason
        value, found = refused[0]
        yield Finding(
            "prior-reach",
            f"{site.name!r} has a {kind_of(site)} prior, which draws {float(value.flatten()[0]):.2g} too: no "
            f"{found[1]} of a {found[2]}, and the run stops",
            f"give {site.name!r} a prior on what {found[1]} can be (HalfNormal, LogNormal or Gamma for a "
            f"scale or a rate, Beta for a probability), or pass it through exp, softplus, sigmoid",
            site.name,
            site.place,
        )


def _refusal(pair: Pair, site: Site, value: Tensor) -> re.Match[str] | None:
    """The parameter and the distribution that refuse what follows from the site's value, if one does."""
    run = pair.run("model", {**pair.alone.values, site.name: value.expand_as(site.value)})
    refusal = r"parameter (\w+) .*?of distribution (\w+).*to satisfy the constraint"
    return re.search(refusal, str(run.error), re.S)


CHECKS = (reach,)

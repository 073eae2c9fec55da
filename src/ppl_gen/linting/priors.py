"""Checks of priors: what they can draw, the rest of the model can take; and they do not look at the data."""

import re
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ppl_gen.linting.effects import moved, resampled
from ppl_gen.linting.findings import Finding
from ppl_gen.linting.gradients import LATENTS
from ppl_gen.linting.pair import Pair, shape_of
from ppl_gen.linting.ranges import draws_of, kind_of
from ppl_gen.linting.recording import Site

LAGS = 3  # rows at the start of a series, given and not observed
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


def looks_at_data(pair: Pair) -> Iterator[Finding]:
    """No prior is made from data that are observed after it.

    A prior of latents that belong to rows may depend on rows before, as in a series, and is left in peace.
    """
    if pair.declared or pair.p.error is not None:
        return
    order = list(pair.p.samples)
    for argument, value in pair.tensors.items():
        n = len(value) if value.ndim else 0
        other = resampled(value[LAGS:]) if n > 2 * LAGS else None
        if other is None:
            continue
        stack = torch.cat if isinstance(value, Tensor) else np.concatenate
        after = pair.run("model", pair.p.values, arguments=pair.replaced(value, stack([value[:LAGS], other])))
        if after.error is not None or after.samples.keys() != pair.p.samples.keys():
            continue
        seen = [name for name in order if _observes_other(pair.p.samples[name], after.samples[name])]
        priors = moved(pair.p, after) & pair.latents.keys()
        for name in order[: order.index(seen[0])] if seen else ():
            site = pair.p.samples[name]
            if name not in priors or any(n - LAGS <= size <= n for size in _sizes(site)):
                continue
            yield Finding(
                "prior-looks-at-data",
                f"the prior of {name!r} depends on {argument!r}, which {seen[0]!r} observes: the data count "
                f"twice, and the posterior is too narrow",
                f"write numbers known before the data into the prior; or standardise {argument} once, before "
                f"the model, and give {name!r} a prior on that scale",
                name,
                site.place,
                "warning",
            )


def _observes_other(one: Site, other: Site) -> bool:
    """Whether a site observes other values in another run."""
    a, b = one.value, other.value
    plain = isinstance(a, Tensor) and isinstance(b, Tensor) and one.observed and not one.deterministic
    return plain and not (a.shape == b.shape and torch.allclose(a.double(), b.double(), equal_nan=True))


def _sizes(site: Site) -> set[int]:
    """The sizes of a latent's dimensions, and of the plates around it."""
    return {*shape_of(site.value), *(f.size for f in site.frames), *(f.full_size or 0 for f in site.frames)}


CHECKS = (reach, looks_at_data)

"""Draws of a posterior, each with the log densities of its parameters, of the data and of every row."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pyro
import torch
from pyro.distributions import Delta
from torch import Tensor

from ppl_gen.core import ROWS, is_local, run, variables
from ppl_gen.diagnostics.trees.groups import stack
from ppl_gen.diagnostics.trees.labels import Named
from ppl_gen.errors import DataError
from ppl_gen.inference.elbo import Node, Terms, delta, log_prob, terms
from ppl_gen.inference.observed import Observed, enumerates, pin
from ppl_gen.inputs import Data
from ppl_gen.posterior import Posterior

INNER = 20  # draws that integrate a row's continuous latents out of its log likelihood


class Draw(NamedTuple):
    """One draw of the latents and its scores, in nats."""

    latents: Named
    log_prior: Named  # of each parameter
    log_rows: Named  # of each observed variable, given the latents: (n,)
    log_weights: Tensor | None  # log p(row, its latents) - log q(its latents): (n,)
    log_p: Tensor
    log_q: Tensor


class Scorer:
    """Draws and scores, one draw at a time: no model need be fit for vectorising."""

    def __init__(self, posterior: Posterior, data: Data):
        self.posterior, self.data = posterior, data
        # As for the ELBO: a trained model is the joint, with its learned parameters; an exact update is not.
        self.joint, self.latents = posterior.joint, posterior.latents_of(data)
        self.given = {**data.inputs, "n": data.n}
        self.fixed = {name: v for name, v in data.observed.items() if not data.sites[name].local}
        self.plates: int | None = None

    def draw(self, latents: Callable[..., Any], observed: Named | Mapping[str, Tensor]) -> Draw:
        """Draw the latents and score them and the data."""
        posterior, data = self.posterior, self.data
        args = (self.joint.model, latents, data.values, observed, self.plates, posterior.yesterday)
        t = terms(*args, data.seen)
        self.plates = t.plates
        values = {name: t.q[name]["value"] for name in t.p if name in t.q and not delta(t.p[name])}
        log_prior = {}
        fixed = torch.zeros(())  # the factors of parameters that were passed as data
        for name, site in t.p.items():
            if not is_local(site):
                if enumerates(site):
                    raise DataError(
                        f"{name!r} is a discrete latent that all rows share, and the guide leaves it out: "
                        f"given the others the rows are dependent, and none has a likelihood of its own"
                    )
                if name in values:
                    log_prior[name] = log_prob(site).sum()
                else:
                    fixed = fixed + log_prob(site).sum()
        log_rows, log_weights = self._log_rows(t)
        log_p = fixed + sum(log_prior.values()) + sum(v.sum() for v in log_rows.values())
        log_q = sum((log_prob(site).sum() for site in t.q.values()), torch.zeros(()))
        return Draw(values, log_prior, log_rows, log_weights, log_p, log_q)

    def log_likelihood(self, drawn: list[Draw]) -> tuple[Named, str]:
        """The log likelihood of each row given the parameters alone, (draws, n), and how it was found."""
        data = self.data
        if drawn[0].log_weights is None:
            hidden = [n for n, s in data.sites.items() if s.local and n not in data.observed and s.levels]
            how = f"{', '.join(hidden)} summed out exactly" if hidden else "exact"
            return stack(draw.log_rows for draw in drawn), how
        hidden = [name for name in drawn[0].latents if data.sites[name].local]
        with Observed(data.observed, data.seen, guide=True):
            guided = variables(run(self.latents, data.values)).values()
        if not any(is_local(site) and not isinstance(site["fn"], Delta) for site in guided):
            return {}, f"left out: the guide has no factor of its own for each row's {', '.join(hidden)}"
        shared = [name for name in drawn[0].latents if name not in hidden]
        if shared:  # every draw of the parameters needs draws of its own of the rows' latents
            weights = torch.stack([self._inner({name: d.latents[name] for name in shared}) for d in drawn])
        else:  # all draws will do for all: take them in turn
            each = torch.stack([d.log_weights for d in drawn if d.log_weights is not None])
            turn = torch.arange(len(each))[:, None] + torch.arange(min(INNER, len(each)))
            weights = each[turn % len(each)]
        how = (
            f"{', '.join(hidden)} integrated out by importance sampling: {weights.shape[1]} draws of the "
            f"guide for each row and draw"
        )
        (name,) = drawn[0].log_rows
        return {name: weights.logsumexp(1) - math.log(weights.shape[1])}, how

    def predict(self, latents: Named) -> Named:
        """One run of the joint with the ``latents`` fixed: new rows, and what was not fixed."""
        trace = run(self.joint.model, self.given, {**latents, **self.fixed})
        return {name: site["value"] for name, site in variables(trace).items()}

    def before(self) -> Named:
        """One run of the joint before the data were known: the parameters are yesterday's, if it was."""
        if self.posterior.yesterday is None:
            return self.predict({})
        found = variables(run(self.posterior.yesterday, self.data.values))
        return self.predict(
            {name: found[name]["value"] for name in self.posterior.parameters if name in found}
        )

    def _log_rows(self, t: Terms) -> tuple[Named, Tensor | None]:
        """log p of each row, summed over its discrete latents; one array if the row has any latents."""
        local = {name: site for name, site in t.p.items() if is_local(site) and not delta(site)}
        seen_cells = self.data.seen
        scores = {k: _by_row(log_prob(site, seen_cells.get(k)), site, t.plates) for k, site in local.items()}
        seen = [name for name in local if name in self.data.observed]
        if len(seen) == len(local) and not any("pinned" in site["infer"] for site in local.values()):
            return {name: scores[name].reshape(-1) for name in seen}, None
        total = sum(scores.values(), torch.zeros(()))
        for site in local.values():
            if enumerates(site):
                allowed = pin(site)
                total = total if allowed is None else torch.where(allowed, total, -torch.inf)
                total = total.logsumexp(site["infer"]["_enumerate_dim"], keepdim=True)
        total = total.reshape(-1)
        rows_of_q = [site for site in t.q.values() if is_local(site)]
        guided = [_by_row(log_prob(site), site, t.plates).reshape(-1) for site in rows_of_q]
        return {"_".join(seen): total}, (total - sum(guided) if guided else None)

    def _inner(self, parameters: Named) -> Tensor:
        """Log weights (INNER, n) of draws of the rows' latents, with the parameters fixed."""
        latents = pyro.condition(self.latents, data=parameters)
        known = {**self.data.observed, **parameters}
        weights = [self.draw(latents, known).log_weights for _ in range(INNER)]
        return torch.stack([w for w in weights if w is not None])


def _by_row(value: Tensor, site: Node, plates: int) -> Tensor:
    """Sum over the plates that are not the rows'; all dimensions stay."""
    rows = next(frame.dim for frame in site["cond_indep_stack"] if frame.name == ROWS)
    others = [dim for dim in range(-min(plates, value.dim()), 0) if dim != rows]
    return value.sum(others, keepdim=True) if others else value

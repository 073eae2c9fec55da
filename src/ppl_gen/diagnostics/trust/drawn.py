"""Draws of a posterior with log p and log q in parts: what a diagnosis of the guide looks at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import biject_to, constraints

from ppl_gen.core import is_local
from ppl_gen.inference.elbo import bound, log_prob, recorded, row_weights, sum_cells, terms
from ppl_gen.inference.sources import Arrays
from ppl_gen.inference.stored import stored
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior


@dataclass(frozen=True, eq=False)
class Drawn:
    """Draws of the guide, scored; all in nats, (draws, n) where rows have latents alone, else (draws, 1).

    Attributes:
        log_prior: of the latents that the guide drew. log_likelihood: of the data given them, what is
            finite summed out. log_q: of the latents under the guide.
        latents: those that rows share, in their own support, and free: the same in the real numbers, one
            column for each, both name -> (draws, …).
        log_jacobian: name -> log |d latent / d free| (draws,), of latents whose support is bounded.
        local: name -> (draws, n, …), latents of the rows.
        positive: names of shared latents whose support is the positive numbers.
    """

    log_prior: Tensor
    log_likelihood: Tensor
    log_q: Tensor
    latents: Mapping[str, Tensor]
    free: Mapping[str, Tensor]
    log_jacobian: Mapping[str, Tensor]
    local: Mapping[str, Tensor]
    positive: tuple[str, ...] = ()

    @property
    def log_weights(self) -> Tensor:
        """log p(data, latents) - log q(latents)."""
        return self.log_prior + self.log_likelihood - self.log_q

    @property
    def apart(self) -> bool:
        """Whether every row has weights of its own."""
        return not self.latents and bool(self.local)

    def columns(self) -> tuple[Tensor, list[str]]:
        """All latents that are one vector of real numbers (draws, d), and what each column is called."""
        sizes = {name: v.shape[1] for name, v in self.free.items()}
        names = [name if size == 1 else f"{name}[{i}]" for name, size in sizes.items() for i in range(size)]
        return torch.cat([torch.zeros(len(self.log_q), 0), *self.free.values()], 1).double(), names


def rows_of(posterior: Posterior, data: Mapping[str, Any]) -> Data:
    """The rows given, or those of the last fit."""
    return admit(posterior.model, data, missing=True, like=posterior) if data else posterior.fitted_data()


def fitted_rows(posterior: Posterior, data: Mapping[str, Any]) -> bool:
    """Whether these are the rows of the last fit, by fingerprint; that of large arrays is taken in parts."""
    if not data:
        return True

    def door(values: Mapping[str, Any], sites: Any = None) -> Data:
        return admit(posterior.model, values, missing=True, found=sites, like=posterior)

    last = posterior.fingerprints[-1:]
    return door(data).fingerprint() in last or stored(Arrays(data), door).fingerprint() in last


def drawn(posterior: Posterior, draws: int, seed: int, data: Mapping[str, Any]) -> Drawn:
    """The draws of ``posterior.weighted(draws, seed, **data)``, and their log densities in parts.

    Raises:
        NoEvidence: draws or a point have no density.
    """
    posterior.weighted(1, seed, **data)  # refuses what has no density
    prior, likelihood, q, kept = [], [], [], []
    with isolated(seed):
        values = rows_of(posterior, data)
        guide, model = posterior.latents_of(values), posterior.joint.model
        fixed = {"prior": posterior.yesterday, "seen": values.seen}
        first = terms(model, guide, values.values, values.observed, **fixed)
        apart = all(is_local(site) for site in (*first.p.values(), *first.q.values()))
        for _ in range(draws):
            t = terms(model, recorded(guide), values.values, values.observed, first.plates, **fixed)
            latents = [name for name in t.p if name in t.q]
            if apart:
                total = row_weights(t, values.seen).reshape(-1)
                p = sum((sum_cells(t.p[name]).reshape(-1) for name in latents), torch.zeros_like(total))
                log_q = sum((sum_cells(s).reshape(-1) for s in t.q.values()), torch.zeros_like(total))
            else:
                total = bound(t, 1.0, values.seen)[None]
                p = sum((log_prob(t.p[name]).sum()[None] for name in latents), torch.zeros_like(total))
                log_q = sum((log_prob(site).sum()[None] for site in t.q.values()), torch.zeros_like(total))
            prior.append(p)
            likelihood.append(total - p + log_q)
            q.append(log_q)
            kept.append({name: t.p[name]["value"] for name in latents})
        supports = {name: t.p[name]["fn"].support for name in latents}
    shared = {name: torch.stack([k[name] for k in kept]) for name in latents if not is_local(t.p[name])}
    local = {name: torch.stack([k[name] for k in kept]) for name in latents if is_local(t.p[name])}
    free, jacobian = {}, {}
    for name, value in (shared if apart else {**shared, **local}).items():
        if getattr(supports[name], "is_discrete", True):
            continue
        try:
            to = biject_to(supports[name])
            with torch.no_grad():
                u = to.inv(value)
                log_det = to.log_abs_det_jacobian(u, value)
        except (
            NotImplementedError,
            ValueError,
            RuntimeError,
        ):  # no such map is known, or a draw lies outside
            continue
        free[name] = u.reshape(draws, -1)
        log_det = log_det.expand(draws, *log_det.shape[1:]).reshape(draws, -1).sum(1)
        if float(log_det.std()) > 0:
            jacobian[name] = log_det
    parts = torch.stack(prior), torch.stack(likelihood), torch.stack(q)
    positive = tuple(n for n in shared if is_positive(supports[n]) and bool((shared[n] > 0).all()))
    return Drawn(*parts, shared, free, jacobian, local, positive)


def is_positive(support: Any) -> bool:
    """Whether a support is the positive numbers."""
    inner = getattr(support, "base_constraint", support)
    return inner in (constraints.positive, constraints.nonnegative)

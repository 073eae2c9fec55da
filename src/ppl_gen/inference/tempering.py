"""Other weights on the KL terms of rows: beta-VAE, annealing, free bits. What they climb is no bound."""

import torch
from torch import Tensor

from ppl_gen.core import is_local
from ppl_gen.inference.elbo import Node, Terms, average, log_prob


def tempering(t: Terms, beta: float, free_bits: float, scale: float) -> Tensor:
    """What is added to one draw's ELBO so that a row's KL terms count otherwise, in nats.

    The ELBO of a row is E log p(x | z) - KL. With it the KL counts ``beta`` times (Higgins et al. 2017), and
    what a dimension has of it below ``free_bits`` nats, on average over the rows, costs what ``free_bits``
    do (Kingma et al. 2016). The KL is the one of this draw, so that it leaves no noise of its own behind.
    """
    divergence = kl_of_rows(t)
    rows = divergence.shape[-1]
    divergence = divergence.sum(-1)
    charged = divergence.clamp(min=rows * free_bits) if free_bits else divergence
    return scale * (divergence - beta * charged).sum()


def kl_of_rows(t: Terms) -> Tensor:
    """log q - log p of the latents of each row, one draw's: (dimensions, rows).

    A variable that q and p draw cell by cell has a dimension for each cell, any other has one.
    """
    parts = []
    for name, site in t.q.items():
        if is_local(site) and name in t.p:
            q, p = _cells(site), _cells(t.p[name])
            if q is None or p is None:
                q, p = log_prob(site)[None], log_prob(t.p[name])[None]
                if "pinned" in site["infer"]:  # where it was seen, q has no factor and p's is no divergence
                    p = torch.where(site["infer"]["pinned"][1], 0.0, p)
            parts.append(average(q - p, t.q).flatten(1))
    return torch.cat(parts) if parts else torch.zeros(1, 1)


def _cells(site: Node) -> Tensor | None:
    """The log density of each cell, (cells, …, rows); None where they depend on one another."""
    fn = site["fn"]
    if not isinstance(fn, torch.distributions.Independent) or fn.reinterpreted_batch_ndims != 1:
        return None
    if fn.base_dist.event_shape:
        return None
    cells: Tensor = fn.base_dist.log_prob(site["value"])
    return cells.movedim(-1, 0)

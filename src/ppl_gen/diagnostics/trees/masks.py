"""Which cells of an observed variable count: those that no mask hides."""

from typing import Any

import torch
from pyro.distributions.torch_distribution import MaskedDistribution
from torch import Tensor

from ppl_gen.inference.elbo import Node


def kept(site: Node) -> Tensor | None:
    """True where a cell counts, in the shape of the variable; None where all do.

    A mask is that of `poutine.mask`, or of ``.mask(…)`` on the density, below or above ``.to_event``.
    """
    fn, mask = site["fn"], site["mask"]
    shape = torch.broadcast_shapes(site["value"].shape, fn.batch_shape + fn.event_shape)
    masks = [(mask, len(fn.event_shape))]
    while hasattr(fn, "base_dist") and isinstance(fn, torch.distributions.Independent | MaskedDistribution):
        if isinstance(fn, MaskedDistribution):
            masks.append((fn._mask, len(fn.event_shape)))
        fn = fn.base_dist
    found = torch.ones(shape, dtype=torch.bool)
    for each, events in masks:
        if each is not None:
            cells = torch.as_tensor(each)
            found = found & cells.reshape(cells.shape + (1,) * events)
    return None if bool(found.all()) else found


def one_cell(fn: Any) -> Any:
    """The distribution of one cell, below every ``.to_event`` and ``.mask``."""
    while isinstance(fn, torch.distributions.Independent | MaskedDistribution):
        fn = fn.base_dist
    return fn

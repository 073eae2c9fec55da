"""Attach data to a program; a class that some rows lack stays open there, and is fixed where it was seen."""

from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ppl_gen.core import Values


class Observed(Messenger):
    """Condition on data as ``pyro.condition`` does, with missing cells (NaN) of finite variables left open.

    A finite variable of a row (y, a class) with missing cells is enumerated or drawn as if nobody had seen
    it, and pinned to its value in the rows that have one: draws are overwritten, and of enumerated values
    `pin` leaves the seen one. Missing cells of other variables are summed out by their own density.

    Args:
        values: of the observed variables. seen: name -> where it is there, for those with missing cells.
        guide: whether the program is a guide, for which what is seen is no random choice: it has no factor.
    """

    def __init__(self, values: Values, seen: Values | None = None, *, guide: bool = False):
        super().__init__()
        self.values, self.seen, self.guide = values, seen or {}, guide

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        name = msg["name"]
        if name not in self.values:
            return
        if name in self.seen and finite(msg["fn"]):
            msg["infer"] = {**msg["infer"], "pinned": (self.values[name], self.seen[name])}
            if self.guide:
                open_ = ~self.seen[name]
                msg["mask"] = open_ if msg["mask"] is None else open_ & msg["mask"]
        elif self.guide:  # a value, and no random choice; a replay of this trace then finds it
            msg["value"], msg["done"] = self.values[name], True
        else:
            msg["value"], msg["is_observed"] = self.values[name], True

    def _pyro_post_sample(self, msg: dict[str, Any]) -> None:
        if msg["name"] in self.values and "pinned" in msg["infer"] and not enumerates(msg):
            value, seen = msg["infer"]["pinned"]
            msg["value"] = torch.where(seen, value, msg["value"])


def finite(fn: Any) -> bool:
    """Whether one finite value is drawn for each row, so that it can be enumerated."""
    return bool(fn.has_enumerate_support) and fn.event_dim == 0


def enumerates(site: Any) -> bool:
    """Whether the site was enumerated, in the batch dimension ``site["infer"]["_enumerate_dim"]``."""
    return site["infer"].get("_enumerate_dim") is not None


def pin(site: Any) -> Tensor | None:
    """Whether each enumerated value of the site may be its row's: all of an open row, one of a seen row."""
    if "pinned" not in site["infer"] or not enumerates(site):
        return None
    value, seen = site["infer"]["pinned"]
    allowed: Tensor = ~seen | (site["value"] == value)
    return allowed

"""Whether a program keeps apart the values of a finite variable, which it gets all at once.

All values of a variable that is summed out come along a batch dimension of their own, left of the plates.
A program that flattens it (``z.reshape(-1)``, ``int(k) for k in z``) stops, or takes values for rows.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NoReturn

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import BrokenModel
from ppl_gen.notation import Factorization, read_potentials
from ppl_gen.places import Place, here, of_error

Nodes = Mapping[str, Mapping[str, Any]]
MEND = "index with the variable, as in mu[z]; do not reshape it, loop over it or call .item() on it"


@cache
def parents_of(joint: str, potentials: str = "") -> dict[str, frozenset[str]]:
    """What each variable, and each potential, looks at."""
    return Factorization(joint) | read_potentials(potentials)


def lost(
    nodes: Nodes, parents: Mapping[str, frozenset[str]], dims: Mapping[str, tuple[int, int]]
) -> tuple[str, str] | None:
    """A variable whose density lacks the dimension of a parent that is enumerated, and that parent.

    Args:
        dims: of what is enumerated, the batch dimension, counted from the right, and how many values.
    """
    for child, node in nodes.items():
        for name in parents.get(child, frozenset()) & dims.keys():
            dim, levels = dims[name]
            shape = node["fn"].batch_shape
            if levels > 1 and (len(shape) < -dim or shape[dim] != levels):
                return child, name
    return None


def refuse_lost(
    p: ProbabilisticModel,
    run: Callable[[Mapping[str, Tensor]], Nodes],
    nodes: Nodes,
    parents: Mapping[str, frozenset[str]],
    dims: Mapping[str, tuple[int, int]],
) -> None:
    """Refuse an enumerated run in which a variable did not see all values of its parent.

    One that does not look at the parent at all, against its line, has a right density all the same: values
    tried one by one, by ``run`` with them fixed, tell the two apart.

    Raises:
        BrokenModel: names both, and the line.
    """
    found = lost(nodes, parents, dims)
    if found is None:
        return
    child, name = found
    with _Where() as where:
        shape = run({})[name]["value"]
    state, each = torch.get_rng_state(), []
    for value in nodes[name]["value"].flatten()[:8]:
        torch.set_rng_state(state)
        site = run({name: torch.full_like(shape, value.item())})[child]
        each.append((site["value"], site["fn"].log_prob(site["value"])))
    first = each[0]
    if any(not torch.allclose(a, b, equal_nan=True) for one in each for a, b in zip(one, first, strict=True)):
        _refuse(p, repr(name), f"it takes them for rows where it draws {child!r}", where.places.get(child))


def refuse_stopped(
    p: ProbabilisticModel, names: list[str], run: Callable[[], object], error: Exception
) -> None:
    """Refuse a program that an ``error`` stopped if only enumeration makes it stop: ``run`` without any.

    Raises:
        BrokenModel: as `refuse_lost`. Nothing is raised if the program stops without enumeration as well.
    """
    try:
        run()
    except Exception:
        return
    said = f"it stops ({type(error).__name__}: {(str(error).strip() or '?').splitlines()[0]})"
    _refuse(p, " and ".join(map(repr, names)), said, of_error(error), error)


def _refuse(
    p: ProbabilisticModel, name: str, what: str, place: Place | None, cause: Exception | None = None
) -> NoReturn:
    where = f"\n    where   {place.quoted}" if place else ""
    raise BrokenModel(
        f"{type(p).__name__}: model() cannot take all values of {name} at once, to sum them out: {what}"
        f"\n    breaks  {p.joint}{where}\n    mend    {MEND}"
    ) from cause


class _Where(Messenger):
    """Write down where a program draws what."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, Place | None] = {}

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        self.places.setdefault(msg["name"], here())

"""The rule about finite variables: all values at once, as they are summed out, give what each gives."""

import itertools
import math

import torch
from torch import Tensor

from ppl_gen.core import ROWS, is_local
from ppl_gen.errors import BrokenModel
from ppl_gen.inference.enumerated import MEND
from ppl_gen.testing.case import Case
from ppl_gen.testing.dependencies import moved, with_rows
from ppl_gen.testing.words import first_line

VALUES, COMBINATIONS = 8, 64  # of one variable, and of several, that are tried


def values_apart(c: Case) -> None:
    """All values of a finite variable at once give what trying them one by one gives.

    One variable after the other, to name it; then all of them, each in a dimension of its own.
    """
    names = [name for name in c.joint if _summed(c, name)]
    groups = [(name,) for name in names] + [tuple(names)] * (len(names) > 1)
    for group in groups:
        found = [c.sites[name]["fn"].enumerate_support(expand=False).flatten() for name in group]
        few = [values[: max(2, VALUES // len(group))] for values in found]
        if math.prod(map(len, few)) <= COMBINATIONS:
            _compare(c, group, few)


def _summed(c: Case, name: str) -> bool:
    """Whether a verb may sum the variable out, and others depend on it."""
    site = c.sites[name]
    looked_at = frozenset().union(*c.joint.values(), *c.potentials.values())
    inner = any(f.vectorized and f.name != ROWS for f in site["cond_indep_stack"])
    one_of_few = site["fn"].has_enumerate_support and not site["fn"].event_dim and not inner
    return one_of_few and name in looked_at and (is_local(site) or name not in c.q)


def _compare(c: Case, group: tuple[str, ...], values: list[Tensor]) -> None:
    shown = " and ".join(map(repr, group))
    plates = max(
        (-f.dim for site in c.sites.values() for f in site["cond_indep_stack"] if f.vectorized), default=1
    )
    dims = [-1 - plates - place for place in range(len(group))]
    alike = c.values["n"] in map(len, values)  # as many rows as values: one could pass for the other
    index = torch.arange(c.values["n"] - alike)
    given, drawn = c.rows(index, c.values), c.rows(index, c.drawn)
    p = moved(with_rows(c))
    grid = {
        name: few.reshape(-1, *[1] * (-1 - dim)) for name, few, dim in zip(group, values, dims, strict=True)
    }
    mend = MEND
    if not all(is_local(c.sites[name]) for name in group):
        mend += f"; or let the guide draw it, with a factor q({group[0]})"
    try:
        together = c.scores("model", drawn | grid, given, p=p, soft=True)
    except BrokenModel as error:
        if (cause := error.__cause__) is None:
            raise
        c.refuse(
            f"model() cannot take all values of {shown} at once, as summing out does: it stops "
            f"({type(cause).__name__}: {first_line(cause)})",
            mend,
            variable=group[0],
            cause=cause,
        )
    for place in itertools.product(*(range(len(few)) for few in values)):
        alone = {
            name: torch.full_like(drawn[name], few[k].item())
            for name, few, k in zip(group, values, place, strict=True)
        }
        apart = c.scores("model", drawn | alone, given, p=p, soft=True)
        for name, expected in apart.items():
            if not _agree(expected, _at(together[name], dims, place)):
                c.refuse(
                    f"model() cannot take all values of {shown} at once, as summing out does: the density "
                    f"of {name!r} is then another than with "
                    f"{', '.join(f'{k} = {float(v.flatten()[0]):g}' for k, v in alone.items())} alone",
                    mend,
                    variable=name,
                )


def _at(score: Tensor, dims: list[int], place: tuple[int, ...]) -> Tensor:
    for dim, k in sorted(zip(dims, place, strict=True)):  # the leftmost first: the others keep their places
        if score.dim() >= -dim:
            score = score.select(dim, k if score.shape[dim] > 1 else 0)
    return score


def _agree(expected: Tensor, found: Tensor) -> bool:
    cells = expected.numel()
    try:
        expected, found = torch.broadcast_tensors(expected, found.to(expected.dtype))
    except RuntimeError:
        return False
    return cells == expected.numel() and torch.allclose(expected, found, rtol=1e-3, atol=1e-4, equal_nan=True)

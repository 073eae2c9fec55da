"""Whether a variable's values lie in its support, and what is said if they do not."""

from typing import Any

import torch
from torch import Tensor

from ppl_gen.arrays import all_finite, refuse_extremes, refuse_nonfinite
from ppl_gen.core import ProbabilisticModel, Site
from ppl_gen.errors import DataError


def fit_to_site(
    p: ProbabilisticModel, name: str, value: Tensor, site: Site, n: int, floats: torch.dtype, missing: bool,
    came: tuple[int, ...], same: str,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """A variable's values in the shape, type and support of its ``site``, and the mask of what is there.

    Args:
        value: as it was read. n: rows. floats: the model's type. missing: whether NaN is a missing cell.
        came: the shape for messages. same: what has as many rows, in words.

    Raises:
        DataError: of another shape, a cell missing that may not be, or a value outside the support.
    """
    expected = (n, *site.event_shape) if site.local else tuple(site.event_shape)
    if site.local and value.dim() > 1 and value.shape[1:] == (1,) and not site.event_dim:
        value = value[:, 0]  # a column of a table
    if tuple(value.shape) != expected:
        first = same if value.shape[1:] == expected[1:] else "rows first"
        first = f" ({first})" if site.local else ""
        raise DataError(f"{name}: expected shape {expected}{first}, got {came}")
    mask, finite = None, all_finite(value)
    blank = None if finite else torch.isnan(value)
    if blank is not None and bool(blank.any()):
        if not missing:
            row = torch.nonzero(blank)[0].tolist()
            raise DataError(
                f"{name}: expected no missing cells, got NaN at {row}: drop such rows, or fill them in"
            )
        mask = ~blank
    if not finite:
        refuse_nonfinite(name, value if mask is None else torch.where(mask, value, 0))
    if site.support is not None and getattr(site.support, "is_discrete", False):
        legal = value if mask is None else torch.where(mask, value, 0)
        if legal.is_floating_point() and bool((legal != legal.round()).any()):
            place = torch.nonzero(legal != legal.round())[0].tolist()
            raise DataError(
                f"{name}: expected {_support(site)}, got {legal[tuple(place)].item():g} "
                f"at {place}{_hint(p, name)}"
            )
        if site.event_dim == 0 and mask is None:
            value = value.to(floats if site.values is None else site.values.dtype)
        else:
            value = value.to(floats)
    elif not value.is_floating_point():
        value = value.to(floats)
    filled = value if mask is None else torch.where(mask, value, _legal(site, value))
    if site.local:
        refuse_extremes(name, filled)
    if mask is not None and site.values is not None:  # codes index, also where some are missing
        filled = filled.to(site.values.dtype)
    checked = site.support is not None and filled.numel()  # no rows: torch cannot check nothing
    if checked and not _surely_inside(site.support, filled):
        good = site.support.check(filled)
    else:
        good = torch.ones(())
    if not bool(good.all()):
        row = torch.nonzero(~good)[0].tolist()
        cells, base = filled[tuple(row)], _base(site.support)
        if hasattr(base, "of_column"):
            column = int(torch.nonzero(~base.check(cells))[0])
            names = getattr(getattr(p, "columns", None), "names", ()) or range(len(cells))
            raise DataError(
                f"{name}: expected {_words(base.of_column(column))} in the column {names[column]!r}, got "
                f"{cells[column].item():g} at {[*row, column]}"
            )
        raise DataError(
            f"{name}: expected {_support(site)}, got {_culprit(site, cells)}"
            f"{f' at {row}' if row else ''}{_hint(p, name)}"
        )
    return filled, mask


def _surely_inside(support: Any, value: Tensor) -> bool:
    """Whether finite values lie in the support, where extremes or less tell; False proves nothing."""
    base = _base(support)
    if isinstance(base, torch.distributions.constraints.integer_interval) and not value.is_floating_point():
        low, high = value.aminmax()
        return bool((low >= base.lower_bound).all() and (high <= base.upper_bound).all())
    return base == torch.distributions.constraints.real


def _legal(site: Site, value: Tensor) -> Tensor:
    for candidate in (0.0, 1.0, 0.5):
        trial = torch.full(site.event_shape, candidate, dtype=value.dtype)
        if bool(torch.as_tensor(site.support.check(trial)).all()):
            return torch.tensor(candidate, dtype=value.dtype)
    raise DataError("missing cells cannot be summed out here: no legal value to stand in for them")


def _base(support: Any) -> Any:
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return support


def _support(site: Site) -> str:
    return f"class codes 0 to {site.levels - 1}" if site.levels else _words(_base(site.support))


def _words(base: Any) -> str:
    if hasattr(base, "lower_bound") and hasattr(base, "upper_bound"):
        low, high = (float(torch.as_tensor(b).max()) for b in (base.lower_bound, base.upper_bound))
        return f"{'whole ' if base.is_discrete else ''}numbers from {low:g} to {high:g}"
    if hasattr(base, "lower_bound"):
        low = float(torch.as_tensor(base.lower_bound).max())
        return f"{'whole ' if base.is_discrete else ''}numbers from {low:g} up"
    words = {
        "Boolean": "zeros and ones",
        "Real": "finite real numbers",
        "_Boolean": "zeros and ones",
        "_Real": "finite real numbers",
        "_Simplex": "probabilities that sum to 1",
    }
    return words.get(type(base).__name__, str(base))


def _culprit(site: Site, cells: Tensor) -> str:
    if cells.dim() == 0:
        return f"{cells.item():g}"
    bad = cells[~torch.as_tensor(_base(site.support).check(cells))]
    return (
        f"{bad.flatten()[0].item():g}" if bad.dim() and bad.numel() < cells.numel() else f"{cells.tolist()}"
    )


def _hint(p: ProbabilisticModel, name: str) -> str:
    hint = getattr(p, "hint", lambda _: "")(name)
    return f". {hint}" if hint else ""

"""What figures take from trees of `to_arviz`: known by their looks, since nothing here imports xarray."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl_gen.errors import DataError
from ppl_gen.plot.shared import Array


def is_tree(value: Any) -> bool:
    """Whether this is an `xarray.DataTree`."""
    return isinstance(getattr(value, "children", None), Mapping)


def group_of(tree: Any, name: str, advice: str = "") -> Any:
    """A group of the tree.

    Raises:
        DataError: it has none of that name, and what writes it.
    """
    if name not in tree.children:
        there = ", ".join(tree.children) or "no group"
        advice = advice or f"to_arviz(posterior) writes it, unless groups=… leaves {name} out"
        raise DataError(f"tree: expected the group {name}, got {there}: {advice}")
    return tree[name]


def variable_of(group: Any, var_name: str | None, kind: str = "a variable", dim: str = "") -> tuple[str, Any]:
    """The name and the values of the variable named, or of the only one that has these dimensions.

    Raises:
        DataError: there is none of that name; or of several none is named.
    """
    found = {str(name): values for name, values in group.data_vars.items()}
    suits = {name: values for name, values in found.items() if dim in values.dims} if dim else found
    if var_name is None and len(suits) == 1:
        return next(iter(suits.items()))
    if var_name not in found:
        raise DataError(
            f"var_name: expected {kind} of the tree's {group.name}, one of {', '.join(suits) or 'none'}; got "
            f"{var_name!r}"
        )
    return var_name, found[var_name]


def drawn(values: Any) -> Array:
    """Draws of all chains, one after the other: (draws, …)."""
    array = np.asarray(values.transpose("chain", "draw", ...).values)
    return array.reshape(-1, *array.shape[2:])

"""Users' values become `Data`: names, containers and classes first, then inputs, then what is generated."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppl_gen import class_names
from ppl_gen.arrays import as_tensor, refuse_codes, refuse_extremes, refuse_nonfinite
from ppl_gen.checks import did_you_mean
from ppl_gen.core import ProbabilisticModel, Site, dtype_of
from ppl_gen.errors import BrokenModel, DataError, NotGenerated, UnknownVariable
from ppl_gen.frames import in_order, is_frame, names_in, refuse_other_rows
from ppl_gen.inputs.data import Data
from ppl_gen.inputs.describing import described, misshapen
from ppl_gen.inputs.supports import fit_to_site
from ppl_gen.notation import Factorization

NAMELESS = SimpleNamespace(columns={}, classes={})  # for ``like``: no fit has told of any name


def admit(
    p: ProbabilisticModel,
    values: Mapping[str, Any],
    *,
    missing: bool = False,
    found: Mapping[str, Site] | None = None,
    example: Mapping[str, Tensor] | None = None,
    like: Any = None,
    learn: bool = False,
    examined: bool = False,
) -> Data:
    """Turn users' values into `Data` for the model ``p``.

    NumPy arrays of any order and byte order, frames and series of pandas and polars, torch tensors of any
    device, SciPy's sparse matrices and lists are welcome. Floats become the model's floating-point type.
    Classes may come by name (texts, dates, categories); numbers are codes. The columns of a frame are
    matched with those of the fit by name, where both have names.

    Args:
        p: the model.
        values: the user's keywords; generated variables and inputs.
        missing: whether NaN stands for "not observed"; otherwise it is refused.
        found: the model's sites if known; inputs may then be left out.
        example: rows of the inputs. With it one row, by itself or not, goes with every row of the others.
        like: what knows the ``columns`` and ``classes`` of the fit, such as a posterior.
        learn: whether classes that are new to it get the codes that are free; without ``like`` they do.
        examined: whether the model's own mistakes are looked for, and none of them is refused here.

    Raises:
        UnknownVariable, DataError: name the argument, what was expected and what came.
        BrokenModel: the model observes a variable by itself.
    """
    line, floats = Factorization(p.joint), dtype_of(p)
    _refuse_strangers(p, line, values)
    values, columns = _in_order(values, like)
    names = _ClassNames(values, like, learn, floats)
    tensors = {
        name: names.decoded(name, p.given_levels(name)) if name in names.cells else as_tensor(name, v, floats)
        for name, v in values.items()
        if name not in names.cells or name in line.given
    }
    inputs = _inputs(p, {name: v for name, v in tensors.items() if name in line.given})
    if found is None:
        _refuse_absent(p, line, inputs)
    for name in (example or {}).keys() & inputs.keys():
        inputs[name] = _rows(name, inputs[name], (example or {})[name])
    n = max((len(v) for v in inputs.values() if v.dim()), default=0)
    if found is None:
        found = described(p, inputs, n)
    if not examined:
        _refuse_observed(p, line, found)
    tensors |= {name: names.decoded(name, found[name].levels) for name in names.cells if name not in inputs}
    observed = {name: _local(name, tensors[name], found[name]) for name in values if name not in line.given}
    rows = inputs | {name: value for name, value in observed.items() if found[name].local}
    n = max((len(v) for v in rows.values() if v.dim()), default=0)
    same = f"{n} rows, as in {', '.join(name for name, v in rows.items() if v.dim() and len(v) == n)}"
    if example is not None:
        one = {name: v.expand(n, *v.shape[1:]) for name, v in rows.items() if len(v) == 1 < n}
        inputs, observed = (
            {name: one.get(name, v) for name, v in part.items()} for part in (inputs, observed)
        )
    seen: dict[str, Tensor] = {}
    for name, value in observed.items():
        came = tuple(tensors[name].shape)
        observed[name], mask = fit_to_site(p, name, value, found[name], n, floats, missing, came, same)
        if mask is not None:
            seen[name] = mask
    for name, value in inputs.items():
        if value.dim() == 0 or len(value) != n:
            raise DataError(f"{name}: expected {same}, got shape {tuple(tensors[name].shape)}")
    told = like.columns if like else {}
    columns = {k: v for k, v in columns.items() if k not in values or tensors[k].dim() > 1 or k in told}
    return Data(inputs, observed, n, found, seen, p.reads_gaps, columns, names.classes)


def _in_order(values: Mapping[str, Any], like: Any) -> tuple[Mapping[str, Any], dict[str, tuple[str, ...]]]:
    """Frames with their columns in the order of the fit, and what these are called."""
    columns = {name: names_in(name, value) for name, value in values.items() if is_frame(value)}
    if like:
        values = {
            name: in_order(name, v, like.columns[name]) if name in columns and name in like.columns else v
            for name, v in values.items()
        }
        columns |= like.columns
    refuse_other_rows(values)
    return values, columns


def _rows(name: str, value: Tensor, example: Tensor) -> Tensor:
    """An input of rows like the ``example``'s, also if one came by itself."""
    rows = value[None] if value.dim() == example.dim() - 1 else value
    if rows.dim() != example.dim() or rows.shape[1:] != example.shape[1:]:
        raise DataError(misshapen(name, example.shape[1:], value))
    return rows


def _local(name: str, value: Tensor, site: Site) -> Tensor:
    """A variable's values, of a variable of the rows with a dimension for them."""
    if not site.local:
        return value
    if value.dim() == site.event_dim:
        value = value[None]
    if not value.dim():
        raise DataError(f"{name}: expected rows of shape {tuple(site.event_shape)}, got one number")
    return value


class _ClassNames:
    """Classes that came by name, on their way to codes 0, 1, …

    Attributes:
        cells: the cells of each variable whose values are names.
        classes: what the codes of a variable stand for, as far as is known.
    """

    def __init__(self, values: Mapping[str, Any], like: Any, learn: bool, floats: torch.dtype):
        self.values, self.like, self.learn, self.floats = values, like, learn, floats
        self.classes: dict[str, tuple[str, ...]] = dict(like.classes) if like else {}
        self.cells = {
            name: cells for name, v in values.items() if (cells := class_names.named_cells(v)) is not None
        }

    def decoded(self, name: str, levels: int) -> Tensor:
        """The codes of a variable of so many ``levels``; names where numbers belong are refused."""
        value = self.values[name]
        if not levels:
            return as_tensor(name, value, self.floats)  # which refuses it
        known = self.classes.get(name, None if self.like else ())
        codes, self.classes[name] = class_names.encoded(
            name,
            self.cells[name],
            class_names.declared(value),
            levels,
            known,
            known is not None and (self.learn or not self.like),
        )
        found = as_tensor(name, codes if np.isnan(codes).any() else codes.astype(np.int64), self.floats)
        return found if np.ndim(value) else found[0]


def _refuse_strangers(p: ProbabilisticModel, line: Factorization, values: Mapping[str, Any]) -> None:
    """Values have names of the joint."""
    for name in values:
        if name not in line.keys() | line.given:
            raise UnknownVariable(
                f"{name!r} is not a variable of {type(p).__name__}: {p.joint}. "
                f"Its variables are {', '.join([*line, *sorted(line.given)])}."
                f"{did_you_mean(name, [*line, *line.given])}"
            )


def _refuse_absent(p: ProbabilisticModel, line: Factorization, inputs: Mapping[str, Tensor]) -> None:
    """What the joint is given is there."""
    if absent := sorted(line.given - inputs.keys()):
        raise NotGenerated(
            f"{type(p).__name__} is {p.joint}: {', '.join(map(repr, absent))} is given, not generated, "
            f"so it must be passed: {absent[0]}=…"
        )


def _inputs(p: ProbabilisticModel, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the joint is given: complete, codes within their levels, numbers in the model's type."""
    for name, value in inputs.items():
        refuse_nonfinite(name, value, " (an input of a discriminative model: fill missing cells first)")
        if levels := p.given_levels(name):
            refuse_codes(name, value, levels)
        elif not value.is_floating_point():
            if p.given_shape(name) is not None:  # else it may be an index, as of the group of a row
                inputs[name] = value.to(dtype_of(p))
        else:
            refuse_extremes(name, value)
    return inputs


def _refuse_observed(p: ProbabilisticModel, line: Factorization, found: Mapping[str, Site]) -> None:
    """Data come from outside, never from model() itself."""
    held = next((name for name in line if name in found and found[name].observed), None)
    if held:
        raise BrokenModel(
            f"{type(p).__name__}.model() observes {held!r} by itself (obs=…), so that it can neither be "
            f"fitted to other data nor drawn from: leave out obs=; data come from outside, as in "
            f"fit(model, {held}=…)"
        )

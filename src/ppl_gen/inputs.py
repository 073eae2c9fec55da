"""The door: all data enter here, become tensors of the model's type, and are checked against the joint."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyro
import torch
from torch import Tensor

from ppl_gen import class_names
from ppl_gen.arrays import all_finite, as_tensor, refuse_codes, refuse_extremes, refuse_nonfinite
from ppl_gen.checks import did_you_mean
from ppl_gen.core import ProbabilisticModel, Site, dtype_of, sites
from ppl_gen.errors import BrokenModel, DataError, NotGenerated, PplGenError, UnknownVariable
from ppl_gen.frames import in_order, is_frame, names_in, refuse_other_rows
from ppl_gen.notation import Factorization
from ppl_gen.unscored import up_to_a_constant

NAMELESS = SimpleNamespace(columns={}, classes={})  # for ``like``: no fit has told of any name
_HASHED_WHOLE = 1 << 22  # bytes; larger tensors are fingerprinted by the sums of their blocks
_BLOCK = (257, 509)  # whole numbers of 64 bits, 1 MB; primes, with which no table's rows are aligned


@dataclass(frozen=True)
class Data:
    """Named values that passed the door.

    Attributes:
        inputs: what the joint is given (x of a discriminative model).
        observed: values of generated variables.
        n: the number of rows.
        seen: where an observed variable has missing cells, the mask of those that are there.
        sites: every generated variable as one run of the model shows it.
        open: whether the guide is told which cells are missing.
        columns: what a data frame calls its columns.
        classes: where classes came by name, what the codes 0, 1, … of a variable stand for.
    """

    inputs: Mapping[str, Tensor]
    observed: Mapping[str, Tensor]
    n: int
    sites: Mapping[str, Site]
    seen: Mapping[str, Tensor] = field(default_factory=dict)
    open: bool = False
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """Everything by name: what signatures of models and guides may ask for."""
        told = {name: v for name, v in self.gaps.items() if name in self.seen} if self.open else {}
        return {**self.inputs, **self.observed, **told, "n": self.n}

    @property
    def rows(self) -> dict[str, Tensor]:
        """The values that have one entry for each row."""
        local = {name: v for name, v in self.observed.items() if self.sites[name].local}
        return {**{name: v for name, v in self.inputs.items() if v.dim() and len(v) == self.n}, **local}

    @property
    def gaps(self) -> dict[str, Tensor]:
        """The rows, with NaN where a cell is missing."""
        return self.rows | {
            name: torch.where(seen, self.observed[name], torch.nan) for name, seen in self.seen.items()
        }

    @property
    def example(self) -> "Data":
        """Rows that stand for all where a fit starts."""
        return self

    @property
    def blank(self) -> dict[str, tuple[int, int]]:
        """A variable of one number a row -> how many rows lack it, and the first of them."""
        gone = {name: torch.nonzero(~seen).flatten() for name, seen in self.seen.items() if seen.dim() == 1}
        return {name: (len(rows), int(rows[0])) for name, rows in gone.items() if len(rows)}

    def take(self, index: Tensor | slice) -> "Data":
        """The rows of ``index``; a slice copies nothing."""
        part = {name: v[index] for name, v in self.rows.items()}
        return Data(
            {name: part.get(name, v) for name, v in self.inputs.items()},
            {name: part.get(name, v) for name, v in self.observed.items()},
            len(range(self.n)[index]) if isinstance(index, slice) else len(index),
            self.sites,
            {name: v[index] for name, v in self.seen.items()},
            self.open,
            self.columns,
            self.classes,
        )

    def with_value(self, name: str, value: Tensor) -> "Data":
        """The same rows and one more observed variable."""
        return replace(self, observed={**self.observed, name: value})

    def fingerprint(self) -> str:
        """A hash of names, shapes, types and values, and of what is missing.

        Of a tensor above 4 MB it is the hash of the sums of all its blocks of 1 MB, by rows and by columns,
        of what the memory holds, read as whole numbers, modulo 2⁶⁴. That takes a fifth of the time: no one
        changed value goes unnoticed, and values that change places only if they leave every one of these
        sums as it was. Against forgers it is no proof.
        """
        digest = hashlib.sha256()
        gaps = {f"{name} seen": mask for name, mask in self.seen.items()}
        for name, value in sorted({**self.inputs, **self.observed, **gaps}.items()):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype};".encode())
            array = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
            size = 8 * math.prod(_BLOCK)
            blocks = len(array) // size if array.nbytes > _HASHED_WHOLE else 0
            for start in range(0, blocks * size, size):
                block = array[start : start + size].view(np.int64).reshape(_BLOCK)
                digest.update(block.sum(0).data)
                digest.update(block.sum(1).data)
            digest.update(array[blocks * size :].data)
        return digest.hexdigest()


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
    line = Factorization(p.joint)
    known = line.keys() | line.given
    for name in values:
        if name not in known:
            raise UnknownVariable(
                f"{name!r} is not a variable of {type(p).__name__}: {p.joint}. "
                f"Its variables are {', '.join([*line, *sorted(line.given)])}."
                f"{did_you_mean(name, [*line, *line.given])}"
            )
    floats = dtype_of(p)
    columns = {name: names_in(name, value) for name, value in values.items() if is_frame(value)}
    classes: dict[str, tuple[str, ...]] = dict(like.classes) if like else {}
    if like:
        values = {
            name: in_order(name, v, like.columns[name]) if name in columns and name in like.columns else v
            for name, v in values.items()
        }
        columns |= like.columns
    refuse_other_rows(values)
    named = {name: cells for name, v in values.items() if (cells := class_names.named_cells(v)) is not None}

    def decoded(name: str, levels: int) -> Tensor:
        if not levels:
            return as_tensor(name, values[name], floats)  # which refuses it
        known = classes.get(name, None if like else ())
        codes, classes[name] = class_names.encoded(
            name,
            named[name],
            class_names.declared(values[name]),
            levels,
            known,
            known is not None and (learn or not like),
        )
        value = as_tensor(name, codes if np.isnan(codes).any() else codes.astype(np.int64), floats)
        return value if np.ndim(values[name]) else value[0]

    tensors = {
        name: decoded(name, p.given_levels(name)) if name in named else as_tensor(name, value, floats)
        for name, value in values.items()
        if name not in named or name in line.given
    }
    inputs = {name: v for name, v in tensors.items() if name in line.given}
    for name, value in inputs.items():
        refuse_nonfinite(name, value, " (an input of a discriminative model: fill missing cells first)")
        if levels := p.given_levels(name):
            refuse_codes(name, value, levels)
        elif not value.is_floating_point():
            if p.given_shape(name) is not None:  # else it may be an index, as of the group of a row
                inputs[name] = value.to(floats)
        else:
            refuse_extremes(name, value)
    absent = sorted(line.given - inputs.keys())
    if absent and found is None:
        raise NotGenerated(
            f"{type(p).__name__} is {p.joint}: {', '.join(map(repr, absent))} is given, not generated, "
            f"so it must be passed: {absent[0]}=…"
        )
    for name, row in (example or {}).items():
        if name in inputs:
            if inputs[name].dim() == row.dim() - 1:
                inputs[name] = inputs[name][None]
            if inputs[name].shape[1:] != row.shape[1:] or inputs[name].dim() != row.dim():
                raise DataError(_misshapen(name, row.shape[1:], tensors[name]))
    n = max((len(v) for v in inputs.values() if v.dim()), default=0)
    if found is None:
        found = _described(p, inputs, n)
    held = next((name for name in line if name in found and found[name].observed), None)
    if held and not examined:
        raise BrokenModel(
            f"{type(p).__name__}.model() observes {held!r} by itself (obs=…), so that it can neither be "
            f"fitted to other data nor drawn from: leave out obs=; data come from outside, as in "
            f"fit(model, {held}=…)"
        )
    tensors |= {name: decoded(name, found[name].levels) for name in named if name not in inputs}
    observed = {name: tensors[name] for name in values if name not in line.given}
    for name, value in observed.items():
        site = found[name]
        if site.local and value.dim() == site.event_dim:
            observed[name] = value = value[None]
        if site.local and not value.dim():
            raise DataError(f"{name}: expected rows of shape {tuple(site.event_shape)}, got one number")
        if site.local:
            n = max(n, len(value))
    rows = inputs | {name: value for name, value in observed.items() if found[name].local}
    full = [name for name, value in rows.items() if value.dim() and len(value) == n]
    if example is not None:
        for values_ in (inputs, observed):
            for name, value in values_.items():
                if (name in inputs or found[name].local) and len(value) == 1 < n:
                    values_[name] = value.expand(n, *value.shape[1:])
    seen: dict[str, Tensor] = {}
    for name, value in observed.items():
        same = f"{n} rows, as in {', '.join(full)}"
        came = tuple(tensors[name].shape)
        observed[name], mask = _fit_to_site(p, name, value, found[name], n, floats, missing, came, same)
        if mask is not None:
            seen[name] = mask
    for name, value in inputs.items():
        if value.dim() == 0 or len(value) != n:
            raise DataError(
                f"{name}: expected {n} rows, as in {', '.join(full)}, got shape {tuple(tensors[name].shape)}"
            )
    told = like.columns if like else {}
    columns = {k: v for k, v in columns.items() if k not in values or tensors[k].dim() > 1 or k in told}
    return Data(inputs, observed, n, found, seen, p.reads_gaps, columns, classes)


def may_repeat(found: Mapping[str, Site], observed: Iterable[str]) -> bool:
    """Whether rows repeat by themselves, being discrete; the same continuous rows are the same data."""
    supports = (found[name].support for name in observed if name in found)
    return all(getattr(support, "is_discrete", True) for support in supports)


def describe(p: ProbabilisticModel, inputs: Mapping[str, Any]) -> dict[str, Site]:
    """The sites of the model, from one run on two rows."""
    n = max((len(v) for v in inputs.values() if v.dim()), default=2)
    modes = {module: module.training for module in p.modules()}
    try:
        p.eval()  # so that a batch norm does not remember these rows
        with torch.no_grad(), pyro.validation_enabled(False):
            return sites(p.model, {**inputs, "n": n})
    except NotImplementedError as error:
        if type(p).model is ProbabilisticModel.model:
            raise
        raise up_to_a_constant(p, str(error).splitlines()[0]) from error
    finally:
        for module, training in modes.items():
            module.training = training


def _described(p: ProbabilisticModel, inputs: Mapping[str, Tensor], n: int) -> dict[str, Site]:
    """The sites on the first two rows; inputs of another shape than the model declares are named.

    The default `given_shape` says (features,) of every input. Where there are several, or the features are
    those of what is generated, another shape is wrong only if the program does not run on it.
    """
    shapes = {name: p.given_shape(name) for name in inputs}
    wrong = {
        name: shape
        for name, shape in shapes.items()
        if shape is not None and tuple(inputs[name].shape[1:]) != shape
    }
    declared = type(p).given_shape is not ProbabilisticModel.given_shape
    if declared and wrong:
        name, shape = next(iter(wrong.items()))
        raise DataError(_misshapen(name, shape, inputs[name]))
    try:
        found = describe(p, {name: v[:2] if v.dim() and len(v) == n else v for name, v in inputs.items()})
    except (RuntimeError, IndexError, ValueError) as error:
        for name, shape in wrong.items():
            if not isinstance(error, PplGenError):
                raise DataError(_misshapen(name, shape, inputs[name])) from error
        raise
    for name, shape in wrong.items():  # it ran all the same, by broadcasting
        wide = inputs[name].dim() == 1 + len(shape) and len(inputs) == 1
        if wide and not any(tuple(site.event_shape) == shape for site in found.values() if site.local):
            raise DataError(_misshapen(name, shape, inputs[name]))
    return found


def _misshapen(name: str, row: Iterable[int], value: Tensor) -> str:
    """What an input is told that has the rows' right number, or not, but not their shape."""
    shape = ", ".join(map(str, ("rows", *row)))
    return f"{name}: expected shape ({shape}{',' * (shape == 'rows')}), got {tuple(value.shape)}"


def _fit_to_site(
    p: ProbabilisticModel, name: str, value: Tensor, site: Site, n: int, floats: torch.dtype, missing: bool,
    came: tuple[int, ...], same: str,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
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
        cells = filled[tuple(row)]
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
    base = _base(site.support)
    if site.levels:
        return f"class codes 0 to {site.levels - 1}"
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

"""The door: all data enter here, become tensors of the model's type, and are checked against the joint."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyro
import torch
from torch import Tensor

from ppl_gen.core import ProbabilisticModel, Site, dtype_of, sites
from ppl_gen.errors import DataError, NotGenerated, UnknownVariable
from ppl_gen.notation import Factorization

_HASHED_WHOLE = 1 << 24  # bytes; larger tensors are fingerprinted by blocks and sums


@dataclass(frozen=True)
class Data:
    """Named values that passed the door.

    Attributes:
        inputs: what the joint is given (x of a discriminative model).
        observed: values of generated variables.
        n: the number of rows.
        seen: where an observed variable has missing cells, the mask of those that are there.
        sites: every generated variable as one run of the model shows it.
    """

    inputs: Mapping[str, Tensor]
    observed: Mapping[str, Tensor]
    n: int
    sites: Mapping[str, Site]
    seen: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """Everything by name: what signatures of models and guides may ask for."""
        return {**self.inputs, **self.observed, "n": self.n}

    @property
    def rows(self) -> dict[str, Tensor]:
        """The values that have one entry for each row."""
        local = {name: v for name, v in self.observed.items() if self.sites[name].local}
        return {**{name: v for name, v in self.inputs.items() if v.dim() and len(v) == self.n}, **local}

    def take(self, index: Tensor) -> "Data":
        """The rows of ``index``."""
        part = {name: v.index_select(0, index) for name, v in self.rows.items()}
        return Data(
            {name: part.get(name, v) for name, v in self.inputs.items()},
            {name: part.get(name, v) for name, v in self.observed.items()},
            len(index),
            self.sites,
            {name: v[index] for name, v in self.seen.items()},
        )

    def fingerprint(self) -> str:
        """A hash of names, shapes, types and values."""
        digest = hashlib.sha256()
        for name, value in sorted((self.inputs | dict(self.observed)).items()):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype};".encode())
            array = value.detach().cpu().contiguous()
            if array.nbytes > _HASHED_WHOLE:
                flat = array.flatten()
                digest.update(repr(float(flat.sum(dtype=torch.float64))).encode())
                array = flat[:: 1 + len(flat) // 100_000].contiguous()
            digest.update(array.numpy().tobytes())
        return digest.hexdigest()


def admit(
    p: ProbabilisticModel,
    values: Mapping[str, Any],
    *,
    missing: bool = False,
    found: Mapping[str, Site] | None = None,
) -> Data:
    """Turn users' values into `Data` for the model ``p``.

    NumPy arrays of any order and byte order, pandas frames and series, torch tensors and lists are
    welcome. Floats become the model's floating-point type.

    Args:
        p: the model.
        values: the user's keywords; generated variables and inputs.
        missing: whether NaN stands for "not observed"; otherwise it is refused.
        found: the model's sites if known; inputs may then be left out.

    Raises:
        UnknownVariable, DataError: name the argument, what was expected and what came.
    """
    line = Factorization(p.joint)
    known = line.keys() | line.given
    for name in values:
        if name not in known:
            raise UnknownVariable(
                f"{name!r} is not a variable of {type(p).__name__}: {p.joint}. "
                f"Its variables are {', '.join([*line, *sorted(line.given)])}."
            )
    floats = dtype_of(p)
    tensors = {name: as_tensor(name, value, floats) for name, value in values.items()}
    inputs = {name: v for name, v in tensors.items() if name in line.given}
    observed = {name: v for name, v in tensors.items() if name not in line.given}
    for name, value in inputs.items():
        _refuse_nonfinite(name, value, "an input of a discriminative model: fill missing cells first")
    absent = sorted(line.given - inputs.keys())
    if absent and found is None:
        raise NotGenerated(
            f"{type(p).__name__} is {p.joint}: {', '.join(map(repr, absent))} is given, not generated, "
            f"so it must be passed: {absent[0]}=…"
        )
    n = max((len(v) for v in inputs.values() if v.dim()), default=0)
    if found is None:
        found = describe(p, {name: v[:2] if v.dim() and len(v) == n else v for name, v in inputs.items()})
    for name, value in observed.items():
        site = found[name]
        if site.local and value.dim() == site.event_dim:
            observed[name] = value = value[None]
        if site.local:
            n = max(n, len(value))
    seen: dict[str, Tensor] = {}
    for name, value in observed.items():
        observed[name], mask = _fit_to_site(p, name, value, found[name], n, floats, missing)
        if mask is not None:
            seen[name] = mask
    for name, value in inputs.items():
        if value.dim() == 0 or len(value) != n:
            raise DataError(f"{name}: expected {n} rows, as in {', '.join(observed)}, got {tuple(value.shape)}")
    return Data(inputs, observed, n, found, seen)


def describe(p: ProbabilisticModel, inputs: Mapping[str, Any]) -> dict[str, Site]:
    """The sites of the model, from one run on two rows."""
    n = max((len(v) for v in inputs.values() if v.dim()), default=2)
    with torch.no_grad(), pyro.validation_enabled(False):
        return sites(p.model, {**inputs, "n": n})


def as_tensor(name: str, value: Any, floats: torch.dtype) -> Tensor:
    """One value as a tensor: floats of type ``floats``, integers and booleans as int64."""
    if hasattr(value, "detach"):
        tensor: Tensor = value.detach()
        if tensor.is_inference():  # cannot be saved for a gradient
            tensor = tensor.clone()
    else:
        if hasattr(value, "to_numpy"):
            value = value.to_numpy()
        array = np.asarray(value)
        if array.dtype == object:
            try:
                array = array.astype(np.float64)
            except (TypeError, ValueError):
                pass
        if array.dtype.kind not in "fiub":
            example = array.flat[0] if array.size else ""
            raise DataError(
                f"{name}: expected numbers, got {array.dtype} such as {example!r}. Encode classes as "
                f"0, 1, 2, …: classes, {name} = numpy.unique({name}, return_inverse=True)"
            )
        kind = np.float64 if array.dtype.kind == "f" else np.int64
        if array.dtype.kind == "f" and array.dtype.itemsize <= 4:
            kind = array.dtype.newbyteorder("=").type
            kind = np.float32 if kind is np.float16 else kind
        tensor = torch.from_numpy(np.array(array, dtype=kind, copy=None if array.flags.writeable else True))
        if any(s < 0 for s in array.strides):
            tensor = torch.from_numpy(np.array(array, dtype=kind, copy=True))
    if tensor.is_complex():
        raise DataError(f"{name}: expected real numbers, got {tensor.dtype}")
    if tensor.is_floating_point():
        return tensor.to(floats)
    return tensor.to(torch.int64)


def _refuse_nonfinite(name: str, value: Tensor, why: str) -> None:
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        place = torch.nonzero(~torch.isfinite(value))[0].tolist()
        raise DataError(f"{name}: expected finite numbers, got {value[tuple(place)].item()} at {place} ({why})")


def _fit_to_site(
    p: ProbabilisticModel, name: str, value: Tensor, site: Site, n: int, floats: torch.dtype, missing: bool
) -> tuple[Tensor, Tensor | None]:
    expected = (n, *site.event_shape) if site.local else tuple(site.event_shape)
    if site.local and value.dim() > 1 and value.shape[1:] == (1,) and not site.event_dim:
        value = value[:, 0]  # a column of a table
    if tuple(value.shape) != expected:
        raise DataError(
            f"{name}: expected shape {expected}{' (rows first)' if site.local else ''}, "
            f"got {tuple(value.shape)}"
        )
    mask = None
    blank = torch.isnan(value) if value.is_floating_point() else None
    if blank is not None and bool(blank.any()):
        if not missing:
            row = torch.nonzero(blank)[0].tolist()
            raise DataError(f"{name}: expected no missing cells here, got NaN at {row}")
        mask = ~blank
    if site.support is not None and getattr(site.support, "is_discrete", False):
        legal = value if mask is None else torch.where(mask, value, 0)
        if legal.is_floating_point() and bool((legal != legal.round()).any()):
            place = torch.nonzero(legal != legal.round())[0].tolist()
            raise DataError(
                f"{name}: expected whole numbers ({_support(site)}), got {legal[tuple(place)].item():g} "
                f"at {place}{_hint(p, name)}"
            )
        if site.event_dim == 0 and mask is None:
            value = value.to(floats if site.values is None else site.values.dtype)
        else:
            value = value.to(floats)
    elif not value.is_floating_point():
        value = value.to(floats)
    filled = value if mask is None else torch.where(mask, value, _legal(site, value))
    checked = site.support is not None and filled.numel()  # no rows: torch cannot check nothing
    good = site.support.check(filled) if checked else torch.ones(())
    if not bool(good.all()):
        row = torch.nonzero(~good)[0].tolist()
        cells = filled[tuple(row)]
        raise DataError(
            f"{name}: expected {_support(site)}, got {_culprit(site, cells)} at row {row or ''}{_hint(p, name)}"
        )
    return filled, mask


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
    words = {"Boolean": "zeros and ones", "Real": "finite real numbers", "_Boolean": "zeros and ones",
             "_Real": "finite real numbers"}
    return words.get(type(base).__name__, str(base))


def _culprit(site: Site, cells: Tensor) -> str:
    if cells.dim() == 0:
        return f"{cells.item():g}"
    bad = cells[~torch.as_tensor(_base(site.support).check(cells))]
    return f"{bad.flatten()[0].item():g}" if bad.numel() else f"{cells.tolist()}"


def _hint(p: ProbabilisticModel, name: str) -> str:
    hint = getattr(p, "hint", lambda _: "")(name)
    return f". {hint}" if hint else ""

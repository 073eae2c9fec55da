"""Names for the dimensions of a model's variables, and the labels along them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ppl_gen.core import ROWS, ProbabilisticModel, dtype_of, run, sites, variables
from ppl_gen.errors import DataError
from ppl_gen.inference.elbo import Node
from ppl_gen.inputs import Data
from ppl_gen.notation import Factorization

if TYPE_CHECKING:
    import xarray

Named = dict[str, Tensor]
Dims = Mapping[str, Sequence[str]]
Coords = Mapping[str, Any]


class Labels:
    """Named dimensions and coordinates.

    Args:
        own: variable -> its dimensions after chain and draw.
        dims: what the user calls them. coords: the user's labels.
        chains: how many chains the draws come in, one after the other.

    Attributes:
        columns: labels of dimensions for which the user has none, such as a data frame's columns.
    """

    def __init__(
        self,
        own: Mapping[str, Sequence[str]],
        dims: Dims | None = None,
        coords: Coords | None = None,
        chains: int = 1,
    ):
        self.own = {name: tuple(names) for name, names in own.items()}
        self.coords, self.chains = dict(coords or {}), chains
        self.columns: Coords = {}
        self.used: set[str] = set()
        for name, chosen in (dims or {}).items():
            if name not in self.own:
                raise DataError(f"dims: expected variables {', '.join(self.own)}; got {name!r}")
            if isinstance(chosen, str) or len(chosen) != len(self.own[name]):
                raise DataError(
                    f"dims: expected {len(self.own[name])} names for {name!r} such as {self.own[name]}, "
                    f"got {chosen!r}"
                )
            self.own[name] = tuple(chosen)

    def drawn(self, values: Named, dims: Mapping[str, Sequence[str]] | None = None) -> "xarray.Dataset":
        """Values with a leading dimension of draws, chain after chain; ``dims`` other than their own."""
        names = self.own if dims is None else dims
        return self._dataset(
            {k: (("chain", "draw", *names[k]), v.unflatten(0, (self.chains, -1))) for k, v in values.items()}
        )

    def fixed(self, values: Named) -> "xarray.Dataset":
        """Values without draws."""
        return self._dataset({name: (self.own.get(name, ()), v) for name, v in values.items()})

    def _dataset(self, values: dict[str, tuple[tuple[str, ...], Tensor]]) -> "xarray.Dataset":
        import xarray

        arrays = {name: (dims, v.numpy(force=True)) for name, (dims, v) in values.items()}
        sizes = {d: n for dims, array in arrays.values() for d, n in zip(dims, array.shape, strict=True)}
        self.used |= sizes.keys()
        return xarray.Dataset(arrays, coords={d: self._labels(d, n) for d, n in sizes.items()})

    def _labels(self, dim: str, size: int) -> Any:
        if dim in self.coords:
            labels = np.asarray(self.coords[dim])
            if labels.shape != (size,):
                raise DataError(f"coords: expected {size} labels of {dim!r}, got {len(labels)}")
            return labels
        found = self.coords if dim == "term" and "feature" in self.coords else self.columns
        if dim == "term" and "feature" in found:
            return np.array(["intercept", *map(str, found["feature"])])
        labels = np.asarray(self.columns.get(dim, ()))
        return labels if labels.shape == (size,) else np.arange(size)

    def check(self) -> None:
        """Refuse labels of a dimension that no group has."""
        known = self.used.union(*self.own.values())
        known |= {"feature"} if "term" in known else set()
        if unknown := sorted(self.coords.keys() - known):
            raise DataError(f"coords: expected dimensions {', '.join(sorted(known))}; got {unknown[0]!r}")


def labels_of(
    p: ProbabilisticModel, data: Data, dims: Dims | None, coords: Coords | None, chains: int = 1
) -> Labels:
    """Labels of a model's variables: its plates and sizes in the singular; a frame's columns by name."""
    given = {**data.inputs, "n": data.n}
    fixed = {name: v for name, v in data.observed.items() if not data.sites[name].local}
    found = variables(run(p.model, given, fixed))
    own = own_dims(found, _event_dims(p, found))
    own |= {name: ("row", *_sized(p, name, v.shape[1:])) for name, v in data.inputs.items() if v.dim()}
    labels = Labels(own, dims, coords, chains)
    labels.columns = {
        labels.own[k][-1]: list(map(str, names))
        for k, names in data.columns.items()
        if len(own.get(k, ())) == 2
    }
    for names in data.classes.values():
        labels.columns["class"] = names
    return labels


def own_dims(
    found: Mapping[str, Node], events: Mapping[str, tuple[str, ...]], singular: bool = True
) -> dict[str, tuple[str, ...]]:
    """The dimensions of every variable: its plates, then its event dimensions, named by ``events``."""
    own = {}
    for name, site in found.items():
        batch = site["value"].dim() - site["fn"].event_dim
        plates = {frame.dim: frame.name for frame in site["cond_indep_stack"] if frame.vectorized}
        outer = [plates.get(dim - batch, f"{name}_dim_{dim}") for dim in range(batch)]
        own[name] = _distinct((*(map(_singular, outer) if singular else outer), *events[name]))
    return own


def _event_dims(p: ProbabilisticModel, found: Mapping[str, Node]) -> dict[str, tuple[str, ...]]:
    shapes = {name: site["fn"].event_shape for name, site in found.items()}
    sizes = _sizes(p)
    taken = [*sizes.values(), *(size + 1 for size in sizes.values())]
    if len(set(taken)) < len(taken):  # 3 classes of 3 features: a model of other sizes can tell them apart
        for others in (list(range(1, len(sizes) + 1)), list(range(len(sizes), 0, -1))):
            for kept in (p.configuration, {}):
                try:
                    return _dims_of_twin(
                        p, shapes, {**kept, **{k: 11 * i for k, i in zip(sizes, others, strict=True)}}
                    )
                except Exception:  # no such model, for whatever reason: names by size may then be ambiguous
                    pass
    return {name: _sized(p, name, shape) for name, shape in shapes.items()}


def _dims_of_twin(
    p: ProbabilisticModel, shapes: Mapping[str, torch.Size], configuration: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    """The names of the event dimensions, as a model of other sizes has them."""
    other = type(p)(**configuration)
    example: dict[str, Any] = {"n": 2}
    for name in Factorization(p.joint).given:  # as in core.plates
        row = other.given_shape(name) or ()
        codes = other.given_levels(name)
        example[name] = torch.zeros(
            2, *(() if codes else row), dtype=torch.long if codes else dtype_of(other)
        )
    twins = sites(other.model, example)
    return {
        name: _sized(other, name, twins[name].event_shape[-len(shape) :] if shape else ())
        for name, shape in shapes.items()
    }


def _sizes(p: ProbabilisticModel) -> dict[str, int]:
    """The sizes that a model was made with: whole numbers that it keeps under the same name."""
    return {k: v for k, v in p.configuration.items() if type(v) is int and getattr(p, k, None) == v}


def _sized(p: ProbabilisticModel, name: str, shape: Sequence[int]) -> tuple[str, ...]:
    """Names for dimensions of these sizes; one more than the features are the terms of a linear predictor."""
    names = {size + 1: "term" for key, size in _sizes(p).items() if key == "features"}
    names |= {size: _singular(key) for key, size in reversed(_sizes(p).items())}
    if name in Factorization(p.joint).given:
        names |= {getattr(p, "features", -1): "feature"}
    return _distinct([names.get(size, f"{name}_dim_{i}") for i, size in enumerate(shape)])


def _singular(plural: str) -> str:
    if plural == ROWS:
        return "row"
    return plural.removesuffix("es") if plural.endswith("sses") else plural.removesuffix("s")


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """A second "feature" of a covariance becomes "feature_2"."""
    return tuple(
        name if (before := list(names[:i]).count(name)) == 0 else f"{name}_{before + 1}"
        for i, name in enumerate(names)
    )

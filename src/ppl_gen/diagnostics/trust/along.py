"""Do residuals follow the inputs? Their mean along each, its square and products, and their scatter."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MOST, PAIRS = 60, 8  # columns of inputs at most, and up to how many are multiplied two by two
CLIPPED = 3.0  # sds that a residual counts at most: outliers follow nothing


class Along(NamedTuple):
    """Functions of the inputs (n, functions), each of mean 0 and sd 1, what each is called, and how many of
    them are the inputs themselves."""

    columns: Array
    names: list[str]
    inputs: int

    def statistics(self, z: Array, scatter: bool) -> dict[str, Array]:
        """Correlations with residuals ``z`` (n, sets, columns), in sds of what each row expects.

        Name -> numbers (sets, columns x functions): "along" of the residuals, "scatter" of the ranks of their
        sizes. Neither depends on the scale of the rows, nor much on their tails.
        """
        from scipy.stats import rankdata

        z = z / np.sqrt(np.nanmean(z**2, 0)).clip(1e-150)
        found = {"along": self._with(z.clip(-CLIPPED, CLIPPED), len(self.names))}
        if scatter:
            ranks = rankdata(abs(z), axis=0, nan_policy="omit")
            ranks = (ranks - np.nanmean(ranks, 0)) / np.nanstd(ranks, 0).clip(1e-150)
            found["scatter"] = self._with(ranks, self.inputs)
        return found

    def _with(self, z: Array, most: int) -> Array:
        sums = np.einsum("nsc,nf->scf", np.nan_to_num(z), self.columns[:, :most])
        return (sums / len(z)).reshape(z.shape[1], -1)

    def words(self, name: str, what: str, place: int, far: float, columns: int) -> tuple[str, str]:
        """Where one of these statistics lies far off, and that in words."""
        own, function = divmod(place, self.inputs if what == "scatter" else len(self.names))
        of = f"{name}[{own}]" if columns > 1 else name
        along = self.names[function]
        if what == "scatter":
            return along, f"{of} scatters {'more' if far > 0 else 'less'} where {along} is large"
        if "^2" in along:
            along = along.removesuffix("^2")
            return along, f"the mean of {of} bends {'upwards' if far > 0 else 'downwards'} along {along}"
        if " " in along:
            return along, f"the mean of {of} {'rises' if far > 0 else 'falls'} with {along}"
        return along, f"the mean of {of} {'rises' if far > 0 else 'falls'} along {along}, beside the model's"


def inputs_of(inputs: Mapping[str, Array], n: int) -> Along | None:
    """Of what rows are given, whatever its scale: normal scores of each column, their squares and products.

    Under the right model residuals are independent of any function of the inputs; scores have no outliers.
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    flat = {
        f"{name}[{i}]" if v.size > n else name: v.reshape(n, -1)[:, i]
        for name, v in inputs.items()
        if v.ndim and len(v) == n
        for i in range(v.size // n)
    }
    scores = {name: ndtri((rankdata(v) - 0.5) / n) for name, v in flat.items() if np.isfinite(v).all()}
    scores = {name: v for name, v in list(scores.items())[:MOST] if v.std() > 0}
    names = list(scores)
    made = {f"{name}^2": v**2 for name, v in scores.items()}
    if len(names) <= PAIRS:
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        made |= {f"{a} times {b}": scores[a] * scores[b] for a, b in pairs}
    every = {name: v - v.mean() for name, v in {**scores, **made}.items()}
    every = {name: v / v.std() for name, v in every.items() if v.std() > 1e-9}
    return Along(np.stack(list(every.values()), 1), list(every), len(names)) if every else None

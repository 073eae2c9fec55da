"""Data sets such as a model would generate, as large as the one at hand and with the same cells missing."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppl_gen.core import ProbabilisticModel, run, variables
from ppl_gen.errors import DataError, NoSampler
from ppl_gen.inputs import Data
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior
from ppl_gen.unscored import up_to_a_constant

Array = NDArray[Any]


def arrays_of(data: Data) -> dict[str, Array]:
    """What the rows hold by name; float64, nan where a cell is missing. Whole numbers given stay whole."""
    rows = {name: v.numpy(force=True).astype(float) for name, v in {**data.inputs, **data.gaps}.items()}
    whole = {name: v.numpy(force=True) for name, v in data.inputs.items() if not v.is_floating_point()}
    return rows | whole


def targets_of(data: Data) -> tuple[str, ...]:
    """The rows' variables that the joint generates.

    Raises:
        DataError: there are none.
    """
    found = tuple(name for name in data.observed if data.sites[name].local)
    if not found or data.n < 2:
        raise DataError("expected two rows or more of a variable that the joint generates")
    return found


def replications(
    of: Posterior | ProbabilisticModel,
    data: Data,
    draws: int,
    seed: int,
    prior: bool = False,
    each: bool = False,
) -> Iterator[dict[str, Array]]:
    """Draw the parameters, and given them as many rows as ``data`` has; again and again.

    Every hidden variable of a row is drawn anew: these are other rows of the same population. What the
    joint is given stays as it is; with ``each``, so do the parents of each variable: it is drawn given their
    observed values.

    Raises:
        NoSampler: the joint cannot be drawn from.
    """
    posterior = of if isinstance(of, Posterior) else None
    if posterior is not None and not prior:
        yield from drawn_rows(posterior, data, posterior.draw(draws, seed), seed, draws, each)
        return
    believed = posterior.yesterday if posterior is not None else None
    joint = of if posterior is None else posterior.prior
    with isolated(seed + 1):
        for _ in range(draws):
            known = {}
            if posterior is not None and believed is not None:
                found = variables(run(believed, data.values))
                known = {name: found[name]["value"] for name in posterior.parameters if name in found}
            yield _generated(joint, data, known, each)


def drawn_rows(
    posterior: Posterior,
    data: Data,
    parameters: Mapping[str, Tensor],
    seed: int,
    draws: int = 0,
    each: bool = False,
) -> Iterator[dict[str, Array]]:
    """Rows like ``data`` for each draw of the ``parameters`` (draws, …), or for none ``draws`` times."""
    count = max((len(v) for v in parameters.values()), default=draws)
    with isolated(seed + 1):
        for i in range(count):
            yield _generated(posterior.joint, data, {name: v[i] for name, v in parameters.items()}, each)


def _generated(joint: Any, data: Data, known: Mapping[str, Tensor], each: bool) -> dict[str, Array]:
    """One data set, with the same cells missing."""
    rows = [name for name in data.observed if data.sites[name].local]
    fixed = {name: v for name, v in data.observed.items() if each or name not in rows}
    trace = _run(joint, {**data.inputs, "n": data.n}, {**known, **fixed})
    found = arrays_of(data)
    for name in rows:
        value = trace[name]["fn"].sample() if each else trace[name]["value"]
        drawn, seen = value.numpy(force=True).astype(float), data.seen.get(name)
        found[name] = drawn if seen is None else np.where(seen.numpy(force=True), drawn, np.nan)
    return found


def _run(joint: Any, values: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    if joint.potentials:
        raise up_to_a_constant(joint, "its factors multiply to no density")
    try:
        with torch.no_grad():
            return variables(run(joint.model, values, known))
    except NotImplementedError as error:
        raise NoSampler(f"{type(joint).__name__} cannot generate rows: {error}") from error

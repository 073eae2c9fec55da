"""Data sets such as a model would generate, as large as the one at hand and with the same cells missing."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ppl_gen.core import ProbabilisticModel, run, variables
from ppl_gen.errors import DataError, NoSampler
from ppl_gen.inputs import Data
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior

Array = NDArray[Any]


def arrays_of(data: Data) -> dict[str, Array]:
    """What the rows hold by name, inputs too; float64, nan where a cell is missing."""
    return {name: v.numpy(force=True).astype(float) for name, v in {**data.inputs, **data.gaps}.items()}


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
    of: Posterior | ProbabilisticModel, data: Data, draws: int, seed: int, prior: bool = False
) -> Iterator[dict[str, Array]]:
    """Draw the parameters, and given them as many rows as ``data`` has; again and again.

    Every hidden variable of a row is drawn anew: these are other rows of the same population. What the
    joint is given stays as it is.

    Raises:
        NoSampler: the joint cannot be drawn from.
    """
    posterior = of if isinstance(of, Posterior) else None
    joint: Any = of if posterior is None else posterior.prior if prior else posterior.joint
    values = {**data.inputs, "n": data.n}
    fixed = {name: v for name, v in data.observed.items() if not data.sites[name].local}
    blank = {name: ~mask.numpy(force=True) for name, mask in data.seen.items()}
    targets, untouched = targets_of(data), arrays_of(data)
    drawn = posterior.draw(draws, seed) if posterior is not None and not prior else {}
    believed = posterior.yesterday if posterior is not None and prior else None
    with isolated(seed + 1):
        for i in range(draws):
            known = {name: v[i] for name, v in drawn.items()}
            if believed is not None:
                found = variables(run(believed, data.values))
                names = (name for name in posterior.parameters if name in found) if posterior else ()
                known = {name: found[name]["value"] for name in names}
            trace = _run(joint, values, {**known, **fixed})
            rows = {name: trace[name]["value"].numpy(force=True).astype(float) for name in targets}
            for name, mask in blank.items():
                if name in rows:
                    rows[name] = np.where(mask, np.nan, rows[name])
            yield {**untouched, **rows}


def _run(joint: Any, values: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    try:
        with torch.no_grad():
            return variables(run(joint.model, values, known))
    except NotImplementedError as error:
        raise NoSampler(f"{type(joint).__name__} cannot generate rows: {error}") from error

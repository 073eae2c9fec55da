"""How often credible intervals hold the truth, against how often they promise to."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ppl_gen.diagnostics.criticism.uniformity import Array
from ppl_gen.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (0.5, 0.8, 0.9, 0.95)


def coverage(u: Mapping[str, Array], levels: Sequence[float] = LEVELS) -> "pd.DataFrame":
    """Central credible intervals: nominal against observed coverage, one row for each quantity and level.

    The truth lies in the central interval of probability p if its probability integral transform ``u`` is
    within p / 2 of a half. ``low`` and ``high`` are the 95 % interval of the observed coverage, each row for
    itself (Clopper and Pearson 1934).

    Args:
        u: name -> (simulations,). levels: of the intervals, between 0 and 1.

    >>> import numpy as np
    >>> coverage({"w": np.linspace(0.2, 0.8, 50)}, [0.5]).round(2).values.tolist()
    [['w', 0.5, 0.8, 0.66, 0.9]]
    """
    import pandas as pd

    if not len(levels) or not all(0 < level < 1 for level in levels):
        raise DataError(f"levels: expected probabilities between 0 and 1, got {levels!r}")
    rows = []
    for name, values in u.items():
        for level in levels:
            inside = int((abs(values - 0.5) <= level / 2).sum())
            rows.append((name, float(level), inside / len(values), *clopper_pearson(inside, len(values))))
    return pd.DataFrame(rows, columns=["quantity", "nominal", "observed", "low", "high"])


def clopper_pearson(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """An interval that holds the probability of a hit with at least ``confidence``.

    >>> [round(end, 3) for end in clopper_pearson(0, 10)]
    [0.0, 0.308]
    """
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, trials - hits + 1)) if hits else 0.0
    return low, float(beta.isf(tail, hits + 1, trials - hits)) if hits < trials else 1.0

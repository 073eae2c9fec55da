"""Maximum likelihood in closed form: of a model's own parameters, or by a prior that is worth no rows."""

from dataclasses import dataclass
from typing import Any

import torch

from ppl_gen.core import ProbabilisticModel, run, score, variables
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inference.exact import chunks, refuse_hidden, together
from ppl_gen.inference.guides import Point
from ppl_gen.inference.method import Fitted
from ppl_gen.inputs import Data


@dataclass(frozen=True)
class MaximumLikelihood:
    """The parameters that make the rows most likely, with the usual smoothing: one point, one pass.

    Where the parameters are variables of the joint, rows are counted as `Exact` counts them, from a prior
    worth no rows, so more rows can be added later and shards merged; the model's own prior plays no part.
    A model's own parameters are set, and the log likelihood there is the posterior's ``log_evidence``.

    Args:
        smoothing: None is the model's usual one. For Gaussian features, the share of the widest variance
            that is added to every variance (1e-9); for full covariances (1e-12) and regressions (1e-9), the
            share of the variable's own variance; for counts, what is added to each (Laplace's 1).
        chunk: rows that are looked at together.
    """

    smoothing: float | None = None
    chunk: int = 131_072

    def __post_init__(self) -> None:
        good = isinstance(self.smoothing, int | float) and 0 <= self.smoothing < float("inf")
        if self.smoothing is not None and not good:
            raise DataError(f"smoothing: expected None or a number from 0 up, got {self.smoothing!r}")

    def fit(self, start: ProbabilisticModel, guide: Point | None, data: Data, prior: Any = None) -> Fitted:
        """Count the rows of ``data`` on top of those that ``guide`` has counted."""
        if hasattr(start, "maximized"):
            return _maximized(start, data)
        if not hasattr(start, "point"):
            raise Unanswerable(
                f"{type(start).__name__} is {start.joint}: it declares no point of maximum likelihood (no "
                f"point()). Use {'Exact() or ' if hasattr(start, 'updated') else ''}SVI()."
            )
        refuse_hidden(self, start, data)
        with torch.no_grad():
            before: Any = start.flat() if guide is None else guide.counted
            counted = before
            for part in chunks(data, self.chunk):
                counted = counted.updated(**part)
            counted = together(counted, before)
            point = self.point(counted, ", ".join(data.rows))
            return Fitted(model=start, guide=point, elbo=torch.zeros(0, dtype=torch.float64))

    def point(self, counted: Any, rows: str = "merge") -> Point:
        """Where the likelihood of the ``counted`` rows peaks; ``rows`` are their names."""
        options = {} if self.smoothing is None else {"smoothing": self.smoothing}
        found = counted.point(**options)
        for name, value in found.items():
            if not bool(torch.isfinite(value).all()):
                open_ = f"a class without rows, or a constant column, leaves {name} undetermined"
                if self.smoothing == 0:
                    raise DataError(f"smoothing: expected more than 0 here, since {open_}")
                raise DataError(
                    f"{rows}: expected rows that determine every parameter; {open_}: leave it out, or use "
                    f"Exact(), whose prior decides it"
                )
        return Point(counted, found)


def _maximized(start: Any, data: Data) -> Fitted:
    """A model whose parameters are no variables of the joint, at those that make the rows most likely."""
    with torch.no_grad():
        after = start.maximized(**data.gaps)
        trace = variables(run(after.inverted, data.values, data.observed))
        rows = [score(trace[name]["fn"], value, data.seen.get(name)) for name, value in data.observed.items()]
        evidence = float(torch.stack(rows).sum())
    elbo = torch.tensor([evidence], dtype=torch.float64)
    return Fitted(model=after, guide=None, elbo=elbo, log_evidence=evidence)

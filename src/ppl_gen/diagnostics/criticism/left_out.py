"""What leave-one-out found: the elpd of one model, and of several on the same rows."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppl_gen import plot
from ppl_gen.notation import Factor

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class LeaveOneOut:
    """Log predictive densities of rows given all others, in nats; made by `loo`.

    Attributes:
        model: its name. asked: the variables scored, and those they are given.
        rows: of each row (n,). fitted: the same with the row among those fitted (n,), nan if not known.
        k_hat: of each row's importance weights (n,), nan where there are none; above ``limit`` the row's
            number is not to be trusted.
        how: how they were obtained.
        fingerprint: a hash of the values scored: numbers compare only where it is the same.
        elpd_data: of a tree, the same as ArviZ has it, for its ``plot_khat`` and ``compare``.
        refits: whether `loo` can fit without rows; of bare Pyro it does not know what they are.
    """

    model: str
    asked: Factor
    rows: Tensor
    fitted: Tensor
    k_hat: Tensor
    limit: float
    how: str
    fingerprint: str
    elpd_data: Any = None
    refits: bool = True

    @property
    def elpd(self) -> float:
        """The expected log pointwise predictive density, times n: the sum over the rows."""
        return float(self.rows.sum())

    @property
    def standard_error(self) -> float:
        """Of the elpd, over rows: what other rows of the same population would make of it; inf of one row."""
        if len(self.rows) < 2:
            return math.inf
        return float(self.rows.std() * len(self.rows) ** 0.5)

    @property
    def p_loo(self) -> float:
        """The effective number of parameters: what is lost by not having fitted the rows that are scored."""
        return float((self.fitted - self.rows).sum())

    @property
    def unsure(self) -> tuple[int, ...]:
        """Rows whose k-hat is too high, the highest first."""
        order = self.k_hat.nan_to_num(-torch.inf).argsort(descending=True).tolist()
        return tuple(i for i in order if self.k_hat[i] > self.limit)

    @property
    def question(self) -> str:
        """What is scored, such as "p(y | x)"."""
        bar = f" | {', '.join(self.asked.right)}" if self.asked.right else ""
        return f"p({', '.join(self.asked.left)}{bar})"

    def table(self) -> "DataFrame":
        """One row for each row of the data, the worst predicted first."""
        from pandas import DataFrame

        columns = {"log density": self.rows, "with the row fitted": self.fitted, "k-hat": self.k_hat}
        frame = DataFrame({name: v.numpy(force=True) for name, v in columns.items()})
        return frame.rename_axis("row").sort_values("log density")

    def verdict(self) -> str:
        """The elpd, and whether to trust it, in words."""
        effective = f", effective parameters {self.p_loo:,.1f}" if self.p_loo == self.p_loo else ""
        said = (
            f"elpd of {self.question} {self.elpd:,.1f} ± {self.standard_error:,.1f} nats over "
            f"{len(self.rows):,} rows ({self.how}){effective}."
        )
        if not self.unsure:
            return said
        if len(self.unsure) > len(self.rows) / 2:
            far = f"{said} Not to be trusted: the draws, before any row is left out, are too far from the"
            if not self.refits:
                return (
                    f"{far} posterior, or each row has parameters of its own. Fit by a better guide, such as "
                    f"pyro.infer.autoguide.AutoMultivariateNormal(model), or by pyro.infer.NUTS(model)."
                )
            return (
                f"{far} posterior. Fit by a better guide, or by NUTS(); loo(posterior, by='refit') takes "
                f"{len(self.rows):,} fits."
            )
        some = ", ".join(map(str, self.unsure[:8])) + ("…" if len(self.unsure) > 8 else "")
        fits = f"{len(self.unsure)} fit{'s' * (len(self.unsure) > 1)}"
        mend = f"loo(posterior, refit=True) fits without each of them, {fits}."
        if not self.refits:
            mend = (
                f"Fit without each of them, {fits}: to_arviz(that fit, model, the row) has its "
                f"log_likelihood, the log of whose mean density over the draws takes the row's place."
            )
        return (
            f"{said} Not to be trusted for row{'s' * (len(self.unsure) > 1)} {some}: left out, the posterior "
            f"is too far from the draws. {mend}"
        )

    def figure(self, *, dark: bool = False) -> "Figure":
        """The rows' log densities, those not to be trusted marked, as `plot.leave_one_out`."""
        with plot.style(dark):
            drawn: Figure = plot.leave_one_out(self.rows, self.k_hat, limit=self.limit).figure  # type: ignore[assignment]
        return drawn

    def __str__(self) -> str:
        return f"{self.model}: {self.verdict()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        drawn = plot.inline(self.figure(), alt=self.verdict())
        return f"<p>{escape(str(self))}</p>{drawn}"


def fingerprint(values: Mapping[str, NDArray[Any]]) -> str:
    """A hash of numbers by name, nan where a cell is missing; a posterior's and its tree's are alike."""
    digest = hashlib.sha256()
    for name, array in sorted(values.items()):
        numbers = np.ascontiguousarray(array, dtype=float)
        digest.update(f"{name} {numbers.shape};".encode())
        digest.update(np.where(np.isnan(numbers), np.nan, numbers).tobytes())  # one nan of the many
    return digest.hexdigest()

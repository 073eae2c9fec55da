"""Whether a fitted classifier's probabilities come true, on rows that it has not seen."""

from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ppl_gen import plot
from ppl_gen.ask import ask
from ppl_gen.calibration import CalibrationCurve, calibration_curve
from ppl_gen.checks import called, whole
from ppl_gen.diagnostics.criticism.criteria import values_of
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.fit import fit
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior
from ppl_gen.progress import track

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIMULATED = 999


@dataclass(frozen=True, eq=False, repr=False)
class Reliability:
    """A classifier's probabilities against what came; made by `reliability`.

    Attributes:
        model: its name. how: where the probabilities come from.
        probs: of each row's classes (n, classes). y: what came (n,).
        curve: of the class decided for, bin by bin, with 95 % intervals.
        p_value: how often classes drawn with these very probabilities have an expected calibration error as
            large: it is not zero for a calibrated model either (Bröcker and Smith 2007).
    """

    model: str
    how: str
    probs: NDArray[Any]
    y: NDArray[Any]
    curve: CalibrationCurve
    p_value: float

    @property
    def confidence(self) -> tuple[float, float, float]:
        """Mean probability of the class decided for, share right, and the s.e. of their difference."""
        sure, right = self.probs.max(1), self.probs.argmax(1) == self.y
        return float(sure.mean()), float(right.mean()), float((right - sure).std() / len(self.y) ** 0.5)

    def verdict(self) -> str:
        """In plain words."""
        sure, right, error = self.confidence
        said = (
            f"The class decided for gets probability {sure:.3f} on average and is right in {right:.3f} ± "
            f"{error:.3f} of {len(self.y):,} rows ({self.how}). Expected calibration error "
            f"{self.curve.error:.3f}, "
        )
        if self.p_value > 0.05:
            return f"{said}what chance makes of a calibrated model (tail probability {self.p_value:.2g})."
        way = "over-confident" if sure > right else "under-confident"
        way = way if abs(sure - right) > 2 * error else "wrong in some bins, not on average"
        return f"{said}more than chance (tail probability {self.p_value:.2g}): {way}."

    def figure(self, *, dark: bool = False) -> "Figure":
        """The reliability diagram, as `plot.calibration`."""
        with plot.style(dark):
            drawn: Any = plot.calibration(self.probs, self.y, bins=len(self.curve.counts)).figure
        figure: Figure = drawn
        return figure

    def __str__(self) -> str:
        return f"{self.model}: {self.verdict()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        drawn = plot.inline(self.figure(), alt=self.verdict())
        return f"<p>{escape(str(self))}</p>{drawn}"


def reliability(
    posterior: Posterior,
    target: str = "y",
    /,
    *,
    folds: int = 5,
    bins: int = 10,
    seed: int = 0,
    progress: bool | None = None,
    **data: Any,
) -> Reliability:
    """How often a class predicted with probability p comes, on rows that were not fitted.

    Args:
        posterior: of any model that has p(target | everything else).
        target: the class variable.
        folds: parts of the fitted rows, each predicted by a fit, by the same method, to the others.
        bins: of the curve; see `calibration_curve`.
        seed: decides folds and simulations.
        progress: whether the fits show a bar.
        data: new rows by name, to be predicted by the posterior itself; no folds then.

    Raises:
        Unanswerable: the target is no class of a row.
        DataError: an argument is not as expected.

    >>> from ppl_gen import fit
    >>> from ppl_gen.data import wine
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> rows = wine().standardized()
    >>> found = reliability(fit(GaussianNaiveBayes(classes=3, features=13), x=rows.x, y=rows.y))
    >>> found.probs.shape, found.how
    ((178, 3), '5 folds')
    """
    if not isinstance(posterior, Posterior):
        raise DataError(f"posterior: expected what fit returned, got {called(posterior)}")
    site = posterior.sites.get(target)
    if site is None or not site.local or not site.levels:
        raise Unanswerable(f"{target!r} is no class of a row of {posterior.model.joint}")
    with isolated(whole("seed", seed, least=0)):
        rows = admit(posterior.model, data, missing=True, like=posterior) if data else posterior.fitted_data()
        order = torch.randperm(rows.n)
    if target not in rows.observed or target in rows.seen:
        raise DataError(f"{target}: expected a class for every row, to compare with")
    if data:
        probs, how = _probs(posterior, target, rows), "new rows"
    else:
        if posterior.yesterday is not None:
            raise DataError("folds: this posterior continues an earlier one; pass new rows by name")
        if whole("folds", folds, least=2) > rows.n:
            raise DataError(f"folds: expected at most one for each of {rows.n} rows, got {folds}")
        method = posterior.method
        if hasattr(method, "progress"):
            method = replace(method, progress=False)
        probs, how = torch.zeros(rows.n, site.levels, dtype=torch.float64), f"{folds} folds"
        for part in track(list(order.tensor_split(folds)), "reliability", progress):
            seen = torch.ones(rows.n, dtype=torch.bool)
            seen[part] = False
            others = rows.take(seen.nonzero().flatten())
            without = fit(posterior.prior, method, **values_of(others))
            probs[part] = _probs(without, target, rows.take(part)).double()
    p, y = probs.numpy(force=True).astype(float), rows.observed[target].numpy(force=True).astype(int)
    p = p / p.sum(1, keepdims=True)
    curve = calibration_curve(p, y, bins=bins)
    rng = np.random.default_rng(seed)
    drawn = (rng.random((SIMULATED, len(y), 1)) > p.cumsum(1)[:, :-1]).sum(2)
    errors = np.array([calibration_curve(p, each, bins=bins).error for each in drawn])
    share = (1 + (errors >= curve.error - 1e-12).sum()) / (SIMULATED + 1)
    return Reliability(type(posterior.model).__name__, how, p, y, curve, float(share))


def _probs(posterior: Posterior, target: str, rows: Data) -> torch.Tensor:
    given = {name: v for name, v in values_of(rows).items() if name != target and name in rows.rows}
    given |= {name: rows.inputs[name] for name in Factorization(posterior.model.joint).given}
    found: torch.Tensor = ask(posterior, f"p({target} | {', '.join(given)})", **given).probs
    return found

"""LOO-PIT: where each value lies in what the model predicts for it from all others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_gen import plot
from ppl_gen.checks import called
from ppl_gen.diagnostics.criticism.loo import DRAWS, loo, smoothed, tree_of_fit
from ppl_gen.diagnostics.criticism.of_trees import tree_predictions
from ppl_gen.diagnostics.criticism.replications import Array, arrays_of, drawn_rows, targets_of
from ppl_gen.diagnostics.criticism.uniformity import Uniformity, uniformity
from ppl_gen.diagnostics.trees.arviz_bridge import is_tree
from ppl_gen.diagnostics.trees.trees import of_bare_pyro
from ppl_gen.errors import DataError
from ppl_gen.inference import PyroFit
from ppl_gen.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class LooPit:
    """Probability integral transforms of each column against the uniform distribution; made by `loo_pit`.

    Attributes:
        model: its name.
        found: column -> its `Uniformity`; ``.values`` are the transforms of the rows whose cell is there.
        level: of all columns together. how: how they were obtained. unsure: rows whose k-hat is too high.
    """

    model: str
    found: Mapping[str, Uniformity]
    level: float
    how: str
    unsure: tuple[int, ...]

    def __getitem__(self, name: str) -> Uniformity:
        if name not in self.found:
            raise DataError(f"expected one of {', '.join(self.found)}, got {name!r}")
        return self.found[name]

    @property
    def misfit(self) -> tuple[str, ...]:
        """Columns that leave the envelope, the least probable first; the level holds for all together."""
        order = sorted(self.found, key=lambda name: self.found[name].p_value)
        return tuple(name for name in order if not self.found[name].inside)

    def table(self) -> "DataFrame":
        """One row for each column, the least probable first."""
        from pandas import DataFrame

        rows = [
            (name, len(u.values), u.p_value, min(1.0, u.p_value * len(self.found)), *u.moments)
            for name, u in sorted(self.found.items(), key=lambda item: item[1].p_value)
        ]
        return DataFrame(
            rows, columns=["column", "rows", "tail probability", "adjusted", "shift (z)", "spread (z)"]
        )

    def verdict(self) -> str:
        """Whether predictions are calibrated, and how they fail, in plain words."""
        flagged = self.misfit
        if flagged:
            told = "; ".join(f"{name}: {_shape(self.found[name])}" for name in flagged[:5])
            more = f"; and {len(flagged) - 5} more" if len(flagged) > 5 else ""
            share = f"{len(flagged)} of {len(self.found)} columns"
            said = f"Predictions of {share} are not calibrated. {told}{more}."
        else:
            count = f"all {len(self.found)} columns" if len(self.found) > 1 else next(iter(self.found))
            said = f"Predictions of {count} are calibrated, as far as {self._rows} rows can tell."
        bad = f" k-hat is too high for {len(self.unsure)} rows." if self.unsure else ""
        return f"{said}{bad}"

    @property
    def _rows(self) -> int:
        return max(len(u.values) for u in self.found.values())

    def figure(self, *, dark: bool = False) -> "Figure":
        """The nine least probable columns' distribution functions, less the uniform one, in envelopes."""
        shown = sorted(self.found, key=lambda name: self.found[name].p_value)[:9]
        with plot.style(dark):
            curves = {name: self.found[name] for name in shown}
            return plot.uniform({k: (u.points, u.ecdf, u.low, u.high) for k, u in curves.items()}, "LOO-PIT")

    def __str__(self) -> str:
        table = self.table().head(12).to_string(index=False, float_format=lambda v: f"{v:.3g}")
        return f"{self.model}, LOO-PIT ({self.how})\n{self.verdict()}\n{table}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        drawn = plot.inline(self.figure(), alt=self.verdict())
        table = self.table().to_html(index=False, border=0, float_format=lambda v: f"{v:.3g}")
        return f"<p>{escape(self.model)}, LOO-PIT. {escape(self.verdict())}</p>{drawn}{table}"


def loo_pit(posterior: Any, /, *, draws: int | None = None, seed: int = 0, level: float = 0.95) -> LooPit:
    """The probability, predicted from all other rows, of a value at or below the one observed: uniform?

    Draws of the posterior are weighted as by `loo`; under each, a value is drawn for every cell that is
    there, what hides behind the row drawn anew. The transform of a cell is the weight of draws below it;
    of those equal to it, as codes and counts are, a random part (Czado, Gneiting and Held 2009). A joint of
    several columns has one for each. The envelope holds at all points, and for all columns at once, with
    probability ``level`` under independent uniform transforms (Säilynoja, Bürkner and Vehtari 2022; divided
    among the columns by Bonferroni). Leave-one-out transforms depend weakly on one another.

    Args:
        posterior: what `fit` returned, with its data, or `fit_pyro`; or a tree with log_likelihood,
            observed_data and posterior_predictive.
        draws: of the posterior [1000, or those of the tree]. seed: decides them, and the random parts.
        level: of the envelopes.

    Raises:
        Unanswerable: there are no draws to reweight.
        DataError: an argument is not as expected.

    >>> import torch
    >>> from ppl_gen import fit
    >>> from ppl_gen.models import GaussianMixture
    >>> x = torch.cat([torch.linspace(-1, 1, 60), torch.linspace(-30, 30, 40)])[:, None]
    >>> one = fit(GaussianMixture(components=1, features=1), x=x, z=torch.zeros(100))
    >>> loo_pit(one, draws=200).misfit
    ('x[0]',)
    """
    if not 0 < level < 1:
        raise DataError(f"level: expected a number between 0 and 1, got {level!r}")
    if isinstance(posterior, PyroFit):
        count = DRAWS if draws is None else draws
        posterior, draws = tree_of_fit(posterior, count, seed, "posterior_predictive"), None
    if is_tree(posterior):
        if draws is not None:
            raise DataError("draws: a tree has draws of its own")
        left_out = loo(posterior)
        weights, observed, drawn = tree_predictions(posterior)
    elif isinstance(posterior, Posterior):
        left_out, found = smoothed(posterior, None, DRAWS if draws is None else draws, seed)
        data = posterior.fitted_data()
        weights = found.log_weights.exp().numpy()
        observed = {name: v for name, v in arrays_of(data).items() if name in targets_of(data)}
        drawn = drawn_rows(posterior, data, found.parameters, seed)
    else:
        raise DataError(
            f"posterior: expected what fit, fit_pyro or to_arviz returned, got {called(posterior)}"
            f"{of_bare_pyro(posterior)}"
        )
    how = left_out.how.partition(";")[0]
    return LooPit(
        left_out.model, _transforms(weights, observed, drawn, seed, level), level, how, left_out.unsure
    )


def _transforms(
    weights: Array,
    observed: Mapping[str, Array],
    drawn: Iterable[Mapping[str, Array]],
    seed: int,
    level: float,
) -> dict[str, Uniformity]:
    """Column -> the transforms of its cells; ``weights`` (draws, n), the other arrays (n, …)."""
    below = {name: np.zeros_like(v) for name, v in observed.items()}
    equal = {name: np.zeros_like(v) for name, v in observed.items()}
    for weight, rows in zip(weights, drawn, strict=True):
        for name, value in observed.items():
            w = weight.reshape(-1, *[1] * (value.ndim - 1))
            below[name] += w * (rows[name] < value)
            equal[name] += w * (rows[name] == value)
    generator, found = np.random.default_rng(seed), {}
    columns = sum(v[0].size for v in observed.values())
    for name, value in observed.items():
        # The value itself counts as one more draw, so that ranks are uniform.
        share = generator.random(value.shape)
        pit = (below[name] + share * (equal[name] + 1 / len(weights))) / (1 + 1 / len(weights))
        each = pit.reshape(len(pit), -1)
        there = ~np.isnan(value.reshape(len(pit), -1))
        for j, column in enumerate(each.T):
            label = name if value.ndim == 1 else f"{name}[{j}]"
            if there[:, j].any():
                u = column[there[:, j]].clip(0, 1)
                found[label] = uniformity(u, level=1 - (1 - level) / columns)
    return found


def _shape(u: Uniformity) -> str:
    """How values crowd, in words."""
    shift, spread = u.moments
    if max(abs(shift), abs(spread)) < 3:
        return "predictions have the wrong shape"
    if abs(spread) >= abs(shift):
        return (
            "predictions are too narrow (values in both tails)"
            if spread > 0
            else "predictions are too wide (values in the middle)"
        )
    return "predictions are too low" if shift > 0 else "predictions are too high"

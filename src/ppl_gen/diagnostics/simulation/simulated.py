"""What simulation-based calibration found: where the truth lay in each posterior, tests, and words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ppl_gen.diagnostics.criticism.uniformity import Array, ecdf_envelope
from ppl_gen.diagnostics.simulation.calibration_tests import (
    SHARES,
    calibration_power,
    holm,
    normal_scores,
    symmetry,
    three_tests,
)
from ppl_gen.diagnostics.simulation.coverage import LEVELS, coverage
from ppl_gen.diagnostics.simulation.quantities import LIKELIHOOD
from ppl_gen.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import xarray
    from matplotlib.figure import Figure

SHOWN = 4  # faults of a kind that are named
BEYOND = 0.2  # share of truths outside all draws from which their ranks no longer tell how far
TOO_FEW = 50  # simulations that find large faults only


class Finding(NamedTuple):
    """One quantity: p-values that hold for all together, and how large the fault looks.

    Attributes:
        bias, spread, shape: p-values (Holm), of the sum of z, of z², and of the ECDF.
        shift: mean of z: how far the truth lies above the posterior's mean, in its sds.
        ratio: 1 / sd of z: the posterior's sd, in units of the right one.
        faults: which of bias, spread and shape to name. A wrong sd alone may make the sum of z too large,
            and a bias that of z², so each is named only where it stands out beside the other.
    """

    bias: float
    spread: float
    shape: float
    shift: float
    ratio: float
    faults: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedCalibration:
    """Where the truth lay among the draws of each posterior; made by `simulation_based_calibration`.

    For each quantity three tests look at u, the truth's place among the draws, and at z, its normal score:
    is the mean of z zero (bias), that of z² one (spread), and is u's distribution function inside the band
    (shape)? Their p-values are exact for posteriors of any shape, and are adjusted (Holm 1979) so that with
    probability ``false_alarm`` at most anything at all is found where all posteriors are right.

    Attributes:
        names: of the quantities. index: of the simulations that could be fitted.
        below, equal: draws below the truth and equal to it (simulations, quantities): the ranks.
        u: the truth's place, uniform on (0, 1) where posteriors are right, alike.
        z: (truth - mean) / sd of the draws, alike.
        draws: of each posterior (simulations,).
        failures: simulation -> the error that its fit ended in. warned: simulation -> its fit's warnings.
        asked: simulations that were asked for; there are fewer after Ctrl-C.
    """

    model: str
    joint: str
    method: str
    names: tuple[str, ...]
    index: Array
    below: Array
    equal: Array
    u: Array
    z: Array
    draws: Array
    failures: Mapping[int, str] = field(default_factory=dict)
    warned: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    asked: int = 0
    false_alarm: float = 0.05
    seed: int = 0
    plan: Any = None

    @property
    def simulations(self) -> int:
        """How many could be fitted."""
        return len(self.u)

    @cached_property
    def findings(self) -> dict[str, Finding]:
        """Name -> its p-values and sizes."""
        raw = [three_tests(u) for u in self.u.T]
        shares = [SHARES[test] for _ in raw for test in SHARES]
        adjusted = np.reshape(
            holm([getattr(p, test) for p in raw for test in SHARES], shares), (len(raw), -1)
        )
        return {name: self._found(i, *adjusted[i].tolist()) for i, name in enumerate(self.names)}

    def _found(self, i: int, bias: float, spread: float, shape: float) -> Finding:
        from scipy.stats import chi2, t

        p_values = dict(zip(SHARES, (bias, spread, shape), strict=True))
        beyond = (self.below[:, i] == 0) | (self.below[:, i] + self.equal[:, i] == self.draws)
        z = self.z[np.isfinite(self.z[:, i]), i]
        if beyond.mean() < BEYOND or len(z) < 2:
            z = normal_scores(self.u[:, i])
        mean, sd, size = float(z.mean()), float(z.std(ddof=1)), len(z)
        squares, level = (size - 1) * sd**2, self.false_alarm / len(self.names)
        alone = {
            "bias": 2 * t.sf(abs(mean) / sd * size**0.5, size - 1) <= level,
            "spread": 2 * min(chi2.cdf(squares, size - 1), chi2.sf(squares, size - 1)) <= level,
            "shape": False,  # a part of the others' faults, if they have any
        }
        found = [test for test, p in p_values.items() if p <= self.false_alarm]
        named = [test for test in found if alone[test]] or sorted(found, key=p_values.__getitem__)[:1]
        return Finding(bias, spread, shape, mean, 1 / sd, tuple(named))

    @property
    def passed(self) -> bool:
        """Whether no test found anything."""
        return not any(f.faults for f in self.findings.values())

    def table(self) -> "pd.DataFrame":
        """One row for each quantity: mean and sd of z, and the adjusted p-values of the three tests."""
        import pandas as pd

        rows = [(f.shift, f.ratio, f.bias, f.spread, f.shape, _said(f)) for f in self.findings.values()]
        columns = ["mean of z", "sd / right sd", "p bias", "p spread", "p shape", "fault"]
        return pd.DataFrame(rows, columns=columns, index=pd.Index(self.names, name="quantity"))

    def coverage(self, levels: Sequence[float] = LEVELS) -> "pd.DataFrame":
        """Nominal against observed coverage of central credible intervals, as `diagnostics.coverage`."""
        return coverage(dict(zip(self.names, self.u.T, strict=True)), levels)

    def vsbc(self) -> "pd.DataFrame":
        """The variational form (Yao et al. 2018): is the histogram of u symmetric, and if not, to which side?

        The spread of a mean field is known to be too small, so uniformity is too much to ask. Where u is
        symmetric about a half, the approximation's location may yet be trusted on average; where the mean of
        u is above a half, it lies below the truth. p-values (Butler 1969) hold together (Holm 1979).
        """
        import pandas as pd

        adjusted = holm([symmetry(u) for u in self.u.T])
        rows = [
            (mean, p, "" if p > self.false_alarm else "too low" if mean > 0.5 else "too high")
            for mean, p in zip(self.u.mean(0).tolist(), adjusted, strict=True)
        ]
        columns = ["mean of u", "p symmetry", "location"]
        return pd.DataFrame(rows, columns=columns, index=pd.Index(self.names, name="quantity"))

    def simulated(self, index: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The truth and the data of one simulation, such as one whose fit failed."""
        if not 0 <= index < self.asked:
            raise DataError(f"index: expected a simulation from 0 to {self.asked - 1}, got {index!r}")
        latents, data = self.plan.data(index)
        return latents, data

    # In words -----------------------------------------------------------------------------------------------

    def _faults(self) -> list[str]:
        """One clause for each kind of fault of the parameters, largest first."""
        found = {name: f for name, f in self.findings.items() if name != LIKELIHOOD}
        shifts = {name: f.shift for name, f in found.items() if "bias" in f.faults}
        ratios = {name: f.ratio for name, f in found.items() if "spread" in f.faults}
        kinds = [
            ("sds too small: {}", "{} by about {:.0%}", {k: 1 - r for k, r in ratios.items() if r < 1}),
            ("sds too large: {}", "{} by about {:.0%}", {k: r - 1 for k, r in ratios.items() if r >= 1}),
            ("too low: {}", "{} by about {:.2g} sds", {k: z for k, z in shifts.items() if z > 0}),
            ("too high: {}", "{} by about {:.2g} sds", {k: -z for k, z in shifts.items() if z < 0}),
            ("wrong shape: {}", "{}", {k: -f.shape for k, f in found.items() if "shape" in f.faults}),
        ]
        return [kind.format(_listed(form, sizes)) for kind, form, sizes in kinds if sizes]

    def verdict(self) -> str:
        """In plain words: what is wrong, by how much, what to do; or what would have been found."""
        lines = [self._judged()]
        if self.simulations + len(self.failures) < self.asked:
            lines.append(f"Stopped by hand after {self.simulations + len(self.failures)} of {self.asked}.")
        if self.failures:
            (common, count), *_ = Counter(self.failures.values()).most_common(1)
            lines.append(
                f"{len(self.failures)} of {self.simulations + len(self.failures)} fits failed, and what is "
                f"said is about the others. {count} times: {common} (simulation "
                f"{next(i for i, why in self.failures.items() if why == common)})."
            )
        if self.warned:
            every = Counter(text for texts in self.warned.values() for text in texts)
            lines.append(
                f"{len(self.warned)} fits warned, the first: {next(iter(every))} "
                f"(simulation {next(iter(self.warned))})."
            )
        return "\n".join(lines)

    def _judged(self) -> str:
        size = f"{self.simulations} simulations, {self._draws()} draws each"
        if self.passed:
            options: dict[str, Any] = {"quantities": len(self.names), "false_alarm": self.false_alarm}
            at = self.simulations, int(np.median(self.draws))
            narrow, off = (
                calibration_power(*at, sd=0.8, **options),
                calibration_power(*at, bias=0.3, **options),
            )
            few = " That is little: take more simulations." if self.simulations < TOO_FEW else ""
            return (
                f"no fault found: the posteriors by {self.method} are right as far as {size} can tell. At "
                f"this size an sd 20 % too small in one quantity would be found with probability "
                f"{narrow:.2f}, a bias of 0.3 sds with {off:.2f}.{few}"
            )
        said, fit = self._faults(), self.findings.get(LIKELIHOOD)
        if fit and fit.faults:
            direction = "worse than" if fit.shift > 0 else "better than"
            said.append(f"draws fit the data {direction if 'bias' in fit.faults else 'unlike'} the truth")
        return f"{'; '.join(said)} ({size}). {self._advice()}"

    def _advice(self) -> str:
        told = [f for name, f in self.findings.items() if name != LIKELIHOOD]
        kinds = {kind for f in told for kind in f.faults}
        if kinds == {"spread"} and min(f.bias for f in told) > self.false_alarm:
            richer = ' Try SVI(guide="full_rank") or NUTS().' if "NUTS" not in self.method else ""
            if "full_rank" in self.method:
                richer = " Try more steps, or NUTS()."
            return f"Use {self.method} here for means, not for sds and intervals.{richer}"
        return (
            f"Do not use {self.method} here before that is explained: by too few steps or draws, by a guide "
            f"too poor, or by a mistake. Mend it, and ask again with the same seed."
        )

    def _draws(self) -> str:
        low, high = int(self.draws.min()), int(self.draws.max())
        return f"{low}" if low == high else f"{low} to {high}"

    def to_arviz(self) -> "xarray.DataTree":
        """The truths' places as a tree, for ``arviz_plots.plot_ecdf_pit`` and `plot.rank_ecdf`.

        The group prior_sbc has a variable (chain, draw) of each quantity, a draw being a simulation;
        prior_sbc_envelope has the band that their distribution functions should keep to (point,).
        """
        import xarray

        places = {name: (("chain", "draw"), u[None]) for name, u in zip(self.names, self.u.T, strict=True)}
        point, low, high = self._envelope()
        band = {"low": ("point", low), "high": ("point", high)}
        return xarray.DataTree.from_dict(
            {
                "prior_sbc": xarray.Dataset(places, coords={"chain": [0], "draw": self.index}),
                "prior_sbc_envelope": xarray.Dataset(band, coords={"point": point}),
            }
        )

    def _envelope(self) -> tuple[Array, Array, Array]:
        """Of one quantity, at its share of the false alarms."""
        level = self.false_alarm * SHARES["shape"] / sum(SHARES.values()) / len(self.names)
        return ecdf_envelope(self.simulations, 1 - level)[:3]

    def figure(self, dark: bool = False) -> "Figure":
        """ECDFs of u with their band, histogram of z and coverage, as `plot.simulated_calibration`."""
        from ppl_gen import plot

        order = sorted(self.names, key=lambda name: min(self.findings[name][:3]))
        with plot.style(dark):
            return plot.simulated_calibration(
                dict(zip(self.names, self.u.T, strict=True)),
                self._envelope(),
                wrong=[name for name in order if self.findings[name].faults],
                table=self.coverage(),
            )

    def __str__(self) -> str:
        head = f"{self.model} by {self.method}: {self.joint}"
        return f"{head}\n{self._shown().to_string()}\n{self.verdict()}"

    __repr__ = __str__

    def _shown(self) -> "pd.DataFrame":
        forms = {"mean of z": "{:+.2f}", "sd / right sd": "{:.2f}"}
        table = self.table()
        for column in table.columns[:-1]:
            form = forms.get(column, "{:.2g}")
            table[column] = [form.format(value) for value in table[column]]
        return table

    def _repr_html_(self) -> str:

        from ppl_gen import plot

        drawing = plot.inline(self.figure(), alt=self.verdict())
        words = escape(self.verdict()).replace("\n", "<br>")
        return f"<p>{words}</p>{self._shown().to_html(border=0)}{drawing}"


def _said(f: Finding) -> str:
    """A cell of the table."""
    said = {
        "bias": f"{abs(f.shift):.2g} sds too {'low' if f.shift > 0 else 'high'}",
        "spread": f"sd {abs(1 - f.ratio):.0%} too {'small' if f.ratio < 1 else 'large'}",
        "shape": "wrong shape",
    }
    return ", ".join(said[fault] for fault in f.faults)


def _listed(form: str, sizes: Mapping[str, float]) -> str:
    ordered = sorted(sizes.items(), key=lambda item: -item[1])
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(form.format(*item) for item in ordered[:SHOWN]) + more

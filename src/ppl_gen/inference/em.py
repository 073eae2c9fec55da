"""Expectation-maximisation: the conjugate update of labels that are known only in part."""

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ppl_gen import ranks
from ppl_gen.checks import called, hyperparameter, whole
from ppl_gen.core import ProbabilisticModel, is_local, run, variables
from ppl_gen.errors import DataError, Interrupted, NonFinite, Unanswerable, Unreliable
from ppl_gen.inference.exact import together
from ppl_gen.inference.guides import Point
from ppl_gen.inference.hidden import HiddenLabels
from ppl_gen.inference.method import Fitted
from ppl_gen.inference.signals import Signals
from ppl_gen.inputs import Data

SHORT = 20  # steps of every start before the best goes on
ALIKE = 1e-2  # nats within which two components give every row the same density


@dataclass(frozen=True)
class EM:
    """The most likely parameters where the rows' labels are hidden, in whole or in part.

    The E step gives each row the exact probabilities of its labels, the M step counts the rows with these as
    weights, by the model's own conjugate update: `MaximumLikelihood` with soft labels. No step lowers the
    likelihood, or with ``prior`` the density of the parameters given the rows (Dempster, Laird and Rubin
    1977; Bishop 2006, section 9.4). Missing cells are left out exactly, each by itself; under a full or tied
    covariance they are expected given the others of their row (Ghahramani and Jordan 1994), also where all
    labels are known. The posterior's ``elbo`` is the history of that log likelihood (log joint), to which the
    bound of the E step is equal.

    Args:
        steps: at most, of the start that is kept.
        tolerance: stop when a step gains less than this, in nats a row.
        restarts: starts by k-means++; each climbs a few steps, and the best climbs on.
        prior: False finds the maximum of the likelihood; True that of the posterior density of the parameters
            as the joint names them (MAP), for which every prior must have a peak inside.
        smoothing: of the maximum of the likelihood, as in `MaximumLikelihood`: the share of a variance over
            all rows that is added to every variance, so that no component shrinks to a point; for counts,
            what is added to each.
        ridge: added to every variance of real features, in squared units of the data.
        start: the parameters to start from, by name, in the place of k-means++.
        seed: decides the starts.
        chunk: rows that are looked at together.

    >>> from ppl_gen import ask, fit
    >>> from ppl_gen.models import GaussianMixture
    >>> x = [[0.0], [0.2], [0.4], [9.0], [9.4]]
    >>> posterior = fit(GaussianMixture(components=2, features=1), EM(), x=x)
    >>> sorted(round(mean, 3) for mean in posterior.point["mu"].flatten().tolist())
    [0.2, 9.2]
    """

    steps: int = 1000
    tolerance: float = 1e-8
    restarts: int = 10
    prior: bool = False
    smoothing: float = 1e-9
    ridge: float = 0.0
    start: Mapping[str, Any] | None = None
    seed: int = 0
    chunk: int = 131_072

    def __post_init__(self) -> None:
        for name in ("steps", "restarts", "chunk"):
            whole(name, getattr(self, name))
        whole("seed", self.seed, least=0)
        for name in ("tolerance", "smoothing", "ridge"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise DataError(f"{name}: expected a number from 0 up, got {value!r}")

    def fit(self, start: ProbabilisticModel, guide: Any, data: Data, prior: Any = None) -> Fitted:
        """Climb from ``guide``, a point found before, or from starts of its own."""
        climb = _Climb(self, start, HiddenLabels(self, start, data, self.chunk))
        with torch.no_grad(), climb.signals:
            if isinstance(guide, Point):
                _, counted, _ = climb.step(guide.values)
                best, spread = climb.up(counted, self.steps), ""
            elif self.start is not None:
                best, spread = climb.on(self._admitted(climb)), ""
            else:
                best, spread = self._best(climb)
            if ranks.main():
                climb.warn(best)
        if climb.signals.pressed:
            best = best._replace(reason=f"stopped by hand after {len(best.history)} of {self.steps} steps")
            warnings.warn(f"EM {best.reason}; what it had is returned", Interrupted, stacklevel=4)
        note = f"{best.reason}{spread}"
        history = torch.tensor(best.history, dtype=torch.float64)
        return Fitted(start, Point(best.counted, best.values), history, None, note)

    def _admitted(self, climb: "_Climb") -> dict[str, Tensor]:
        """The parameters to start from, as the joint names and shapes them."""
        sites = {name: site for name, site in climb.labels.data.sites.items() if not site.local}
        if not isinstance(self.start, Mapping) or self.start.keys() != sites.keys():
            came = list(self.start) if isinstance(self.start, Mapping) else called(self.start)
            raise DataError(f"start: expected a value for each of {', '.join(sites)}, got {came}")
        values = {}
        for name, site in sites.items():
            value = hyperparameter(f"start: {name}", self.start[name], site.event_shape, above_zero=False)
            if not bool(site.support.check(value).all()):
                raise DataError(f"start: expected {name} in its range, {site.support}, got {value.tolist()}")
            values[name] = value
        return values

    def _best(self, climb: "_Climb") -> tuple["_Ascent", str]:
        """The best of several starts, taken further; one that shrank to a point only if all did."""
        starts = climb.signals.until_pressed(range(1 if climb.labels.known else self.restarts))
        tried = [climb.up(climb.counted(climb.labels.nearest()), min(SHORT, self.steps)) for _ in starts]
        tried.sort(key=lambda ascent: -ascent.history[-1])
        ends = [ascent.history[-1] for ascent in tried]
        spread = f"; {len(ends)} starts came to {ends[-1]:,.3f} … {ends[0]:,.3f}" if len(ends) > 1 else ""
        done: list[_Ascent] = []
        for ascent in tried:
            further = self.steps - len(ascent.history)
            ended = ascent.ended or climb.signals.pressed
            done.append(climb.up(ascent.after, further, ascent) if further and not ended else ascent)
            if not climb.shrunk(done[-1]):
                passed = len(done) - 1
                left_out = (
                    f", of which {passed} shrank to a point and {'were' if passed > 1 else 'was'} left out"
                )
                return done[-1], spread + left_out * (passed > 0)
        return max(done, key=lambda ascent: ascent.history[-1]), spread


class _Ascent(NamedTuple):
    """Where a climb stands: the parameters, the counts they come from, and the counts that they lead to."""

    values: dict[str, Tensor]
    counted: Any
    after: Any
    rows: Tensor  # that belong to each label
    history: list[float]
    reason: str
    ended: bool


class _Climb:
    """E and M steps on one model and data set."""

    def __init__(self, method: EM, p: Any, labels: HiddenLabels):
        self.method, self.p, self.labels, self.signals = method, p, labels, Signals("EM")
        if not method.prior and not hasattr(p, "point"):
            raise Unanswerable(f"{type(p).__name__} declares no point of maximum likelihood: EM(prior=True)")
        self.base = p if method.prior else p.flat()
        for name, seen in labels.data.seen.items() if not method.prior else ():
            if name != labels.name and not bool(seen.any(0).all()):
                raise DataError(
                    f"{name}: expected at least one cell in every column, got none in column "
                    f"{int(seen.any(0).int().argmin())}, whose parameters the likelihood leaves open: drop "
                    f"it, or use EM(prior=True) or VariationalBayes()"
                )

    def counted(self, weights: Iterable[Tensor]) -> Any:
        """The model updated by all rows, with these weights of their labels, a start."""
        after = self.base
        for rows, w in zip(self.labels.rows, weights, strict=True):
            after, _ = after.completed({}, **rows, **{self.labels.name: w})
        return together(after, self.base)

    def point(self, counted: Any, smoothing: float | None = None) -> dict[str, Tensor]:
        """The M step: where the density of the counted rows peaks."""
        if not self.method.prior:
            ridge = self.method.ridge if smoothing is None else 0.0
            smoothing = self.method.smoothing if smoothing is None else smoothing
            if not ridge:
                found: dict[str, Tensor] = counted.point(smoothing)
                return found
            try:
                found = counted.point(smoothing, ridge=ridge)
            except TypeError:
                raise DataError(
                    f"ridge: {type(self.p).__name__} has no variances of its own to add it to; leave it at 0"
                ) from None
            return found
        found = counted.mode()
        for name, value in found.items():
            inside = self.labels.data.sites[name].support.check(value)
            if not bool(torch.isfinite(value).all() and inside.all()):
                raise DataError(
                    f"prior: expected one whose density of {name} has a peak inside its range for EM to "
                    f"find; raise its shape or pseudo-counts, or use EM(prior=False) or VariationalBayes()"
                )
        return found

    def step(self, values: dict[str, Tensor]) -> tuple[float, Any, Tensor]:
        """The objective at ``values``, and what the E step there counts."""
        total, after, rows = 0.0, self.base, torch.zeros(len(self.labels.values))
        for part, cells in zip(self.labels.parts, self.labels.rows, strict=True):
            evidence, weights = self.labels.weigh(*self.labels.scores(self.p, values, part))
            total += float(evidence.sum())
            rows = rows + weights.sum(1)
            after, _ = after.completed(values, **cells, **{self.labels.name: weights.mT})
        total, rows = ranks.total(total), ranks.total(rows)
        return total + self.log_prior(values), together(after, self.base), rows

    def log_prior(self, values: dict[str, Tensor]) -> float:
        """log p(parameters), as the model's program has it; 0 for the maximum of the likelihood."""
        if not self.method.prior:
            return 0.0
        found = variables(run(self.p.model, {"n": 1}, values))
        return float(
            sum(site["fn"].log_prob(site["value"]).sum() for site in found.values() if not is_local(site))
        )

    def on(self, values: dict[str, Tensor]) -> _Ascent:
        """All steps of the method, from these parameters."""
        objective, after, rows = self.step(values)
        first = _Ascent(values, after, after, rows, [objective], "stopped after 1 step, its start", False)
        left = self.method.steps - 1
        return self.up(after, left, first) if left else first

    def up(self, counted: Any, steps: int, before: _Ascent | None = None) -> _Ascent:
        """At most ``steps`` M and E steps from the counts."""
        history = list(before.history) if before else []
        n, reason, ended = self.labels.data.n, "", False
        for _ in self.signals.until_pressed(range(steps)):
            values = self.point(counted)
            objective, after, rows = self.step(values)
            if not math.isfinite(objective):
                raise NonFinite(
                    f"{', '.join(self.labels.data.rows)}: expected rows of which the variances can be told "
                    f"from 0; EM met a log likelihood of {objective} at step {len(history)}: drop constant "
                    f"columns, rescale, or use EM(prior=True)",
                    step=len(history),
                    site=self.labels.name,
                )
            history.append(objective)
            gain = (history[-1] - history[-2]) / n if len(history) > 1 else math.inf
            ended = gain < self.method.tolerance
            here = _Ascent(values, counted, after, rows, history, "", ended)
            if ended:
                break
            counted = after
        steps_done = f"{len(history)} step{'s' * (len(history) > 1)}"
        reason = (
            f"converged after {steps_done}: the last gained {max(gain, 0):.1g} nats a row"
            if ended
            else f"not converged: stopped after {steps_done}, the last of which gained {gain:.1g} nats a row"
        )
        return here._replace(reason=reason)

    def shrunk(self, ascent: _Ascent) -> list[int]:
        """Components that the smoothing keeps from a point: without it they are half as wide, or less."""
        if self.method.prior or len(ascent.history) < 2:  # a start is what it was chosen to be
            return []
        try:
            bare = self.point(ascent.counted, smoothing=0.0)
        except DataError:
            return list(range(len(self.labels.values)))
        found = torch.zeros(len(self.labels.values), dtype=torch.bool)
        for name, value in ascent.values.items():
            if value.dim() and len(value) == len(found):
                one, other = (_narrowness(cells) for cells in (value, bare[name]))
                narrower = (other > 2 * one.abs()).reshape(len(found), -1).any(1)  # nan: no cell was counted
                found |= narrower & (ascent.rows >= 0.5)
        return found.nonzero().flatten().tolist()

    def warn(self, ascent: _Ascent) -> None:
        """Name components that are empty, alike, or shrunk to a point."""
        name, found = self.labels.name, []
        empty = (ascent.rows < 0.5).nonzero().flatten().tolist()
        if empty:
            rows = f"{float(ascent.rows[empty].max()):.1g} rows{' at most' * (len(empty) > 1)}"
            found.append(f"{_listed(name, empty, 'is', 'are')} empty ({rows})")
        part = self.labels.parts[0].take(slice(0, 1000))
        _, scores = self.labels.scores(self.p, ascent.values, part)
        for k in range(len(scores)):
            for other in range(k):
                both = torch.isfinite(scores[k]) & torch.isfinite(scores[other])
                alike = bool(((scores[k] - scores[other])[both].abs() < ALIKE).all())
                if alike and bool(both.any()) and k not in empty and other not in empty:
                    found.append(f"{name} = {other} and {name} = {k} are the same component")
        if shrunk := self.shrunk(ascent):
            found.append(
                f"{_listed(name, shrunk, 'has', 'have')} shrunk to a point, which smoothing alone keeps wide"
            )
        if found:
            warnings.warn(
                f"EM: {'; '.join(found)}. Take fewer components, or EM(prior=True)", Unreliable, stacklevel=5
            )


def _listed(name: str, places: list[int], one: str, several: str) -> str:
    """Components and a verb.

    >>> _listed("z", [4], "has", "have"), _listed("z", [4, 7], "has", "have")
    ('z = 4 has', 'z = 4, 7 have')
    """
    more = f" and {len(places) - 12} more" * (len(places) > 12)
    return f"{name} = {', '.join(map(str, places[:12]))}{more} {one if len(places) == 1 else several}"


def _narrowness(value: Tensor) -> Tensor:
    """What grows without bound as a component shrinks: a precision, or one over the diagonal of a factor."""
    return 1 / value.diagonal(dim1=-2, dim2=-1) if value.dim() == 3 else value

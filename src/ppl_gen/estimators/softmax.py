"""The joint of softmax regression at one point after the other: its height, slope and curvature by hand."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from ppl_gen.arrays import as_tensor
from ppl_gen.estimators.starting import Array
from ppl_gen.inference import MAP, Laplace
from ppl_gen.inference.guides import Mode, make_guide
from ppl_gen.inputs import describe
from ppl_gen.isolation import isolated
from ppl_gen.models import LogisticRegression
from ppl_gen.posterior import Posterior

AT_ONCE = 1 << 17  # numbers that curvatures of several pairs of classes may take in between
GAIN = 1e-10  # nats that a Newton step could still gain where the mode counts as found


class Peak(NamedTuple):
    """Where a climb ended: at ``w`` (terms, classes), after ``steps``, and whether that is the mode."""

    w: Tensor
    steps: int
    converged: bool


class Softmax:
    """log p(y, w | x) of a `LogisticRegression`, in nats, as a function of ``w`` (terms, classes).

    Args:
        x: rows (n, features). codes: their classes (n,).
        centre, spread: the units of the features (features,).
        scale: prior standard deviations (terms, classes); a term more than features is the intercept.
        weights: how often each row counts (n,); None: once.
    """

    def __init__(
        self, x: Tensor, codes: Array, centre: Tensor, spread: Tensor, scale: Tensor, weights: Any = None
    ):
        more, y = len(scale) - x.shape[1], torch.as_tensor(codes)[None]
        self.basis = torch.ones(len(scale), len(x), dtype=scale.dtype)  # rows lie along the last dimension
        torch.sub(x.T, centre[:, None], out=self.basis[more:]).div_(spread[:, None])
        self.centre, self.spread, self.scale, self.precision = centre, spread, scale, scale**-2.0
        self.weights = None if weights is None else as_tensor("sample_weight", weights, scale.dtype)
        self.count = len(x) if self.weights is None else float(self.weights.sum())
        mine = torch.zeros(scale.shape[1], len(x), dtype=scale.dtype).scatter_(0, y, 1.0)
        self.seen = (
            self.basis @ self._weighed(mine).T
        )  # sums of the rows of each class: w · these = Σ w · row
        self.paired = len(mine) == 2 and torch.equal(scale[:, 0], scale[:, 1])  # then w is (-v, v)

    def height(self, w: Tensor) -> float:
        """The log joint at ``w``, less the logarithm of the prior's constant."""
        return self._height(w, *self._log_probs(w))

    def slope(self, w: Tensor) -> tuple[float, Tensor, Tensor]:
        """The `height`, its slope, of the shape of ``w``, and p(y | x) (classes, n)."""
        scores, logs = self._log_probs(w)
        height, probs = self._height(w, scores, logs), logs.exp_()
        return (
            height,
            torch.addmm(self.seen - w * self.precision, self.basis, self._weighed(probs).T, alpha=-1),
            probs,
        )

    def curvature(self, probs: Tensor) -> Tensor:
        """The negative second derivatives (terms · classes, terms · classes) where p(y | x) is ``probs``."""
        k, terms = len(probs), len(self.basis)
        a, b = torch.tril_indices(k, k, -1)
        blocks = self._blocks(self._weighed(probs[a] * probs[b]))
        found = torch.zeros(k, k, terms, terms, dtype=self.basis.dtype)
        found[a, b] = found[b, a] = -blocks
        found.diagonal(dim1=0, dim2=1).copy_(-found.sum(1).permute(1, 2, 0))
        flat = found.permute(2, 0, 3, 1).reshape(terms * k, terms * k)
        flat.diagonal().add_(self.precision.reshape(-1))
        return flat

    def _blocks(self, weights: Tensor) -> Tensor:
        """Σ weight · row rowᵀ of each line of ``weights`` (lines, n): (lines, terms, terms)."""
        if weights.shape[0] * self.basis.numel() <= AT_ONCE:
            return (self.basis * weights[:, None]) @ self.basis.T
        return torch.stack([(self.basis * line) @ self.basis.T for line in weights])

    def _factor(self, probs: Tensor) -> tuple[Tensor, Any]:
        """The Cholesky factor of the curvature, along (-v, v) where ``paired``, and whether there is none."""
        if not self.paired:
            return torch.linalg.cholesky_ex(self.curvature(probs))
        half = 2 * self._blocks(self._weighed(probs[:1] * probs[1:]))[0]
        half.diagonal().add_(self.precision[:, 0])
        return torch.linalg.cholesky_ex(half)

    def _step(self, slope: Tensor, factor: Tensor) -> Tensor:
        """Newton's step, of the shape of ``w``."""
        if not self.paired:
            return torch.cholesky_solve(slope.reshape(-1, 1), factor).view(slope.shape)
        step = torch.cholesky_solve((slope[:, 1:] - slope[:, :1]) / 2, factor)
        return torch.cat([-step, step], 1)

    def climbed(self, w: Tensor, steps: int, tolerance: float) -> Peak:
        """From ``w`` by L-BFGS, until no slope exceeds the ``tolerance`` in nats a row.

        It steps in the features' units, shorter where the prior is narrow: else that alone would bend it.
        """
        unit = (1 + 4 / (self.count * self.scale.square())).rsqrt()
        if not steps:  # scipy would take one
            return Peak(w, 0, False)

        def descent(v: Array) -> tuple[float, Array]:
            height, slope, _ = self.slope(unit * torch.from_numpy(v).view(unit.shape))
            return -height / self.count, slope.mul_(unit).div_(-self.count).numpy().ravel()

        options = {"maxiter": steps, "maxls": 50, "gtol": tolerance, "ftol": 64 * np.finfo(float).eps}
        end = minimize(descent, (w / unit).numpy().ravel(), jac=True, method="L-BFGS-B", options=options)
        return Peak(unit * torch.from_numpy(end.x).view(unit.shape), int(end.nit), end.status == 0)

    def newton(self, start: Peak, steps: int) -> tuple[Peak, Tensor | None]:
        """On by Newton's steps to the mode, and the curvature there; None if it is not reached."""
        w = start.w
        height, slope, probs = self.slope(w)
        factor, last = None, math.inf
        for taken in range(1, 1 + steps):
            gain = math.inf
            if factor is not None:  # the last curvature serves as long as gains fall fast
                step = self._step(slope, factor)
                gain = float(slope.flatten() @ step.flatten()) / 2
            if gain > last / 100 or factor is None:
                factor, failed = self._factor(probs)
                if failed:
                    break
                step = self._step(slope, factor)
                gain = float(slope.flatten() @ step.flatten()) / 2
            if gain < GAIN * max(1.0, abs(height)) ** 0.5:
                return Peak(w + step, start.steps + taken, True), self.curvature(probs)
            before, length, last = height, 1.0, gain
            height, slope, probs = self.slope(w + step)
            while length > 1e-4 and not height >= before:
                length /= 2
                height, slope, probs = self.slope(w + length * step)
            w = w + length * step
        return start, None

    def found(self, end: Peak, curvature: Tensor | None) -> "Found":
        """All that is kept of the climb; the ELBO is the mean of two draws of the Gaussian."""
        kept = Found(end.w, end.steps, self.basis.shape[1], self.centre, self.spread, self.scale)
        if curvature is None:
            return kept
        root = torch.linalg.cholesky(curvature)
        noise = torch.randn(len(root), 1, generator=torch.Generator().manual_seed(0), dtype=root.dtype)
        step = torch.linalg.solve_triangular(root.T, noise, upper=True).view(end.w.shape)
        bound = (self.height(end.w + step) + self.height(end.w - step) + float(noise.square().sum())) / 2
        constant = float(self.scale.log().sum() + root.diagonal().log().sum())
        return kept._replace(root=root, elbo=bound - constant, evidence=self.height(end.w) - constant)

    def _log_probs(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """The scores of the classes, and log p(y | x), two of (classes, n)."""
        scores = w.T @ self.basis
        return scores, scores.log_softmax(0)

    def _height(self, w: Tensor, scores: Tensor, logs: Tensor) -> float:
        normalizers = self._weighed(scores[0] - logs[0]).sum()
        return float(w.flatten() @ (self.seen - w * self.precision / 2).flatten() - normalizers)

    def _weighed(self, rows: Tensor) -> Tensor:
        return rows if self.weights is None else rows * self.weights


class Found(NamedTuple):
    """What is kept of a climb: the mode ``w``, the joint's units, and the Gaussian about it, if there is one.

    ``n`` rows were looked at; ``root`` is the lower Cholesky factor of the Gaussian's precision, ``evidence``
    Laplace's estimate of the log evidence.
    """

    w: Tensor
    steps: int
    n: int
    centre: Tensor
    spread: Tensor
    scale: Tensor
    root: Tensor | None = None
    elbo: float = math.nan
    evidence: float = math.nan

    def posterior(self) -> Posterior:
        """The joint's posterior: the Gaussian, or else the mode alone."""
        terms, k = self.w.shape
        p = LogisticRegression(k, len(self.spread), scale=self.scale, intercept=terms > len(self.spread))
        p.centre, p.spread = self.centre, self.spread
        x, y = torch.zeros(2, len(self.spread), dtype=self.w.dtype), torch.zeros(2, dtype=torch.int64)
        guide: Any = Mode(p, {"w": self.w})
        elbo, note = torch.zeros(0, dtype=torch.float64), ""
        with isolated(0):
            sites = describe(p, {"x": x})
            if self.root is not None:
                guide = make_guide("full_rank", p, {"x": x, "n": 2}, {"y": y})
                tril = torch.linalg.cholesky(torch.cholesky_inverse(self.root))
                guide.auto.place(self.w.reshape(-1), tril)
                elbo = torch.tensor([self.elbo], dtype=torch.float64)
                note = f"log evidence about {self.evidence:,.3f} nats by Laplace, which is no bound"
        method = MAP() if self.root is None else Laplace()
        shapes: dict[str, tuple[int, ...]] = {"x": (self.n, len(self.spread)), "y": (self.n,)}
        dtypes = {"x": x.dtype, "y": y.dtype}
        return Posterior(p, p, guide, method, elbo, self.n, shapes, sites, (), note=note, dtypes=dtypes)

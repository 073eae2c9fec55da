"""The way up a concave function of a matrix of weights: by Newton's steps, or by L-BFGS."""

import math
from typing import NamedTuple, Self

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from ppl_gen.estimators.starting import Array

GAIN = 1e-13  # nats that a Newton step could still gain where the mode counts as found
SAME = 5e-9  # nats below the mode, times rows / terms, up to which the curvature is the mode's to 1e-4
ROUNDING = 1e-12  # of a height
NEWTON = 20  # steps that Newton may need
FEW = 500  # rows, or 30 for each weight, of which the mode tells where to start


class Peak(NamedTuple):
    """Where a climb ended: at ``u`` (terms, columns), after ``steps``, and whether that is the mode.

    Newton's has the ``height`` there, and the lower Cholesky factor ``root`` of the curvature.
    """

    u: Tensor
    steps: int = 0
    converged: bool = False
    height: float = math.nan
    root: Tensor | None = None


class Hill:
    """A log joint in nats, concave in its free weights ``u`` (terms, columns).

    A subclass has ``slope`` and ``curvature``, and what these need: the ``basis`` (terms, rows), the
    ``weights`` of the rows or None, their sum ``count``, and the prior's precision ``ridge``, of u's shape.
    """

    basis: Tensor
    weights: Tensor | None
    count: float
    ridge: Tensor

    def slope(self, u: Tensor) -> tuple[float, Tensor, Tensor]:
        """The height at ``u``, its slope, of the shape of ``u``, and what `curvature` is told."""
        raise NotImplementedError

    def curvature(self, probs: Tensor) -> Tensor:
        """The negative second derivatives, (terms · columns, terms · columns)."""
        raise NotImplementedError

    def thinned(self, every: int) -> Self:
        """About the same hill, of one row of ``every``, each of so many times the weight."""
        raise NotImplementedError

    def climbed(self, u: Tensor, steps: int, tolerance: float) -> Peak:
        """From ``u`` by L-BFGS, until no slope exceeds the ``tolerance`` in nats a row.

        It steps in the features' units, shorter where the prior is narrow: else that alone would bend it.
        """
        unit = (1 + 4 * self.ridge / self.count).rsqrt()
        if not steps:  # scipy would take one
            return Peak(u)

        def descent(v: Array) -> tuple[float, Array]:
            height, slope, _ = self.slope(unit * torch.from_numpy(v).view(unit.shape))
            return -height / self.count, slope.mul_(unit).div_(-self.count).numpy().ravel()

        options = {"maxiter": steps, "maxls": 50, "gtol": tolerance, "ftol": 64 * np.finfo(float).eps}
        end = minimize(descent, (u / unit).numpy().ravel(), jac=True, method="L-BFGS-B", options=options)
        return Peak(unit * torch.from_numpy(end.x).view(unit.shape), int(end.nit), end.status == 0)

    def foothill(self, start: Peak) -> Peak:
        """A better start, where rows are many: the mode of an eighth of them."""
        if self.basis.shape[1] < 8 * max(FEW, 30 * start.u.numel()):
            return start
        part = self.thinned(8)
        end = part.newton(part.foothill(start), enough=0.01)
        return start if end.root is None else Peak(end.u, root=end.root)

    def newton(self, start: Peak, most: int = NEWTON, enough: float = GAIN) -> Peak:
        """On by Newton's steps to the mode; the start, without a ``root``, where that is not reached.

        A curvature, at first that of ``start``, serves for as many steps as what they gain falls fast.

        Args:
            start: where the climb is. most: steps that Newton may take.
            enough: nats, times the root of the height, that a step could still gain where it ends.
        """
        u, root, made, last = start.u, start.root, math.inf, math.inf
        height, slope, probs = self.slope(u)
        for taken in range(1, 1 + most):
            gain, step = math.inf, u
            if root is not None and (taken == 1 or last < self.count / 1000):
                gain, step = _step(slope, root)
            if not gain < last / 30:
                root, failed = torch.linalg.cholesky_ex(self.curvature(probs))
                if failed:
                    break
                made, step = _step(slope, root)
                gain = made
            if gain < enough * max(1.0, abs(height)) ** 0.5:
                if enough == GAIN and made > SAME * self.basis.shape[1] / len(u):
                    root = torch.linalg.cholesky(self.curvature(probs))
                return Peak(u + step, start.steps + taken, True, height + gain, root)
            before, length, last = height - ROUNDING * abs(height), 1.0, gain
            height, slope, probs = self.slope(u + step)
            while length > 1e-4 and not height >= before:
                length /= 2
                height, slope, probs = self.slope(u + length * step)
            u = u + length * step
        return start._replace(root=None)


def _step(slope: Tensor, factor: Tensor) -> tuple[float, Tensor]:
    """What Newton's step gains if the hill is a parabola, in nats, and the step, shaped as ``slope``."""
    step = torch.cholesky_solve(slope.reshape(-1, 1), factor)
    return float(slope.reshape(-1) @ step[:, 0]) / 2, step.view(slope.shape)

"""The joint of softmax regression at one point after the other: its height, slope and curvature by hand."""

import copy
import math
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from ppl_gen.arrays import as_tensor
from ppl_gen.estimators.climbing import Hill, Peak
from ppl_gen.estimators.starting import Array
from ppl_gen.inference import MAP, Laplace
from ppl_gen.inference.guides import Mode, make_guide
from ppl_gen.inputs import describe
from ppl_gen.isolation import isolated
from ppl_gen.models import LogisticRegression
from ppl_gen.posterior import Posterior

CELLS = 1 << 15  # numbers looked at together, which stay in the processor's cache


class Softmax(Hill):
    """log p(y, w | x) of a `LogisticRegression`, in nats, less the logarithm of the prior's constant.

    Its free weights ``u`` are ``w`` (terms, classes).

    Args:
        x: rows (n, features). codes: their classes (n,).
        centre, spread: the units of the features (features,).
        scale: prior standard deviations (terms, classes); a term more than features is the intercept.
        weights: how often each row counts (n,); None: once.
    """

    def __init__(
        self, x: Tensor, codes: Array, centre: Tensor, spread: Tensor, scale: Tensor, weights: Any = None
    ):
        self.centre, self.spread, self.scale, self.ridge = centre, spread, scale, scale**-2.0
        self.weights = None if weights is None else as_tensor("sample_weight", weights, scale.dtype)
        self.count = len(x) if self.weights is None else float(self.weights.sum())
        self.basis = torch.ones(len(scale), len(x), dtype=scale.dtype)  # rows lie along the last dimension
        more, size = len(scale) - x.shape[1], max(1, CELLS // len(scale))
        for rows, basis in zip(x.split(size), self.basis.split(size, 1), strict=True):
            torch.sub(rows.T, centre[:, None], out=basis[more:]).div_(spread[:, None])
        self._see(torch.as_tensor(codes))

    def _see(self, codes: Tensor) -> None:
        """The sums of the rows of each class: w · these = Σ w · row."""
        mine = torch.zeros(self.scale.shape[1], len(codes), dtype=self.scale.dtype)
        self.codes, self.seen = codes, self.basis @ self._weighed(mine.scatter_(0, codes[None], 1.0)).T

    def thinned(self, every: int) -> Self:
        found = copy.copy(self)
        found.basis = self.basis[:, ::every].contiguous()
        weights = self.basis.new_ones(self.basis.shape[1]) if self.weights is None else self.weights
        found.weights = every * weights[::every]
        found._see(self.codes[::every])
        return found

    def height(self, u: Tensor) -> float:
        scores, logs = self._log_probs(u)
        return self._height(u, scores, logs)

    def slope(self, u: Tensor) -> tuple[float, Tensor, Tensor]:
        scores, logs = self._log_probs(u)
        height, probs = self._height(u, scores, logs), logs.exp_()
        slope = torch.addmm(self.seen - u * self.ridge, self.basis, self._weighed(probs).T, alpha=-1)
        return height, slope, probs

    def curvature(self, probs: Tensor) -> Tensor:
        k, terms = len(probs), len(self.basis)
        found = torch.zeros(k, k, terms, terms, dtype=self.basis.dtype)
        for a in range(k):
            for b in range(a):
                found[a, b] = found[b, a] = -self._block(probs[a] * probs[b])
        found.diagonal(dim1=0, dim2=1).copy_(-found.sum(1).permute(1, 2, 0))
        flat = found.permute(2, 0, 3, 1).reshape(terms * k, terms * k)
        flat.diagonal().add_(self.ridge.reshape(-1))
        return flat

    def found(self, end: Peak) -> "Found":
        """All that is kept of the climb; the ELBO is the mean of two draws of the Gaussian."""
        w, n, root = self.whole(end.u), self.basis.shape[1], end.root
        kept = Found(w, end.steps, n, self.centre, self.spread, self.scale)
        if root is None:
            return kept
        noise = torch.randn(len(root), 1, generator=torch.Generator().manual_seed(0), dtype=root.dtype)
        step = torch.linalg.solve_triangular(root.T, noise, upper=True).view(end.u.shape)
        bound = (self.height(end.u + step) + self.height(end.u - step) + float(noise.square().sum())) / 2
        constant = float(root.diagonal().log().sum() - self.ridge.log().sum() / 2)
        return kept._replace(root=root, elbo=bound - constant, evidence=end.height - constant)

    def whole(self, u: Tensor) -> Tensor:
        """``u`` as weights ``w`` of all classes (terms, classes)."""
        return u

    def free(self, w: Tensor) -> Tensor:
        """Weights ``w`` of all classes as ``u``."""
        return w

    def _log_probs(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """The scores of the classes, and log p(y | x), two of (classes, n)."""
        scores = u.T @ self.basis
        return scores, scores.log_softmax(0)

    def _height(self, u: Tensor, scores: Tensor, logs: Tensor) -> float:
        normalizers = self._weighed(scores[0] - logs[0]).sum()
        return float(u.flatten() @ (self.seen - u * self.ridge / 2).flatten() - normalizers)

    def _block(self, weights: Tensor) -> Tensor:
        """Σ weight · row rowᵀ (terms, terms); of a matrix and its transpose NumPy does half the work."""
        basis, root = self.basis.numpy(), self._weighed(weights).sqrt().numpy()
        size, found = max(1, CELLS // len(basis)), np.zeros((len(basis), len(basis)))
        for first in range(0, len(root), size):
            rows = basis[:, first : first + size] * root[first : first + size]
            found += rows @ rows.T
        return torch.from_numpy(found)

    def _weighed(self, rows: Tensor) -> Tensor:
        return rows if self.weights is None else rows * self.weights


class Logistic(Softmax):
    """The same of two classes, whose free weights ``u`` (terms, 1) are those of the log odds.

    ``w = (-u, u) / 2``; of what both classes share, no row tells. Each row stands in the basis with the sign
    of its class, so that it adds log sigmoid(u · row).
    """

    def _see(self, codes: Tensor) -> None:
        if self.ridge.shape[1] == 2:  # not yet, in a thinned one
            self.codes, self.ridge = codes, self.ridge[:, :1] / 2
            self.basis *= 2 * codes - 1

    def height(self, u: Tensor) -> float:
        logs = self._weighed(torch.nn.functional.logsigmoid(u.T @ self.basis))
        return float(logs.sum() - (u.square() * self.ridge).sum() / 2)

    def slope(self, u: Tensor) -> tuple[float, Tensor, Tensor]:
        """Its third is the probability of the class that a row has not (1, n)."""
        margins, pull = u.T @ self.basis, u * self.ridge
        logs = torch.nn.functional.logsigmoid(margins)
        height = float(self._weighed(logs).sum()) - float(pull.mT @ u) / 2
        probs = logs.sub_(margins).exp_()
        return height, torch.addmm(pull, self.basis, self._weighed(probs).T, beta=-1), probs

    def curvature(self, probs: Tensor) -> Tensor:
        found = self._block((probs * (1 - probs))[0])
        found.diagonal().add_(self.ridge[:, 0])
        return found

    def whole(self, u: Tensor) -> Tensor:
        return torch.cat([-u, u], 1) / 2

    def free(self, w: Tensor) -> Tensor:
        return w[:, 1:] - w[:, :1]


class Found(NamedTuple):
    """What is kept of a climb: the mode ``w``, the joint's units, and the Gaussian about it, if there is one.

    ``n`` rows were looked at; ``root`` is the lower Cholesky factor of the Gaussian's precision, of two
    classes that of the log odds; ``evidence`` is Laplace's estimate of the log evidence.
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
                guide.auto.place(self.w.reshape(-1), torch.linalg.cholesky(self._covariance(self.root)))
                elbo = torch.tensor([self.elbo], dtype=torch.float64)
                note = f"log evidence about {self.evidence:,.3f} nats by Laplace, which is no bound"
        method = MAP() if self.root is None else Laplace()
        shapes: dict[str, tuple[int, ...]] = {"x": (self.n, len(self.spread)), "y": (self.n,)}
        dtypes = {"x": x.dtype, "y": y.dtype}
        return Posterior(p, p, guide, method, elbo, self.n, shapes, sites, (), note=note, dtypes=dtypes)

    def _covariance(self, root: Tensor) -> Tensor:
        """Of ``w``, flat; of two classes the mean of their weights is as the prior has it, sd scale / √2."""
        found = torch.cholesky_inverse(root)
        if self.w.shape[1] > 2:
            return found
        shared, apart = (self.scale[:, 0].square() / 2).diag(), found.new_tensor([[1, -1], [-1, 1]]) / 4
        return torch.kron(shared, torch.ones_like(apart)) + torch.kron(found.contiguous(), apart)

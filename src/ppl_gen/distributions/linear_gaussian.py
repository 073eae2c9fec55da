"""A Normal code, mapped linearly, with Normal noise: every marginal and conditional has a closed form."""

from typing import NamedTuple

import pyro.distributions as dist
import torch
from torch import Tensor

from ppl_gen.distributions.starts import centre_and_spread, in_blocks
from ppl_gen.errors import DataError
from ppl_gen.missing import log_prob_seen


class LinearGaussian(NamedTuple):
    """``x = loc + weights z + noise`` with ``z ~ N(0, I)`` and noise of its own for every feature.

    ``loc`` (features,), ``weights`` (features, latent) and ``variance`` (features,) of the noise.
    References: Tipping and Bishop 1999, Probabilistic principal component analysis; Bishop 2006, 12.2.

    >>> one = torch.ones(2, 1, dtype=torch.float64)
    >>> linear = LinearGaussian(torch.zeros(2).double(), one, one[:, 0])
    >>> linear.codes(torch.tensor([[3., 3.], [3., torch.nan]]).double()).mean.round(decimals=6).tolist()
    [[2.0], [1.5]]
    """

    loc: Tensor
    weights: Tensor
    variance: Tensor

    def rows(self) -> dist.LowRankMultivariateNormal:
        """p(x), the code integrated out: N(loc, weights weightsᵀ + diag(variance))."""
        return dist.LowRankMultivariateNormal(self.loc, self.weights, self.variance)

    def rows_given(self, z: Tensor) -> dist.Independent:
        """p(x | z) of codes ``z`` (n, latent)."""
        return dist.Normal(self.loc + z @ self.weights.T, self.variance.sqrt()).to_event(1)

    def codes(self, x: Tensor) -> dist.MultivariateNormal:
        """p(z | x) of rows ``x`` (n, features); missing cells (NaN) are summed out."""
        eye = torch.eye(self.weights.shape[1], dtype=self.weights.dtype)
        seen = ~x.isnan()
        scaled = self.weights / self.variance[:, None]
        if bool(seen.all()):
            precision = eye + self.weights.T @ scaled
        else:
            each = scaled[:, :, None] * self.weights[:, None, :]
            precision = eye + (seen.to(x.dtype) @ each.flatten(1)).unflatten(1, eye.shape)
        pull = torch.where(seen, x - self.loc, 0.0) @ scaled
        loc = torch.cholesky_solve(pull[..., None], torch.linalg.cholesky(precision))[..., 0]
        return dist.MultivariateNormal(loc, precision_matrix=precision)

    def free_parameters(self, noises: int) -> int:
        """The dimension of all such densities with ``noises`` to choose: turning the codes changes none.

        >>> LinearGaussian(torch.zeros(4), torch.zeros(4, 2), torch.ones(4)).free_parameters(1)
        12
        """
        features, latent = self.weights.shape
        covariance = features * latent - latent * (latent - 1) // 2 + noises
        return features + min(covariance, features * (features + 1) // 2)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats of each row; missing cells (NaN) are summed out.

        Of complete rows by whitening: in units of the noise the covariance is I + U S² Uᵀ.
        """
        if self.weights.requires_grad:
            return log_prob_seen(self.rows(), x, ~x.isnan())
        units = self.variance.sqrt()
        left, lengths, _ = torch.linalg.svd(self.weights / units[:, None], full_matrices=False)
        shorter = ((1 - (1 + lengths.square()).rsqrt())[:, None] * left.mT).contiguous().numpy()
        left, squares = left.contiguous().numpy(), []
        for rows in in_blocks(x):
            u = (rows - self.loc).div_(units).numpy()
            u -= (u @ left) @ shorter
            squares.append(torch.from_numpy(u).square_().sum(1))
        volume = torch.log(2 * torch.pi * self.variance).sum() + lengths.square().log1p().sum()
        found = -0.5 * (volume + torch.cat(squares))
        if len(gaps := found.isnan().nonzero()[:, 0]):
            found[gaps] = log_prob_seen(self.rows(), x[gaps], ~x[gaps].isnan())
        return found

    def rotated(self) -> "LinearGaussian":
        """The same p(x) with codes along the principal axes, the longest first: uncorrelated given x."""
        root = self.variance.sqrt()[:, None]
        left, lengths, _ = torch.linalg.svd(self.weights / root, full_matrices=False)
        return self._replace(weights=root * left * _signs(left) * lengths)

    @classmethod
    def principal(cls, x: Tensor, latent: int, variance: Tensor | None = None) -> "LinearGaussian":
        """Maximum likelihood with one variance for all features: Tipping and Bishop 1999, section 3.2.

        Args:
            x: (n, features), no cell missing. latent: the length of a code.
            variance: of the noise, if it is known; directions that vary less get no weight.

        Raises:
            DataError: the rows lie in a space of ``latent`` dimensions, so that no noise is left.
        """
        return cls.along(*principal_axes(x), x, latent, variance)

    @classmethod
    def along(
        cls, loc: Tensor, spectrum: Tensor, axes: Tensor, x: Tensor, latent: int, variance: Tensor | None
    ) -> "LinearGaussian":
        """The same from what `principal_axes` of ``x`` found, or from variances scaled alike."""
        least = min(latent, len(loc) - 1)  # with as many axes as features, the last has no length: all fits
        rest = spectrum[least:].sum() / (len(loc) - least) if variance is None else variance
        _refuse_noiseless(rest, spectrum.sum(), latent, x)
        length = (spectrum[:latent] - rest).clamp(min=0).sqrt()
        weights = torch.zeros(len(loc), latent, dtype=loc.dtype)
        many = min(latent, axes.shape[1])
        weights[:, :many] = axes[:, :many] * length[:many]
        return cls(loc, weights * _signs(weights), rest.expand_as(loc).clone())  # its axes are the principal

    @classmethod
    def factors(cls, x: Tensor, latent: int, steps: int = 500) -> "LinearGaussian":
        """Maximum likelihood with a variance for each feature: Jöreskog 1967, L-BFGS on the noise alone.

        Given the noise, the best weights are the principal axes of the rows in its units.
        """
        _refuse_constant(x)
        loc = x.mean(0)
        x, spread = x - loc, x.std(0, correction=0)
        _refuse_noiseless(spread.min().square(), spread.max().square(), latent, x)
        scatter = (x / spread).T @ (x / spread) / len(x)
        log_noise = torch.full_like(loc, -0.5).requires_grad_()
        optimiser = torch.optim.LBFGS(
            [log_noise], max_iter=steps, tolerance_grad=1e-10, tolerance_change=1e-14,
            line_search_fn="strong_wolfe",
        )  # fmt: skip

        def negative_log_likelihood() -> Tensor:
            optimiser.zero_grad()
            root = log_noise.clamp(min=_LEAST).mul(-0.5).exp()
            spectrum = torch.linalg.eigvalsh(root[:, None] * scatter * root)
            top = spectrum[-latent:].clamp(min=1)
            value = 0.5 * (log_noise.clamp(min=_LEAST).sum() + spectrum.sum() - (top - top.log() - 1).sum())
            value.backward()
            return value

        with torch.enable_grad():
            optimiser.step(negative_log_likelihood)
        noise = log_noise.detach().clamp(min=_LEAST).exp()
        spectrum, axes = torch.linalg.eigh(noise.rsqrt()[:, None] * scatter * noise.rsqrt())
        length = (spectrum[-latent:] - 1).clamp(min=0).sqrt()
        weights = (spread * noise.sqrt())[:, None] * axes[:, -latent:] * length
        return cls(loc, weights, noise * spread.square()).rotated()

    @classmethod
    def start(cls, x: Tensor, latent: int) -> "LinearGaussian":
        """Half of each feature's variance as noise, and weights at random, by torch's generator."""
        loc, spread = centre_and_spread(x)
        weights = torch.randn(x.shape[1], latent, dtype=x.dtype) * (0.5 / latent) ** 0.5
        return cls(loc, weights * spread[:, None], 0.5 * spread.square())

    def em(
        self,
        x: Tensor,
        tied: bool,
        variance: Tensor | None = None,
        tolerance: float = 1e-9,
        steps: int = 2000,
    ) -> "LinearGaussian":
        """Maximum likelihood by expectation maximisation, missing cells and all: Rubin and Thayer 1982.

        Args:
            x: (n, features) with NaN where a cell is missing.
            tied: one variance for all features. variance: if it is known.
            tolerance: nats a row that a step must gain to go on. steps: at most.

        Raises:
            DataError: a column is empty, or constant where it has a variance of its own.
        """
        if empty := columns_where(x.isnan().all(0)):
            raise DataError(
                f"x: expected at least one cell in every column, got none in {empty}: drop what is empty"
            )
        if not tied and variance is None:
            _refuse_constant(x)
        here, before = self, self.log_prob(x).mean()
        for _ in range(steps):
            here = here.improved(x, tied, variance)
            now = here.log_prob(x).mean()
            if now - before < tolerance:
                break
            before = now
        return here.rotated()

    def improved(self, x: Tensor, tied: bool, variance: Tensor | None = None) -> "LinearGaussian":
        """One step of `em`: every feature's regression on the codes, as they are expected."""
        seen = ~x.isnan()
        code = self.codes(x)
        mean = torch.cat([code.mean, torch.ones_like(x[:, :1])], 1)
        square = mean[:, :, None] * mean[:, None, :]
        square[:, :-1, :-1] += code.covariance_matrix
        away, there = torch.where(seen, x - self.loc, 0.0), seen.to(x.dtype)
        left = (there.T @ square.flatten(1)).unflatten(1, square.shape[1:])
        right = away.T @ mean
        found = torch.linalg.solve(left, right)
        rest = away.square().sum(0) - (found * right).sum(1)
        rest, count = (rest.sum(), there.sum()) if tied else (rest, there.sum(0))
        noise = (rest / count).clamp(min=torch.finfo(x.dtype).tiny).expand_as(self.loc)
        noise = (noise if variance is None else variance.expand_as(noise)).clone()
        return LinearGaussian(self.loc + found[:, -1], found[:, :-1], noise)


_LEAST = -14.0  # log of the least share of a feature's variance that is noise (Heywood's case has none)


def columns_where(found: Tensor) -> str:
    """In words, the columns of which ``found`` (features,) is true; nothing if none is.

    >>> columns_where(torch.tensor([False, True])), columns_where(torch.tensor([True, False, True]))
    ('column 1', 'columns 0, 2')
    """
    places = found.nonzero().flatten().tolist()
    listed = ", ".join(map(str, places[:12])) + f" and {len(places) - 12} more" * (len(places) > 12)
    return f"column{'s' * (len(places) > 1)} {listed}" if places else ""


def _constant(x: Tensor) -> Tensor:
    """The columns whose cells, without those that are missing, are all the same."""
    gone = x.isnan()
    return torch.where(gone, -torch.inf, x).amax(0) == torch.where(gone, torch.inf, x).amin(0)


def _refuse_constant(x: Tensor) -> None:
    if found := columns_where(_constant(x)):
        many = "," in found
        raise DataError(
            f"x: expected columns that vary, since each has a noise of its own; {found} "
            f"{'are' if many else 'is'} constant: drop {'them' if many else 'it'}"
        )


def principal_axes(x: Tensor, most: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variances (features,) along the principal axes, the longest first, and these axes as columns.

    By the smaller of the matrices of inner products, of the features or of the rows of ``x`` (n, features):
    its rounding, 1e-16 of the largest variance, is far below any noise. Of fewer rows there are fewer axes,
    of which ``most`` are found.
    """
    loc = x.mean(0)
    tall = len(x) >= len(loc)
    apart = (rows - loc for rows in in_blocks(x)) if tall else [(x - loc).T]
    products = torch.from_numpy(sum(u.numpy().T @ u.numpy() for u in apart))  # NumPy does but half of each
    values, axes = torch.linalg.eigh(products / len(x))
    spectrum, axes = torch.zeros_like(loc), axes.flip(1)
    spectrum[: len(values)] = values.flip(0).clamp(min=0)
    if tall:
        return loc, spectrum, axes
    return loc, spectrum, torch.nn.functional.normalize((x - loc).T @ axes[:, :most], dim=0, eps=1e-300)


def _signs(columns: Tensor) -> Tensor:
    """+1 or -1 that make the largest number of each column positive: it and its negative are one solution."""
    return columns.gather(0, columns.abs().argmax(0, keepdim=True)).sign()


def _refuse_noiseless(noise: Tensor, total: Tensor, latent: int, x: Tensor) -> None:
    if noise > 1e-12 * total:
        return
    why = "the rows are too few, or some features are copies of others; take fewer dimensions"
    if found := columns_where(_constant(x)):
        many = "," in found
        why = (
            f"{found} {'are' if many else 'is'} constant: drop {'them' if many else 'it'}. If that is not "
            f"enough, {why}"
        )
    raise DataError(
        f"x: expected more noise than {float(noise):.3g} beyond {latent} latent dimensions: {why}"
    )

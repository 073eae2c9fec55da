"""What a model does with its codes: the bound in parts, collapse, amortization, gradients, traversals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor, nn

from ppl_gen.checks import called, whole
from ppl_gen.core import arguments, run, variables
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inference.elbo import elbo, row_weights, sum_cells, terms
from ppl_gen.inference.evidence import multi_sample_bound
from ppl_gen.inference.observed import Observed
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior

ACTIVE = 0.01  # variance of the posterior means above which a unit is active (Burda et al. 2016)


@dataclass(frozen=True, eq=False)
class ELBOTerms:
    """The evidence lower bound of the rows in parts, by `elbo_terms`; means over rows, in nats.

    Attributes:
        elbo: reconstruction less all of kl.
        reconstruction: E_q[log p(x | z)]. error: its standard error over the draws.
        kl: KL(q(z | x) || p(z)), one for each dimension of the code (latent,).
        variance: of the rows' posterior means, one for each dimension.
    """

    elbo: float
    reconstruction: float
    error: float
    kl: Tensor
    variance: Tensor

    @property
    def active(self) -> Tensor:
        """Which dimensions carry information: their posterior means vary by more than 0.01 over the rows."""
        return self.variance > ACTIVE

    @property
    def alarm(self) -> str:
        """In words, if dimensions have collapsed onto the prior; else empty."""
        used, all_ = int(self.active.sum()), len(self.active)
        if used == all_:
            return ""
        what = (
            "the code says nothing of the row"
            if not used
            else "the others follow the prior, whatever the row"
        )
        return f"posterior collapse: {used} of {all_} dimensions are active; {what}"

    def __str__(self) -> str:
        parts = f"ELBO {self.elbo:,.3f} = reconstruction {self.reconstruction:,.3f} - KL {self.kl.sum():,.3f}"
        return f"{parts} nats a row" + (f"\n{self.alarm}" if self.alarm else "")

    __repr__ = __str__


def elbo_terms(posterior: Posterior, /, *, draws: int = 100, seed: int = 0, **data: Any) -> ELBOTerms:
    """Split the ELBO into reconstruction and the KL divergence of each latent dimension.

    Args:
        posterior: of a model whose one latent is a code of each row, Normal in prior and guide; dimensions
            are split by their own marginals, so a guide without correlations adds up to the whole.
        draws: of the guide, for the reconstruction. seed: decides them.
        data: rows by name; by default those of the fit.

    >>> from ppl_gen import fit
    >>> from ppl_gen.models import PPCA
    >>> posterior = fit(PPCA(features=2, latent=1), x=[[0., 0.1], [1., 0.9], [2., 2.1], [3., 2.9]])
    >>> found = elbo_terms(posterior)
    >>> round(4 * found.elbo, 2) == round(posterior.log_evidence, 2), found.active.tolist()
    (False, [True])
    """
    values, code = _rows(posterior, data)
    guide = posterior.latents_of(values)
    with isolated(seed), torch.no_grad():
        q = _code_of(posterior, code, values)
        p, _, _ = terms(posterior.joint.model, guide, values.values, values.observed, seen=values.seen)
        prior = _base(p[code]["fn"])
        kl = _normal_kl(q, prior).mean(0)
        variance = q.mean.expand(values.n, -1).var(0, correction=0)
        found = []
        for _ in range(whole("draws", draws, least=2)):
            p, _, _ = terms(posterior.joint.model, guide, values.values, values.observed, seen=values.seen)
            rows = (sum_cells(p[name], values.seen.get(name)) for name in values.observed)
            found.append(torch.stack(list(rows)).sum() / values.n)
    each = torch.stack(found)
    value, error = float(each.mean()), float(each.std() / draws**0.5)
    return ELBOTerms(value - float(kl.sum()), value, error, kl, variance)


def amortization_gap(
    posterior: Posterior,
    /,
    *,
    steps: int = 500,
    learning_rate: float = 0.02,
    draws: int = 200,
    seed: int = 0,
    **data: Any,
) -> tuple[Tensor, Tensor]:
    """What sharing one encoder costs each row: the bound of its own best Normal less the encoder's bound.

    Every row's q(z) = N(mean, diag(sd²)) is climbed by itself, from where the encoder puts it, with the
    model's parameters fixed (Cremer, Li and Duvenaud 2018, Inference suboptimality in variational
    autoencoders).

    Returns:
        The gaps in nats and their standard errors (n,), from the same ``draws`` for both.

    Raises:
        Unanswerable: the model has other latents than one code of each row.
    """
    values, code = _rows(posterior, data)
    guide, model = posterior.latents_of(values), posterior.joint.model
    with isolated(seed, grad=True):
        with torch.no_grad():
            first = _code_of(posterior, code, values)
            start = first.mean.expand(values.n, -1).clone(), first.stddev.expand(values.n, -1).clone()
        loc, log_scale = (nn.Parameter(v) for v in (start[0].clone(), start[1].log()))

        def own(**_: Any) -> None:
            with pyro.plate("data", values.n):
                pyro.sample(code, dist.Normal(loc, log_scale.exp()).to_event(1))

        optimiser = torch.optim.Adam([loc, log_scale], lr=learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, whole("steps", steps))
        for _ in range(steps):
            optimiser.zero_grad()
            negative_elbo = -elbo(model, own, values.values, values.observed, seen=values.seen)
            loc.grad, log_scale.grad = torch.autograd.grad(negative_elbo, [loc, log_scale])
            optimiser.step()
            schedule.step()
    both = []
    for program in (own, guide):
        with isolated(seed):
            both.append(_row_bounds(model, program, values, whole("draws", draws, least=2)))
    difference = both[0] - both[1]
    return difference.mean(0), difference.std(0) / draws**0.5


def gradient_variance(
    posterior: Posterior, /, *, draws: int = 200, seed: int = 0, **data: Any
) -> dict[str, tuple[Tensor, Tensor]]:
    """Two estimators of the same gradient of the ELBO: reparameterised, and by the score function.

    Both are taken with respect to where the guide puts the codes, the mean of q(z | x) (n, latent), one draw
    at a time. The first differentiates through the draw (Kingma and Welling 2014), the second weighs the
    slope of log q by the bound (Williams 1992).

    Returns:
        "reparameterised" and "score function": mean and variance over the draws, each (n, latent).
    """
    values, code = _rows(posterior, data)
    model = posterior.joint.model
    with isolated(seed, grad=True):
        with torch.no_grad():
            first = _code_of(posterior, code, values)
        loc = first.mean.expand(values.n, -1).detach().clone().requires_grad_()
        scale = first.stddev.expand(values.n, -1).detach().clone()
        found: dict[str, list[Tensor]] = {"reparameterised": [], "score function": []}
        for _ in range(whole("draws", draws, least=2)):
            noise = torch.randn_like(scale)
            for name, own in found.items():
                z = loc + scale * noise
                z = z if name == "reparameterised" else z.detach()
                q = dist.Normal(loc, scale).to_event(1).log_prob(z)
                with pyro.condition(data={code: z, **values.observed}):
                    p = variables(poutine.trace(model).get_trace(**arguments(model, values.values)))
                log_p = sum_cells(p[code]) + sum(
                    sum_cells(p[name], values.seen.get(name)) for name in values.observed
                )
                weight = log_p - q
                signal = weight if name == "reparameterised" else weight.detach() * q
                own.append(torch.autograd.grad(signal.sum(), loc)[0])
    return {name: (torch.stack(v).mean(0), torch.stack(v).var(0)) for name, v in found.items()}


def importance_bounds(
    posterior: Posterior,
    k: Sequence[int] = (1, 2, 5, 10, 50, 100),
    /,
    *,
    draws: int = 500,
    seed: int = 0,
    **data: Any,
) -> tuple[Tensor, Tensor]:
    """Importance-weighted bounds for several numbers of draws inside the logarithm, from the same draws.

    Returns:
        The bounds on the log evidence of all rows in nats, and their standard errors, one for each ``k``.
    """
    for number in k:
        if 2 * whole("k", number) > draws:
            raise DataError(f"k: expected at most half the {draws} draws, got {number}")
    weights, _ = posterior.weighted(draws, seed, **data)
    found = [multi_sample_bound(weights, number) for number in k]
    return (
        torch.stack([value.sum() for value, _ in found]),
        torch.stack([error.square().sum().sqrt() for _, error in found]),
    )


def reconstruct(posterior: Posterior, /, **data: Any) -> Tensor:
    """The mean of p(x | z) at the mean of q(z | x), for each row: (n, features)."""
    values, code = _rows(posterior, data)
    with isolated(0):
        q = _code_of(posterior, code, values)
        return _decoded(posterior, code, q.mean.expand(values.n, -1), values)


def traversal(
    posterior: Posterior, row: int = 0, /, *, reach: float = 2.5, steps: int = 9, **data: Any
) -> Tensor:
    """The decoded means as one dimension of a row's code moves from -reach to reach and the others stay.

    Returns:
        (latent, steps, features), for `plot.traversals`.
    """
    values, code = _rows(posterior, data)
    if not 0 <= row < values.n:
        raise DataError(f"row: expected 0 to {values.n - 1}, got {row}")
    one = values.take(torch.full((1,), row))
    with isolated(0):
        z = _code_of(posterior, code, one).mean.reshape(1, 1, -1)
        latent = z.shape[-1]
        grid = z.repeat(latent, whole("steps", steps, least=2), 1)
        moved = torch.linspace(-reach, reach, steps, dtype=z.dtype)
        for dimension in range(latent):
            grid[dimension, :, dimension] = moved
        many = values.take(torch.full((latent * steps,), row))
        return _decoded(posterior, code, grid.flatten(0, 1), many).unflatten(0, (latent, steps))


def _rows(posterior: Posterior, data: dict[str, Any]) -> tuple[Data, str]:
    """The rows, and the name of their code."""
    if not isinstance(posterior, Posterior):
        raise DataError(f"posterior: expected what fit returned, got {called(posterior)}")
    with isolated(0):
        known = posterior.fitted_data() if not data else None
        values = known or admit(posterior.model, data, missing=True, like=posterior)
    open_ = {name for name in values.seen if values.sites[name].levels}  # classes that some rows lack
    hidden = [name for name in values.sites if name not in values.observed or name in open_]
    if len(hidden) != 1 or not values.sites[hidden[0]].local or values.sites[hidden[0]].event_dim != 1:
        raise Unanswerable(
            f"{type(posterior.model).__name__} is {posterior.model.joint}: expected one hidden variable, a "
            f"code of each row, got {', '.join(hidden) or 'none'}"
        )
    return values, hidden[0]


def _code_of(posterior: Posterior, code: str, values: Data) -> Any:
    """q of the rows' codes."""
    with Observed(values.observed, values.seen, guide=True):
        return _base(variables(run(posterior.latents_of(values), values.values))[code]["fn"])


def _base(fn: Any) -> Any:
    while isinstance(fn, torch.distributions.Independent):
        fn = fn.base_dist
    return fn


def _normal_kl(q: Any, p: Any) -> Tensor:
    """KL of each dimension's own Normal: (n, latent)."""
    if not isinstance(p, torch.distributions.Normal) or not isinstance(
        q, torch.distributions.Normal | torch.distributions.MultivariateNormal
    ):
        raise Unanswerable(
            f"the KL divergence of each dimension is known for Normals, got q {type(q).__name__} and "
            f"p {type(p).__name__}"
        )
    own = torch.distributions.Normal(q.mean, q.stddev)
    return torch.distributions.kl_divergence(own, p)


def _row_bounds(model: Callable[..., Any], guide: Callable[..., Any], values: Data, draws: int) -> Tensor:
    """One draw's ELBO of each row: (draws, n)."""
    found = []
    for _ in range(draws):
        t = terms(model, guide, values.values, values.observed, seen=values.seen)
        found.append(row_weights(t, values.seen))
    return torch.stack(found)


def _decoded(posterior: Posterior, code: str, z: Tensor, values: Data) -> Tensor:
    """The mean of the observed variable that the codes generate, beside any others."""
    line = Factorization(posterior.model.joint)
    name = next(name for name in values.observed if code in line[name])
    fixed = {other: value for other, value in values.observed.items() if other != name}
    found = variables(run(posterior.model.model, {**values.values, "n": len(z)}, {**fixed, code: z}))
    mean: Tensor = found[name]["fn"].mean
    return mean

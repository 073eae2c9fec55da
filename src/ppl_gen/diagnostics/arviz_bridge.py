"""From a posterior to ArviZ: one `xarray.DataTree` that ArviZ 0.23, its 0.8 parts and ArviZ 1 all read.

The draws of a guide or of an exact posterior are independent: there is no chain whose convergence R-hat
or the effective sample size could judge, and `summary` never shows them. The draws of NUTS come as chains.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.distributions import Delta
from torch import Tensor

from ppl_gen.checks import called, whole
from ppl_gen.clusters import label_free
from ppl_gen.core import ROWS, dtype_of, is_local, run, variables
from ppl_gen.diagnostics.labels import Coords, Dims, Labels, Named
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inference.elbo import Node, Terms, delta, log_prob, terms
from ppl_gen.inference.guides import point
from ppl_gen.inference.nuts import Draws
from ppl_gen.inference.observed import Observed, enumerates, pin
from ppl_gen.inference.relabelling import Components
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior

if TYPE_CHECKING:
    import xarray

INNER = 20  # draws that integrate a row's continuous latents out of its log likelihood
LARGEST = 1 << 30  # bytes of a tree


def to_arviz(
    posterior: Posterior,
    /,
    *,
    draws: int = 500,
    seed: int = 0,
    dims: Dims | None = None,
    coords: Coords | None = None,
    **data: Any,
) -> "xarray.DataTree":
    """Draws of a posterior and everything ArviZ asks about them, as an `xarray.DataTree`.

    The groups are posterior, prior, posterior_predictive, prior_predictive, log_likelihood (of each row),
    log_prior (of each parameter), sample_stats (log_p of latents and data and log_q of the latents, for each
    draw; elbo, the history of the fit), observed_data, and constant_data (what the joint is given). Chains of
    a mixture also have weights_entropy, labels_entropy and together in sample_stats: see `invariants`.

    A row's discrete latents are summed out of log_likelihood exactly; continuous ones are integrated out by
    importance sampling from the guide, and log_likelihood.attrs["how"] says so. Missing cells are NaN in
    observed_data and are left out of log_likelihood. The prior is what was believed before the data of the
    last fit. For rows that were not fitted, parameters have no log_p: log_p - log_q would weigh nothing.

    The components of a mixture were renamed alike in all draws of `NUTS` (see `relabelled`), but for those
    that the joint tells apart, such as a Dirichlet process's; the note in the tree's attributes says so.

    ArviZ's own summary, called on the tree, prints r_hat and ess columns, which mean nothing for draws that
    are independent by construction: use `ppl_gen.summary`, which leaves them out.

    Args:
        posterior: what `fit` returned.
        draws: how many; the same as ``posterior.draw(draws, seed)``. Of NUTS, how many of each chain.
        seed: decides every draw.
        dims: variable -> names of its dimensions after chain and draw, instead of the default ones: those
            of the plates and sizes in the singular (class, component, feature, latent), "row" for the rows.
        coords: dimension -> labels: ``{"feature": data.features, "class": data.classes}``.
        data: the rows, by name; by default those of the last fit.

    Raises:
        DataError: this is no posterior, there are no data, they were changed in place after the fit, the tree
            would take more than 1 GiB, or names do not fit the dimensions.
        UnknownVariable, Unexplained: the data do not fit the joint.

    >>> from ppl_gen import fit
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> posterior = fit(GaussianNaiveBayes(classes=2, features=1), x=[[0.], [1.], [5.]], y=[0, 0, 1])
    >>> tree = to_arviz(posterior, draws=10, coords={"class": ["small", "large"]})
    >>> tree.posterior["mu"].dims
    ('chain', 'draw', 'class', 'feature')
    >>> bool(abs(tree.sample_stats.log_p - tree.sample_stats.log_q - posterior.log_evidence).max() < 1e-9)
    True
    """
    if not isinstance(posterior, Posterior):
        raise DataError(f"posterior: expected what fit returned, got {called(posterior)}")
    return _tree(posterior, whole("draws", draws), whole("seed", seed, least=0), data, dims, coords)


def _tree(
    posterior: Posterior,
    draws: int,
    seed: int,
    data: Mapping[str, Any],
    dims: Dims | None = None,
    coords: Coords | None = None,
    predict: bool = True,
) -> "xarray.DataTree":
    with isolated(seed):
        values = _data(posterior, data)
        _refuse_large(posterior, values, draws)
        labels = Labels(posterior.model, values, dims, coords)
        labels.chains = posterior.guide.chains if isinstance(posterior.guide, Draws) else 1
    with isolated(seed):  # afresh: what the labels drew does not shift the draws
        return _Bridge(posterior, values, draws).tree(seed, labels, predict)


def arviz_summary(tree: Any, **options: Any) -> Any:
    """ArviZ's own table of a tree with a posterior group."""
    import arviz_stats

    stats: Any = arviz_stats  # some versions do not declare what they export
    return stats.summary(tree, **options)


class Smoothed(NamedTuple):
    """Draws of the parameters, and weights that make them draws of the posterior without one row.

    ``log_weights`` and ``log_likelihood`` are (draws, n), the former normalised; ``k_hat`` (n,) is to be
    below ``limit``; ``parameters`` are by name (draws, …).
    """

    log_weights: Tensor
    k_hat: Tensor
    limit: float
    log_likelihood: Tensor
    parameters: Named


def leave_one_out(posterior: Posterior, /, draws: int = 500, seed: int = 0) -> Smoothed:
    """ArviZ's Pareto-smoothed weights of the rows of the last fit, each left out.

    Draws of a guide are first weighted by log p - log q, so that a wrong guide shows in k-hat (Vehtari,
    Gelman and Gabry 2017; Magnusson et al. 2019, Bayesian leave-one-out cross-validation for large data).
    """
    import arviz_stats

    stats: Any = arviz_stats
    tree = _tree(posterior, draws, seed, {}, predict=False)
    likelihood: Any = sum(v for v in tree["log_likelihood"].data_vars.values())
    sample, among = ("chain", "draw"), tree["sample_stats"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they say what k-hat says
        if isinstance(posterior.guide, Draws):  # which depend on one another
            tree["log_likelihood"]["rows"] = likelihood
            found = stats.loo(tree, pointwise=True, var_name="rows")
            weights, k_hat = found.log_weights, found.pareto_k
        else:
            guide = 0 if posterior.evidence is not None else among["log_p"] - among["log_q"]
            weights, k_hat = (likelihood - guide).azstats.psislw(dim=list(sample))

    def of(values: Any) -> Tensor:
        flat = values.stack(sample=sample).transpose("sample", ...).values
        return torch.as_tensor(flat.astype(float))

    drawn = tree["posterior"].data_vars.items()
    parameters = {str(k): of(v).to(dtype_of(posterior.model)) for k, v in drawn if k in posterior.parameters}
    log_weights, count = of(weights), likelihood.sizes["chain"] * likelihood.sizes["draw"]
    limit = min(1 - 1 / math.log10(count), 0.7)
    log_weights = log_weights - log_weights.logsumexp(0)
    return Smoothed(log_weights, torch.as_tensor(k_hat.values).double(), limit, of(likelihood), parameters)


def log_likelihood_at(posterior: Posterior, data: Data, parameters: Named) -> Tensor:
    """log p(row | parameters) of rows without continuous latents of their own, for each draw: (draws, n)."""
    bridge = _Bridge(posterior, data, len(next(iter(parameters.values()))))
    with isolated(0):
        rows = []
        for i in range(bridge.draws):
            drawn = bridge._draw(point({name: v[i] for name, v in parameters.items()}), data.observed)
            rows.append(sum(drawn.log_rows.values(), torch.zeros(data.n)).double())
    return torch.stack(rows)


# The data ---------------------------------------------------------------------------------------------------


def _data(posterior: Posterior, given: Mapping[str, Any]) -> Data:
    data = admit(posterior.model, given, missing=True) if given else posterior.fitted_data()
    if not any(data.sites[name].local for name in data.observed) or data.n == 0:
        raise DataError(f"expected rows of a variable that {posterior.model.joint} generates, got none")
    for child, parents in Factorization(posterior.model.joint).items():
        for name in sorted(parents & data.seen.keys()):
            if not data.sites[name].levels:
                raise DataError(
                    f"{name}: expected no missing cells, since {child!r} depends on it; got NaN. Leave those "
                    f"rows out, or all of {name}"
                )
    return data


def _refuse_large(posterior: Posterior, data: Data, draws: int) -> None:
    hidden = {name: site for name, site in posterior.sites.items() if name not in data.observed}
    latents = [site for site in hidden.values() if not site.levels]
    cells = sum(site.event_shape.numel() * (data.n if site.local else 1) for site in latents)
    cells = 2 * (cells + sum(v.numel() for v in data.observed.values())) + len(data.observed) * data.n
    draws *= posterior.guide.chains if isinstance(posterior.guide, Draws) else 1
    size = cells * draws * dtype_of(posterior.model).itemsize
    if size > LARGEST:
        raise DataError(
            f"{draws:,} draws for {data.n:,} rows would take about {size / 2**30:.1f} GiB: pass fewer draws "
            f"(draws=…) or fewer rows ({next(iter(data.observed))}=…)"
        )


# The draws --------------------------------------------------------------------------------------------------


class _Draw(NamedTuple):
    latents: Named
    log_prior: Named  # of each parameter
    log_rows: Named  # of each observed variable, given the latents: (n,)
    log_weights: Tensor | None  # log p(row, its latents) - log q(its latents): (n,)
    log_p: Tensor
    log_q: Tensor


class _Bridge:
    """Draws and scores, one draw at a time: no model need be fit for vectorising."""

    def __init__(self, posterior: Posterior, data: Data, draws: int):
        self.posterior, self.data, self.draws = posterior, data, draws
        # As for the ELBO: a trained model is the joint, with its learned parameters; an exact update is not.
        self.joint, self.latents = posterior.joint, posterior.latents_of(data)
        self.given = {**data.inputs, "n": data.n}
        self.fixed = {name: v for name, v in data.observed.items() if not data.sites[name].local}
        self.plates: int | None = None

    def tree(self, seed: int, labels: Labels, predict: bool = True) -> "xarray.DataTree":
        import xarray

        from ppl_gen import __version__

        posterior, data = self.posterior, self.data
        # All draws come first, as in Posterior.draw: the same seed then gives the same.
        stored = posterior.guide if isinstance(posterior.guide, Draws) else None
        if stored is not None:
            programs = [point(values) for values in stored.thinned(self.draws)]
        else:
            with Observed(data.observed, data.seen, guide=True):
                traces = [run(self.latents, data.values) for _ in range(self.draws)]
            programs = [poutine.replay(self.latents, trace=t) for t in traces]
        drawn = [self._draw(program, data.observed) for program in programs]
        likelihood, how = self._log_likelihood(drawn)
        stats = self._label_free(stored.thinned(self.draws)) if stored else {}
        stats |= {} if stored else {"log_q": [draw.log_q for draw in drawn]}
        if not posterior.parameters or data.fingerprint() == posterior.fingerprints[-1]:
            stats = {"log_p": [draw.log_p for draw in drawn]} | stats
        scalars = {k: torch.stack(v) for k, v in stats.items() if k != "together"}
        missing = {
            name: torch.where(data.seen[name], v, torch.nan) if name in data.seen else v
            for name, v in data.observed.items()
        }
        attrs = {
            "inference_library": "pyro",
            "inference_library_version": pyro.__version__,
            "creation_library": "ppl_gen",
            "creation_library_version": __version__,
            "model": type(posterior.model).__name__,
            "joint": posterior.model.joint,
            "method": str(posterior.method),
            "note": posterior.note,
            "seed": seed,
        }
        source = "the exact posterior" if posterior.guide is None else "the guide, an approximation"
        source = "a point of maximum likelihood, all equal" if posterior.point else source
        groups = {
            "posterior": labels.drawn(_stack(draw.latents for draw in drawn)),
            **(self._predictions(drawn, labels) if predict else {}),
            "log_likelihood": labels.drawn(likelihood, rows=True),
            "log_prior": labels.drawn(_stack(draw.log_prior for draw in drawn), own=False),
            "sample_stats": labels.drawn(scalars, own=False),
            "observed_data": labels.fixed(missing),
            "constant_data": labels.fixed(dict(data.inputs)),
        }
        if "together" in stats:  # of rows i and j, pair after pair
            together = torch.stack(stats["together"]).unflatten(0, (labels.chains, -1)).numpy(force=True)
            pairs = [f"{i}, {j}" for i, j in self.pairs.tolist()]
            groups["sample_stats"]["together"] = ("chain", "draw", "pair"), together
            groups["sample_stats"] = groups["sample_stats"].assign_coords(pair=pairs)
        if len(posterior.elbo):
            groups["sample_stats"]["elbo"] = ("step", posterior.elbo.numpy(force=True))
        labels.check(groups)
        groups = {name: group.assign_attrs(attrs) for name, group in groups.items() if group.data_vars}
        if stored is not None:
            groups["posterior"].attrs["how"] = f"{stored.chains} chains of {type(posterior.method).__name__}"
        elif "posterior" in groups:
            groups["posterior"].attrs |= {"independent_draws": 1, "how": f"independent draws of {source}"}
        if "log_likelihood" in groups:
            fixed = [f"{name}: at {what}" for name, what in posterior.model.estimates.items()]
            groups["log_likelihood"].attrs["how"] = "; ".join([how, *fixed])
        return xarray.DataTree.from_dict({"/": xarray.Dataset(attrs=attrs), **groups})

    def _predictions(self, drawn: Sequence[_Draw], labels: Labels) -> dict[str, Any]:
        """The parameters before the data, and new rows before and after them."""
        predicted = [self._predict(draw.latents) for draw in drawn]
        before = [self._predict(self._believed()) for _ in drawn]
        names, observed = tuple(drawn[0].latents), tuple(self.data.observed)
        return {
            "prior": labels.drawn(_stack({k: b[k] for k in names} for b in before)),
            "posterior_predictive": labels.drawn(_stack({k: p[k] for k in observed} for p in predicted)),
            "prior_predictive": labels.drawn(_stack({k: b[k] for k in observed} for b in before)),
        }

    def _label_free(self, draws: list[Named]) -> dict[str, list[Tensor]]:
        """For mixtures, what the names of components cannot change: its R-hat judges the chains."""
        try:
            components = Components("to_arviz", self.joint, self.data)
        except Unanswerable:
            return {}
        found, pairs = label_free(components, draws)
        self.pairs = pairs
        return {name: list(v) for name, v in found.items()}

    def _draw(self, latents: Callable[..., Any], observed: Named | Mapping[str, Tensor]) -> _Draw:
        """Draw the latents and score them and the data."""
        posterior, data = self.posterior, self.data
        args = (self.joint.model, latents, data.values, observed, self.plates, posterior.yesterday)
        t = terms(*args, data.seen)
        self.plates = t.plates
        values = {name: t.q[name]["value"] for name in t.p if name in t.q and not delta(t.p[name])}
        log_prior = {}
        fixed = torch.zeros(())  # the factors of parameters that were passed as data
        for name, site in t.p.items():
            if not is_local(site):
                if enumerates(site):
                    raise DataError(
                        f"{name!r} is a discrete latent that all rows share, and the guide leaves it out: "
                        f"given the others the rows are dependent, and none has a likelihood of its own"
                    )
                if name in values:
                    log_prior[name] = log_prob(site).sum()
                else:
                    fixed = fixed + log_prob(site).sum()
        log_rows, log_weights = self._log_rows(t)
        log_p = fixed + sum(log_prior.values()) + sum(v.sum() for v in log_rows.values())
        log_q = sum((log_prob(site).sum() for site in t.q.values()), torch.zeros(()))
        return _Draw(values, log_prior, log_rows, log_weights, log_p, log_q)

    def _log_rows(self, t: Terms) -> tuple[Named, Tensor | None]:
        """log p of each row, summed over its discrete latents; one array if the row has any latents."""
        local = {name: site for name, site in t.p.items() if is_local(site) and not delta(site)}
        seen_cells = self.data.seen
        scores = {k: _by_row(log_prob(site, seen_cells.get(k)), site, t.plates) for k, site in local.items()}
        seen = [name for name in local if name in self.data.observed]
        if len(seen) == len(local) and not any("pinned" in site["infer"] for site in local.values()):
            return {name: scores[name].reshape(-1) for name in seen}, None
        total = sum(scores.values(), torch.zeros(()))
        for site in local.values():
            if enumerates(site):
                allowed = pin(site)
                total = total if allowed is None else torch.where(allowed, total, -torch.inf)
                total = total.logsumexp(site["infer"]["_enumerate_dim"], keepdim=True)
        total = total.reshape(-1)
        rows_of_q = [site for site in t.q.values() if is_local(site)]
        guided = [_by_row(log_prob(site), site, t.plates).reshape(-1) for site in rows_of_q]
        return {"_".join(seen): total}, (total - sum(guided) if guided else None)

    def _log_likelihood(self, drawn: list[_Draw]) -> tuple[Named, str]:
        """The log likelihood of each row given the parameters alone, (draws, n), and how it was found."""
        data = self.data
        if drawn[0].log_weights is None:
            hidden = [n for n, s in data.sites.items() if s.local and n not in data.observed and s.levels]
            how = f"{', '.join(hidden)} summed out exactly" if hidden else "exact"
            return _stack(draw.log_rows for draw in drawn), how
        hidden = [name for name in drawn[0].latents if data.sites[name].local]
        with Observed(data.observed, data.seen, guide=True):
            guided = variables(run(self.latents, data.values)).values()
        if not any(is_local(site) and not isinstance(site["fn"], Delta) for site in guided):
            return {}, f"left out: the guide has no factor of its own for each row's {', '.join(hidden)}"
        shared = [name for name in drawn[0].latents if name not in hidden]
        if shared:  # every draw of the parameters needs draws of its own of the rows' latents
            weights = torch.stack([self._inner({name: d.latents[name] for name in shared}) for d in drawn])
        else:  # all draws will do for all: take them in turn
            each = torch.stack([d.log_weights for d in drawn if d.log_weights is not None])
            turn = torch.arange(len(each))[:, None] + torch.arange(min(INNER, len(each)))
            weights = each[turn % len(each)]
        how = (
            f"{', '.join(hidden)} integrated out by importance sampling: {weights.shape[1]} draws of the "
            f"guide for each row and draw"
        )
        (name,) = drawn[0].log_rows
        return {name: weights.logsumexp(1) - math.log(weights.shape[1])}, how

    def _inner(self, parameters: Named) -> Tensor:
        """Log weights (INNER, n) of draws of the rows' latents, with the parameters fixed."""
        latents = pyro.condition(self.latents, data=parameters)
        known = {**self.data.observed, **parameters}
        weights = [self._draw(latents, known).log_weights for _ in range(INNER)]
        return torch.stack([w for w in weights if w is not None])

    def _predict(self, latents: Named) -> Named:
        """One run of the joint with the ``latents`` fixed: new rows, and what was not fixed."""
        trace = run(self.joint.model, self.given, {**latents, **self.fixed})
        return {name: site["value"] for name, site in variables(trace).items()}

    def _believed(self) -> Named:
        """The parameters as yesterday's guide draws them; nothing if the model's own prior is the prior."""
        if self.posterior.yesterday is None:
            return {}
        found = variables(run(self.posterior.yesterday, self.data.values))
        return {name: found[name]["value"] for name in self.posterior.parameters if name in found}


def _stack(drawn: Iterable[Named]) -> Named:
    drawn = list(drawn)
    return {name: torch.stack([d[name] for d in drawn]) for name in drawn[0]}


def _by_row(value: Tensor, site: Node, plates: int) -> Tensor:
    """Sum over the plates that are not the rows'; all dimensions stay."""
    rows = next(frame.dim for frame in site["cond_indep_stack"] if frame.name == ROWS)
    others = [dim for dim in range(-min(plates, value.dim()), 0) if dim != rows]
    return value.sum(others, keepdim=True) if others else value

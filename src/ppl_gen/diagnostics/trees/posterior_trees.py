"""The tree of a `Posterior`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from pyro import poutine

from ppl_gen.clusters import label_free
from ppl_gen.core import ProbabilisticModel, dtype_of, run
from ppl_gen.diagnostics.trees.groups import (
    DRAWS,
    GROUPS,
    ROWLESS,
    history,
    refuse_large,
    reseed,
    stack,
    tree_of,
)
from ppl_gen.diagnostics.trees.labels import Coords, Dims, Labels, Named, labels_of
from ppl_gen.diagnostics.trees.posterior_draws import Draw, Scorer
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inference.guides import point
from ppl_gen.inference.nuts import Draws
from ppl_gen.inference.observed import Observed
from ppl_gen.inference.relabelling import Components
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior

if TYPE_CHECKING:
    import xarray


def posterior_tree(
    posterior: Posterior,
    draws: int | None,
    seed: int,
    data: Mapping[str, Any],
    groups: Sequence[str] = GROUPS,
    dims: Dims | None = None,
    coords: Coords | None = None,
) -> "xarray.DataTree":
    """What `to_arviz` says of a posterior."""
    import xarray

    chains = posterior.guide if isinstance(posterior.guide, Draws) else None
    draws = draws or (chains.draws if chains else DRAWS)
    with isolated(seed):
        values = _data(posterior, data, groups)
        _refuse_large(posterior, values, draws, groups)
        labels = labels_of(posterior.model, values, dims, coords, chains.chains if chains else 1)
    with isolated(seed):  # afresh: what the labels drew does not shift the draws
        scorer = Scorer(posterior, values)
        # All draws come first, as in Posterior.draw: the same seed then gives the same.
        if chains:
            programs = [point(drawn) for drawn in chains.thinned(draws)]
        else:
            with Observed(values.observed, values.seen, guide=True):
                traces = [run(scorer.latents, values.values) for _ in range(draws)]
            programs = [poutine.replay(scorer.latents, trace=trace) for trace in traces]
        drawn = [scorer.draw(program, values.observed) for program in programs]
        made = _predictions(scorer, drawn, labels, groups, seed)
        how = {"posterior": _origin(posterior)}
        if "posterior" in groups:
            made["posterior"] = labels.drawn(stack(draw.latents for draw in drawn))
            if not made["posterior"].data_vars:  # ArviZ reads the number of draws from this group
                made["posterior"] = xarray.Dataset(coords={"chain": [0], "draw": range(len(drawn))})
        if "log_likelihood" in groups:
            reseed(seed, 1)
            likelihood, found = scorer.log_likelihood(drawn)
            made["log_likelihood"] = labels.drawn(likelihood, dict.fromkeys(likelihood, ("row",)))
            fixed = [f"{name}: at {what}" for name, what in posterior.model.estimates.items()]
            how["log_likelihood"] = "; ".join([found, *fixed])
        if "log_prior" in groups:
            made["log_prior"] = _scalars(labels, stack(draw.log_prior for draw in drawn))
        if "sample_stats" in groups:
            made["sample_stats"] = _stats(posterior, values, drawn, labels, draws)
        if "observed_data" in groups:
            observed, seen = values.observed, values.seen
            made["observed_data"] = labels.fixed(
                {k: torch.where(seen[k], v, torch.nan) if k in seen else v for k, v in observed.items()}
            )
        if "constant_data" in groups:
            made["constant_data"] = labels.fixed(dict(values.inputs))
    about = {
        "model": type(posterior.model).__name__,
        "joint": posterior.model.joint,
        "method": str(posterior.method),
        "note": "; ".join(filter(None, [posterior.note, _absent(posterior, data)])),
        "seed": seed,
    }
    tree = tree_of({name: made[name] for name in GROUPS if name in made}, labels, about, how)
    if chains is None and "posterior" in tree:
        tree["posterior"].attrs["independent_draws"] = 1
    return tree


def _absent(posterior: Posterior, given: Mapping[str, Any]) -> str:
    """What a posterior without rows cannot tell."""
    names = ", ".join(f"{name}=…" for name in posterior.shapes)
    return (
        "" if given or posterior.data is not None else f"it holds no rows: for the other groups pass {names}"
    )


def _origin(posterior: Posterior) -> str:
    """Where the draws come from, in words."""
    if isinstance(posterior.guide, Draws):
        return f"{posterior.guide.chains} chains of {type(posterior.method).__name__}"
    source = "the exact posterior" if posterior.guide is None else "the guide, an approximation"
    source = "a point of maximum likelihood, all equal" if posterior.point else source
    return f"independent draws of {source}"


def _predictions(
    scorer: Scorer, drawn: Sequence[Draw], labels: Labels, groups: Sequence[str], seed: int
) -> dict[str, Any]:
    """The parameters before the data, and new rows before and after them."""
    names, observed = tuple(drawn[0].latents), tuple(scorer.data.observed)
    found: dict[str, Any] = {}
    if "posterior_predictive" in groups:
        reseed(seed, 2)
        predicted = [scorer.predict(draw.latents) for draw in drawn]
        found["posterior_predictive"] = labels.drawn(stack({k: p[k] for k in observed} for p in predicted))
    if "prior" in groups or "prior_predictive" in groups:
        reseed(seed, 3)
        before = [scorer.before() for _ in drawn]
        made = {"prior": names, "prior_predictive": observed}
        found |= {
            group: labels.drawn(stack({k: b[k] for k in wanted} for b in before))
            for group, wanted in made.items()
            if group in groups
        }
    return found


def _scalars(labels: Labels, values: Named) -> "xarray.Dataset":
    return labels.drawn(values, dict.fromkeys(values, ()))


def _stats(
    posterior: Posterior, data: Data, drawn: Sequence[Draw], labels: Labels, draws: int
) -> "xarray.Dataset":
    """Numbers of every draw: log p and log q; of chains, what the sampler and label-free quantities tell."""
    chains, stats = posterior.guide if isinstance(posterior.guide, Draws) else None, Named()
    if not posterior.parameters or posterior.fingerprints[-1:] == (data.fingerprint(),):
        stats["log_p"] = torch.stack([draw.log_p for draw in drawn])
    if chains is None:
        stats["log_q"] = torch.stack([draw.log_q for draw in drawn])
        made = _scalars(labels, stats)
        if len(posterior.elbo):
            made["elbo"] = history(posterior.elbo)
        return made
    stats |= chains.thinned_stats(draws)
    label_free, pairs = _label_free(posterior.joint, data, chains.thinned(draws))
    together = label_free.pop("together", None)
    made = _scalars(labels, stats | label_free)
    if together is not None:  # of rows i and j, pair after pair
        made = made.assign_coords(pair=[f"{i}, {j}" for i, j in pairs])
        apart = together.unflatten(0, (labels.chains, -1)).numpy(force=True)
        made["together"] = ("chain", "draw", "pair"), apart
    return made


def _label_free(
    joint: ProbabilisticModel, data: Data, draws: list[Named]
) -> tuple[Named, Sequence[Sequence[int]]]:
    """For mixtures, what the names of components cannot change: its R-hat judges the chains."""
    try:
        components = Components("to_arviz", joint, data)
    except Unanswerable:
        return {}, []
    found, pairs = label_free(components, draws)
    return found, pairs.tolist()


def _data(posterior: Posterior, given: Mapping[str, Any], groups: Sequence[str]) -> Data:
    if not given and posterior.data is None and set(groups) <= set(ROWLESS):  # programs still have to run
        return admit(posterior.model, {k: v for k, v in posterior.zeros(2).items() if k != "n"})
    known = None if given else posterior.fitted_data()
    data = known or admit(posterior.model, given, missing=True, like=posterior)
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


def _refuse_large(posterior: Posterior, data: Data, draws: int, groups: Sequence[str]) -> None:
    hidden = {name: site for name, site in posterior.sites.items() if name not in data.observed}
    latents = [site for site in hidden.values() if not site.levels]
    cells = sum(site.event_shape.numel() * (data.n if site.local else 1) for site in latents)
    rows = sum(v.numel() for v in data.observed.values())
    cells = (
        cells * sum(name in groups for name in ("posterior", "prior"))
        + rows * sum(name in groups for name in ("posterior_predictive", "prior_predictive"))
        + len(data.observed) * data.n * ("log_likelihood" in groups)
    )
    draws *= posterior.guide.chains if isinstance(posterior.guide, Draws) else 1
    size = dtype_of(posterior.model).itemsize
    fewer = f"fewer rows ({next(iter(data.observed))}=…)"
    refuse_large(cells, draws, size, f"{data.n:,} rows", fewer)

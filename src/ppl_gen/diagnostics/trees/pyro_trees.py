"""The tree of a bare Pyro model, fitted by its MCMC, its SVI or `fit_pyro`."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from pyro import poutine
from pyro.distributions import Unit
from pyro.poutine.uncondition_messenger import UnconditionMessenger

from ppl_gen.core import variables
from ppl_gen.diagnostics.trees.groups import DRAWS, GROUPS, history, refuse_large, reseed, stack, tree_of
from ppl_gen.diagnostics.trees.labels import Coords, Dims, Labels, Named
from ppl_gen.diagnostics.trees.masks import kept
from ppl_gen.diagnostics.trees.pyro_draws import Drawer, drawer, running
from ppl_gen.diagnostics.trees.pyro_labels import constants, labels_of_trace, refuse_unbound
from ppl_gen.diagnostics.trees.pyro_scores import Scores, data_of, scores
from ppl_gen.diagnostics.trees.subsamples import refuse_subsamples
from ppl_gen.errors import DataError
from ppl_gen.inference.elbo import Node, delta, plate_depth

if TYPE_CHECKING:
    import xarray


class Unobserved(UnconditionMessenger):
    """Draw what was observed; what follows from its parents stays, which Pyro writes as observed too.

    Pyro's own handler draws that from its Delta, which in a plate has one dimension too many.
    """

    def _pyro_sample(self, msg: Any) -> None:
        if not msg["infer"].get("_deterministic"):
            super()._pyro_sample(msg)


def pyro_tree(
    fitted: Any,
    model: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    draws: int | None,
    seed: int,
    groups: Sequence[str] = GROUPS,
    dims: Dims | None = None,
    coords: Coords | None = None,
    elbo: Any = None,
) -> "xarray.DataTree":
    """What `to_arviz` says of a bare Pyro model."""
    source = drawer(fitted, model, args, kwargs, elbo)
    refuse_unbound(source.name, source.model, source.args, source.kwargs)
    with running(seed, source.model, source.guide) as refuse_untrained:
        first = source.guides(1)[0]
        plain = source.run(poutine.replay(source.model, trace=first))
        refuse_untrained()
        refuse_subsamples({"guide": first, "model": plain})
        observed = data_of(plain)
        if not observed:
            raise _nothing_observed(plain)
        found = variables(plain)
        names = [name for name, site in found.items() if name in first and not site["is_observed"]]
        given = constants(source.model, source.args, source.kwargs, observed)
        chains = source.chains.chains if source.chains else 1
        labels = labels_of_trace(plain, given, dims, coords, chains)
        _refuse_large(source, plain, draws, groups)
        reseed(seed, 0)
        guides = source.guides(draws)
        depth = max(plate_depth(plain), plate_depth(first))
        program = partial(source.model, *source.args, **source.kwargs)
        scored = [scores(program, trace, plain, depth) for trace in guides]
        latents = [{name: trace.nodes[name]["value"] for name in names} for trace in guides]
        fixed = list(scored[0].deterministic)
        made = _predictions(source, latents, [*names, *fixed], list(observed), labels, groups, seed)
        if "posterior" in groups:
            both = zip(latents, scored, strict=True)
            made["posterior"] = labels.drawn(stack(drawn | score.deterministic for drawn, score in both))
        if "log_likelihood" in groups:
            rows = {name: labels.plates(plates) for name, plates in scored[0].plates.items()}
            made["log_likelihood"] = labels.drawn(stack(score.log_likelihood for score in scored), rows)
        if "log_prior" in groups:
            prior = stack(score.log_prior for score in scored)
            made["log_prior"] = labels.drawn(prior, dict.fromkeys(prior, ()))
        if "sample_stats" in groups:
            made["sample_stats"] = _stats(source, guides, scored, labels, draws)
        if "observed_data" in groups:
            made["observed_data"] = labels.fixed({name: _seen(site) for name, site in observed.items()})
        if "constant_data" in groups:
            made["constant_data"] = labels.fixed(given)
    about = {"model": source.name, "method": source.method, "note": "", "seed": seed}
    how = {"posterior": _origin(source, guides[0]), "log_likelihood": _how(scored[0], plain, names)}
    tree = tree_of({name: made[name] for name in GROUPS if name in made}, labels, about, how)
    if source.chains is None and "posterior" in tree:
        tree["posterior"].attrs["independent_draws"] = 1
    return tree


def _nothing_observed(plain: poutine.Trace) -> DataError:
    words = "model: expected data, obs= in a sample statement; this model observes nothing"
    for name, site in variables(plain).items():
        if isinstance(site["fn"], Unit):
            words += (
                f". The factor {name!r} draws no rows: observe them from a distribution, such as "
                f"MixtureSameFamily, ZeroInflatedPoisson or one of your own with log_prob and sample"
            )
            break
    return DataError(words)


def _predictions(
    source: Drawer,
    latents: Sequence[Named],
    names: Sequence[str],
    observed: Sequence[str],
    labels: Labels,
    groups: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """The latents before the data, and new rows before and after them."""
    blank, made = Unobserved()(source.model), dict[str, Any]()

    def values(trace: poutine.Trace, wanted: Sequence[str]) -> Named:
        return {name: trace.nodes[name]["value"] for name in wanted}

    if "posterior_predictive" in groups:
        reseed(seed, 2)
        after = [source.run(poutine.condition(blank, data=fixed)) for fixed in latents]
        made["posterior_predictive"] = labels.drawn(stack(values(trace, observed) for trace in after))
    if "prior" in groups or "prior_predictive" in groups:
        reseed(seed, 3)
        before = [source.run(blank) for _ in latents]
        for group, wanted in {"prior": names, "prior_predictive": observed}.items():
            if group in groups:
                made[group] = labels.drawn(stack(values(trace, wanted) for trace in before))
    return made


def _stats(
    source: Drawer,
    guides: Sequence[poutine.Trace],
    scored: Sequence[Scores],
    labels: Labels,
    draws: int | None,
) -> "xarray.Dataset":
    """Numbers of every draw: log p, and of a guide log q, of chains what their sampler tells."""
    stats = {"log_p": torch.stack([score.log_p for score in scored])}
    if source.chains is not None:
        stats |= source.chains.thinned_stats(draws or source.chains.draws)
    elif not _is_point(guides[0]):
        stats["log_q"] = torch.stack([torch.as_tensor(trace.log_prob_sum()) for trace in guides])
    made = labels.drawn(stats, dict.fromkeys(stats, ()))
    for name, value in source.means.items():
        made[name] = "chain", value.numpy()
    if source.elbo is not None:
        made["elbo"] = history(source.elbo)
    return made


def _seen(site: Node) -> torch.Tensor:
    """The observed value in the shape of its site; NaN where a mask hides cells."""
    value, fn = site["value"], site["fn"]
    value = torch.broadcast_to(value, torch.broadcast_shapes(value.shape, fn.batch_shape + fn.event_shape))
    cells = kept(site)
    return value if cells is None else torch.where(cells, value.to(torch.get_default_dtype()), torch.nan)


def _is_point(guide: poutine.Trace) -> bool:
    """Whether the guide draws nothing at random: log q of a point is infinite."""
    return all(type(site["fn"]).__name__ == "Delta" for site in variables(guide).values())


def _origin(source: Drawer, guide: poutine.Trace) -> str:
    if source.chains is not None:
        return f"{source.chains.chains} chains of {source.method}"
    return (
        f"independent draws of {'a point, all equal' if _is_point(guide) else 'the guide, an approximation'}"
    )


def _how(score: Scores, plain: poutine.Trace, names: Sequence[str]) -> str:
    """What log_likelihood is conditional on, what was summed out of it, and what was left out."""
    found = variables(plain)
    inside = {plate for plates in score.plates.values() for plate in plates}
    own = [n for n in names if inside & {frame.name for frame in found[n]["cond_indep_stack"]}]
    words = [f"{', '.join(score.summed)} summed out exactly"] if score.summed else []
    words += [f"given the cells' own {', '.join(own)}"] if own else []
    words += [f"{', '.join(score.coupled)} left out: summed variables couple their cells"] * bool(
        score.coupled
    )
    factors = [n for n, s in found.items() if s["is_observed"] and not delta(s) and n not in data_of(plain)]
    words += [f"{', '.join(factors)} in log_p alone"] * bool(factors)
    return "; ".join(words) or "exact"


def _refuse_large(source: Drawer, plain: poutine.Trace, draws: int | None, groups: Sequence[str]) -> None:
    found, observed = variables(plain), data_of(plain)
    latent = sum(site["value"].numel() for name, site in found.items() if name not in observed)
    rows = sum(site["value"].numel() for site in observed.values())
    cells = latent * sum(name in groups for name in ("posterior", "prior"))
    kinds = ("posterior_predictive", "prior_predictive", "log_likelihood")
    cells += rows * sum(name in groups for name in kinds)
    total = draws or DRAWS
    if source.chains is not None:
        total = min(draws or source.chains.draws, source.chains.draws) * source.chains.chains
    refuse_large(cells, total, 4, "this model", "fewer rows")

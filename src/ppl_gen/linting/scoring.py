"""Checks of what the joint scores: the data, each row once, and every latent that is drawn."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppl_gen.linting.effects import childless, forgotten, has_parents, idle_arguments, moves, scored
from ppl_gen.linting.findings import Finding
from ppl_gen.linting.gradients import LATENTS
from ppl_gen.linting.names import misnamed
from ppl_gen.linting.pair import Pair
from ppl_gen.linting.recording import Site


def nothing_observed(pair: Pair) -> Iterator[Finding]:
    """Something is observed, or there is nothing to learn."""
    if pair.declared or not pair.works or scored(pair.p) or (pair.guide is None and not pair.tensors):
        return
    if forgotten(pair) or misnamed(pair):
        return
    ends = [n for n, s in pair.latents.items() if n not in pair.q.samples and childless(pair, n)]
    name = ends[-1] if ends else "x"
    yield Finding(
        "nothing-observed",
        "no site of the model is observed: the posterior is the prior, whatever the data are",
        f'write obs= at what the data are: pyro.sample("{name}", …, obs={name}), and pass them, not '
        f"None; or attach "
        f'them from outside: pyro.condition(model, data={{"{name}": {name}}})',
        ends[-1] if ends else "",
        pair.p.samples[ends[-1]].place if ends else "",
        "error" if pair.guide is not None else "note",  # by itself a model may be there to draw from
    )


def obs_forgotten(pair: Pair) -> Iterator[Finding]:
    """The data that come are observed."""
    for name, argument in forgotten(pair).items():
        yield Finding(
            "obs-forgotten",
            f"{name!r} has the shape of the argument {argument!r} and is drawn, not observed; nothing scores "
            f"{argument!r}",
            f'observe it: pyro.sample("{name}", …, obs={argument})',
            name,
            pair.p.samples[name].place,
            "error" if pair.guide is not None else "note",
        )


def unscored(pair: Pair) -> Iterator[Finding]:
    """Every argument matters."""
    if pair.guide is None or not scored(pair.p) or pair.declared:
        return
    told = forgotten(pair).values()
    for argument in idle_arguments(pair):
        if argument in told or moves(pair, "guide", argument):
            continue
        yield Finding(
            "data-unused",
            f"the values of the argument {argument!r} change no density: no site observes or uses them",
            f"observe it, obs={argument}, or leave it out",
            argument,
            severity="warning",
        )


def averaged(pair: Pair) -> Iterator[Finding]:
    """A term of the rows grows with their number."""
    n = pair.rows
    factors = [s for s in pair.p.samples.values() if s.factor]
    if not factors or n < 2 or pair.declared or not pair.works:
        return

    def twice(value: Any) -> Any:
        if isinstance(value, Tensor) and value.dim() and len(value) == n:
            return torch.cat([value, value])
        if isinstance(value, np.ndarray) and value.ndim and len(value) == n:
            return np.concatenate([value, value])
        return 2 * n if isinstance(value, int) and not isinstance(value, bool) and value == n else value

    doubled = pair.run("model", pair.p.values, arguments=pair.changed(twice))
    of_data = {name for argument in pair.tensors for name in moves(pair, "model", argument)}
    for site in factors:
        other = doubled.samples.get(site.name)
        if doubled.error is not None or other is None or site.name not in of_data:
            continue
        one, two = total(site), total(other)
        if abs(two - one) <= 1e-4 * (1e-6 + abs(one)):
            yield Finding(
                "factor-averaged",
                f"the factor {site.name!r} is a mean over rows: with every row there twice it stays "
                f"{one:.4g}, so "
                f"{n} rows count as one, and the posterior is too wide",
                'add the rows up, .sum() instead of .mean() (of a loss, reduction="sum"); better, '
                "observe them: "
                'with pyro.plate("data", len(x)): pyro.sample("x", …, obs=x)',
                site.name,
                site.place,
            )


def unused(pair: Pair) -> Iterator[Finding]:
    """Something depends on each latent, or it depends on others, as predictions do."""
    if not scored(pair.p) or pair.p.error is not None or not pair.works:
        return
    told = forgotten(pair)
    for name, site in list(pair.latents.items())[:LATENTS]:
        if name in told or site.infer.get("is_auxiliary") or not isinstance(site.value, Tensor):
            continue
        if childless(pair, name) and not has_parents(pair, name):
            yield Finding(
                "latent-unused",
                f"nothing depends on {name!r}: its posterior is its prior",
                "leave it out, or use it; a term that the model lacks?",
                name,
                site.place,
                "note",
            )


def total(site: Site) -> float:
    """What a site adds to the log joint."""
    score = torch.as_tensor(site.log_prob).detach() * site.scale
    shape = [f.size for _, f in sorted(site.vectorized.items())]
    return float(score.expand(torch.broadcast_shapes(score.shape, shape)).sum())


CHECKS = (obs_forgotten, nothing_observed, unscored, averaged, unused)

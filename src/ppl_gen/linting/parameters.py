"""Checks of parameters: each is registered, has a name of its own, and starts where it says."""

from collections.abc import Iterator

import pyro
import torch

from ppl_gen.linting.findings import Finding
from ppl_gen.linting.gradients import leaves
from ppl_gen.linting.pair import Pair, modules_of
from ppl_gen.linting.recording import Run, Site


def bad_start(pair: Pair) -> Iterator[Finding]:
    """A parameter starts inside its constraint."""
    for part, run in pair.runs:
        for name, site in run.params.items():
            if site.given:
                yield Finding(
                    "bad-start",
                    f"the parameter {name!r} of the {part} starts outside its constraint, so its "
                    "unconstrained "
                    f"value is nan",
                    "start it inside: positive(1.), unit_interval(0.5), simplex(ones(K) / K); the "
                    "value given "
                    "is that of the constrained parameter",
                    name,
                    site.place,
                )


def stale(pair: Pair) -> Iterator[Finding]:
    """What Pyro's store holds under a name is what this program starts there."""
    for part, run in pair.runs:
        for name, site in run.params.items():
            came = tuple(getattr(site.value, "shape", ()))
            if site.start is not None and came != site.start:
                yield Finding(
                    "stale-parameter",
                    f"Pyro's store holds a parameter {name!r} of shape {came}, left by another model; "
                    f"the {part} "
                    f"starts it with shape {site.start}",
                    "pyro.clear_param_store() before each new model; or module-local parameters: "
                    "pyro.settings.set(module_local_params=True)",
                    name,
                    site.place,
                )


def shared(pair: Pair) -> Iterator[Finding]:
    """A name that is given a start at two places is meant for one parameter."""
    first: dict[str, tuple[str, Site]] = {}
    told: set[str] = set()
    for part, run in pair.runs:
        for site in run.statements:
            if site.kind != "param" or site.source is None or (part == "guide" and pair.automatic):
                continue
            where, other = first.setdefault(site.name, (part, site))
            shown = site.name.partition("$$$")[0]
            if other.place == site.place or shown in told or _one(site, other, where == part):
                continue
            told.add(shown)
            kind = "module" if "$$$" in site.name else "param"
            yield Finding(
                "parameter-shared",
                f"the name {shown!r} is given to pyro.{kind} at two places, {other.place} and "
                f"{site.place}, with a "
                f"start each: both get one parameter, which keeps the first start",
                f'name them apart, e.g. "{shown}_of_{part}"; if they are meant to be one, write '
                f"pyro.{kind} once, "
                f"or without a start where it is used again",
                shown,
                site.place,
                "warning",
            )


def _one(site: Site, other: Site, together: bool) -> bool:
    """Whether two statements of a name mean one parameter: one tensor, or one start in model and guide."""
    if site.source is other.source:
        return True
    if together or "$$$" in site.name or site.start != other.start:
        return False
    return torch.equal(site.source, other.source)


def unregistered(pair: Pair) -> Iterator[Finding]:
    """Everything that the ELBO could learn is a parameter that Pyro knows."""
    if not pair.works or pair.declared:
        return
    known = {id(w) for w in pair.parameters().values()}
    strange = [leaf for leaf in leaves(pair) if id(leaf) not in known]
    if not strange:
        return
    names = {
        id(w): f"{type(module).__name__}.{name}"
        for program in (pair.model, pair.guide)
        if program is not None
        for module in modules_of(program)
        for name, w in module.named_parameters()
    }
    called = sorted({names[id(w)] for w in strange if id(w) in names})
    what = (
        f"the weights {', '.join(called[:3])}{', …' * (len(called) > 3)}"
        if called
        else f"a tensor of shape {tuple(strange[0].shape)} that requires gradients"
    )
    yield Finding(
        "unregistered-parameter",
        f"Pyro does not know {what}: SVI never trains it",
        'register a network, pyro.module("net", net), at the head of the program; make a tensor a '
        'pyro.param("name", start); or make the program a PyroModule',
        called[0] if called else "",
        next(iter(pair.p.samples.values())).place if pair.p.samples else "",
    )


def nothing_to_train(pair: Pair) -> Iterator[Finding]:
    """A guide that draws latents has parameters."""
    drawn = [s for s in pair.q.samples.values() if not s.observed and not s.deterministic]
    if not drawn or not pair.works or pair.parameters() or leaves(pair):
        return
    yield Finding(
        "nothing-to-train",
        f"neither program has a parameter: the guide draws {drawn[0].name!r} from a fixed distribution",
        f'make its arguments parameters: pyro.param("{drawn[0].name}_loc", torch.tensor(0.)), and a '
        "scale with "
        f"constraint=constraints.positive",
        drawn[0].name,
        drawn[0].place,
    )


def reset(pair: Pair) -> Iterator[Finding]:
    """A parameter keeps its value from one run to the next."""
    if not pair.works or pair.automatic:
        return
    store = pyro.get_param_store()
    before = dict(store.named_parameters())
    if not before:
        return
    kept = {name: w.detach().clone() for name, w in before.items()}
    try:
        with torch.no_grad():
            for w in before.values():
                w.add_(0.25)
        moved = {name: w.detach().clone() for name, w in before.items()}
        q = pair.run("guide") if pair.guide is not None else Run()
        p = pair.run("model", q.values)
        after = dict(store.named_parameters())
        for name, value in moved.items():
            if name in after and torch.allclose(after[name].detach(), value, equal_nan=True):
                continue
            site = {**p.params, **q.params}.get(name) or {**pair.p.params, **pair.q.params}.get(name)
            yield Finding(
                "parameter-reset",
                f"the parameter {name!r} is set anew in every run: what a step learns is forgotten",
                "leave out clear_param_store() and assignments to the store; pyro.param(name, start) "
                "sets the "
                "start once by itself",
                name,
                site.place if site else "",
            )
    finally:
        with torch.no_grad():
            for name, w in before.items():
                w.copy_(kept[name])
        store.set_state({"params": before, "constraints": dict(store._constraints)})


CHECKS = (
    bad_start,
    stale,
    shared,
    unregistered,
    nothing_to_train,
    reset,
)

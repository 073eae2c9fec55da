"""Checks of parameters: each is registered, starts where it says, and stays in its range."""

from collections.abc import Iterator
from typing import Any

import pyro
import torch
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.linting.findings import Finding
from ppl_gen.linting.gradients import leaves
from ppl_gen.linting.pair import Pair, modules_of
from ppl_gen.linting.recording import Run
from ppl_gen.normalisation.integrals import base_of

_PASSED = (
    "Expand", "View", "Unsqueeze", "Squeeze", "Alias", "Clone", "Select", "Slice", "Reshape", "T", "Permute",
    "ToCopy", "AsStrided", "Index",
)  # fmt: skip


def unbounded(pair: Pair) -> Iterator[Finding]:
    """A parameter that must be positive cannot step below zero."""
    leaves = {id(leaf): name for name, leaf in pair.parameters().items()}
    told: set[str] = set()
    for part, run in pair.runs:
        for site in run.samples.values():
            base = base_of(site.fn)
            for argument, bound in getattr(base, "arg_constraints", {}).items():
                value = base.__dict__.get(argument)
                if not isinstance(value, Tensor) or _free(bound):
                    continue
                leaf = _leaf(value, argument == "probs" and hasattr(base, "_num_events"))
                if leaf is None or (name := leaves.get(id(leaf), "")) in told:
                    continue
                told.add(name)
                yield Finding(
                    "unbounded-parameter",
                    f"the {argument} of {site.name!r} in the {part} is the parameter {name!r} itself, "
                    "which no "
                    f"constraint keeps to {_words(bound)}: a step can take it out, and the fit stops or goes "
                    f"nan",
                    f'pyro.param("{name or argument}", start, constraint=constraints.{_words(bound)}); in a '
                    f"module: PyroParam(start, constraints.{_words(bound)})",
                    name or site.name,
                    site.place,
                )


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


def _leaf(value: Tensor, divided: bool) -> Tensor | None:
    """The trainable tensor that ``value`` is, up to its shape (and its sum, for probabilities)."""
    node: Any = value.grad_fn
    if value.is_leaf:
        return value if value.requires_grad else None
    while node is not None:
        if isinstance(variable := getattr(node, "variable", None), Tensor):
            return variable
        name = type(node).__name__.removesuffix("0").removesuffix("Backward")
        if (name != "Div" * divided and name not in _PASSED) or not node.next_functions:
            return None
        node = node.next_functions[0][0]
    return None


def _free(bound: Any) -> bool:
    """Whether every real number is legal."""
    base = bound
    while hasattr(base, "base_constraint"):
        base = base.base_constraint
    return (
        base is constraints.real
        or str(base).startswith(("Real", "Dependent"))
        or base is constraints.real_vector
    )


def _words(bound: Any) -> str:
    text = str(bound)
    for word, name in (
        ("Simplex", "simplex"),
        ("LowerCholesky", "lower_cholesky"),
        ("PositiveDefinite", "positive_definite"),
        ("GreaterThan", "positive"),
        ("Interval", "unit_interval"),
    ):
        if word in text:
            return name
    return "positive"


CHECKS = (
    unbounded,
    bad_start,
    stale,
    unregistered,
    nothing_to_train,
    reset,
)

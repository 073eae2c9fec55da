"""Checks of parameters: each is registered, stays in its range, and is reached by the ELBO's gradient."""

from collections.abc import Iterator
from typing import Any

import pyro
import torch
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.linting.findings import Finding
from ppl_gen.linting.pair import Pair, modules_of
from ppl_gen.linting.recording import Run, Site
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


def idle(pair: Pair) -> Iterator[Finding]:
    """The ELBO depends on every parameter."""
    if not pair.works or any(s.given for _, run in pair.runs for s in run.params.values()):
        return
    parameters = {n: w for n, w in pair.parameters().items() if w.requires_grad}
    if any(not s.grad for _, run in pair.runs for s in run.statements):
        return
    reached = {id(leaf) for leaf in _leaves(pair)}
    params = {**pair.p.params, **pair.q.params}
    modules: dict[str, list[str]] = {}
    for name, w in parameters.items():
        if id(w) not in reached:
            modules.setdefault(name.partition("$$$")[0] if "$$$" in name else name, []).append(name)
    for shown, names in modules.items():
        yield Finding(
            "idle-parameter",
            f"no gradient reaches {', '.join(map(repr, names[:3]))}{', …' * (len(names) > 3)}: "
            "training leaves "
            f"it as it is",
            "use it without .detach(), .data, .item(), .numpy() or torch.tensor(…); or remove it",
            shown,
            params[names[0]].place,
        )


def unregistered(pair: Pair) -> Iterator[Finding]:
    """Everything that the ELBO could learn is a parameter that Pyro knows."""
    if not pair.works or pair.declared:
        return
    known = {id(w) for w in pair.parameters().values()}
    strange = [leaf for leaf in _leaves(pair) if id(leaf) not in known]
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
    if not drawn or not pair.works or pair.parameters() or _leaves(pair):
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


def no_gradients(pair: Pair) -> Iterator[Finding]:
    """Autograd records while the programs run."""
    fix = "leave out torch.no_grad() and torch.inference_mode() around the programs and around svi.step"
    if not pair.recording:
        yield Finding(
            "no-grad", "gradients are switched off here: a fit in this place trains nothing, silently", fix
        )
    for part, run in pair.runs:
        for site in run.statements:
            if not site.grad and site.kind == "sample" and not site.deterministic:
                yield Finding(
                    "no-grad",
                    f"the {part} draws {site.name!r} with gradients switched off: nothing above it is "
                    "trained",
                    fix,
                    site.name,
                    site.place,
                )
                break


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


def cut(pair: Pair) -> Iterator[Finding]:
    """The gradient passes through each continuous latent to what depends on it."""
    if not pair.works:
        return
    for name, site in pair.latents.items():
        drawn = pair.q.samples.get(name)
        if drawn is None or site.discrete or not drawn.fn.has_rsample or not isinstance(drawn.value, Tensor):
            continue
        found = _cut(pair, name, drawn.value.detach())
        if found is not None:
            yield Finding(
                "cut-gradient",
                f"{found.name!r} depends on {name!r}, and no gradient passes from it: the guide's "
                f"{name!r} is "
                f"not trained to fit it",
                "use the latent as a tensor, without .detach(), .item(), .numpy(), int(), round() or a "
                "comparison; if it must be cut into steps, draw a discrete latent",
                name,
                found.place,
            )


def _cut(pair: Pair, name: str, value: Tensor) -> Site | None:
    """A site whose density moves with ``name``, while its gradient is none or zero wherever it is tried."""
    size = 1 + value.abs().mean()
    suspects: dict[str, Site] = {}
    scores: dict[str, list[Tensor]] = {}
    for i, step in enumerate((0.0, 0.9, -0.4, -0.9)):
        leaf = (value + step * size).requires_grad_()
        run = pair.run("model", {**pair.p.values, name: leaf})
        for other, site in run.samples.items():
            if other == name or site.log_prob is None or run.error is not None:
                continue
            score = site.log_prob.sum()
            scores.setdefault(other, []).append(score.detach())
            gradient = None
            if score.requires_grad:
                (gradient,) = torch.autograd.grad(score, [leaf], allow_unused=True, retain_graph=True)
            if i == 0:
                suspects[other] = site
            if gradient is not None and bool((gradient != 0).any()):
                suspects.pop(other, None)
    for other, site in suspects.items():
        finite = torch.stack([s for s in scores[other] if bool(torch.isfinite(s))] or [torch.zeros(())])
        if bool((finite - finite[0]).abs().max() > 1e-4 * (1 + finite.abs().max())):
            return site
    return None


def score_function(pair: Pair) -> Iterator[Finding]:
    """What the guide draws is reparameterised, or summed out."""
    for name, site in pair.q.samples.items():
        if site.observed or site.deterministic or site.enumerated or site.delta or name not in pair.p.samples:
            continue
        if site.fn.has_rsample:
            continue
        if site.discrete and site.fn.has_enumerate_support:
            fix = 'sum it out: infer={"enumerate": "parallel"} at its pyro.sample, and TraceEnum_ELBO()'
        else:
            fix = "take a family with rsample (has_rsample), or give it a baseline and use TraceGraph_ELBO()"
        yield Finding(
            "score-function",
            f"the guide draws {name!r} from {type(base_of(site.fn)).__name__}, which cannot be "
            "reparameterised: "
            f"its gradient is estimated by the score function, with a large variance",
            fix,
            name,
            site.place,
            "warning",
        )


def _leaves(pair: Pair) -> list[Tensor]:
    """The tensors from which the densities of both programs are computed, and which could be trained."""
    scores = [
        s.log_prob
        for _, run in pair.runs
        for s in run.samples.values()
        if s.log_prob is not None and s.log_prob.requires_grad
    ]
    found: dict[int, Tensor] = {}
    seen: set[Any] = set()
    stack = [score.grad_fn for score in scores]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor):
            found[id(variable)] = variable
        stack.extend(next_node for next_node, _ in node.next_functions)
    return list(found.values())


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
    idle,
    unregistered,
    nothing_to_train,
    no_gradients,
    reset,
    cut,
    score_function,
)

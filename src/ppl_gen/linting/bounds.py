"""Checks of the arguments of distributions: training cannot take them out of their range."""

import math
from collections.abc import Iterator
from typing import Any

import pyro
import torch
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.linting.findings import Finding
from ppl_gen.linting.pair import Pair
from ppl_gen.linting.recording import Run, Site
from ppl_gen.normalisation.arguments import arguments_of, room
from ppl_gen.normalisation.integrals import base_of

_PASSED = (
    "Expand", "View", "Unsqueeze", "Squeeze", "Alias", "Clone", "Select", "Slice", "Reshape", "T", "Permute",
    "ToCopy", "AsStrided", "Index",
)  # fmt: skip
_KEPT = ("Exp", "Softplus", "Sigmoid", "Softmax", "Abs", "Relu", "Clamp", "ClampMin")  # these end in a range


def unbounded(pair: Pair) -> Iterator[Finding]:
    """A step of the parameters cannot take an argument of a distribution out of its range.

    Each is pushed: the parameters move against its gradient until it would be outside if it were linear in
    them. What exp, softplus or a constraint keeps inside stays there.
    """
    if not pair.works:
        return
    known = {id(w): name for name, w in pair.parameters().items()}
    told: set[str] = set()
    for part, run in pair.runs:
        if part == "guide" and pair.automatic:
            continue
        fixed = {n: v.detach() if isinstance(v, Tensor) else v for n, v in run.values.items()}
        run = pair.run(part, fixed)  # so that gradients end at the parameters of this program
        for site in run.samples.values():
            for argument, value, bound in arguments_of(site.fn):
                if not value.requires_grad or _free(bound):
                    continue
                leaf = _leaf(value, argument == "probs" and hasattr(base_of(site.fn), "_num_events"))
                direct = leaf is not None
                if not direct and not _kept(value):
                    leaf = _pushed(pair, part, fixed, site, argument, value, bound)
                if leaf is None or (name := known.get(id(leaf), "")) in told:
                    continue
                told.add(name)
                named = f"the parameter {name!r}" if name else "a parameter"
                what = (
                    f"{named} itself, which no constraint keeps"
                    if direct
                    else f"computed from {named} and not kept"
                )
                word = _words(bound)
                fix = f'pyro.param("{name or argument}", start, constraint=constraints.{word}); in a module: '
                fix += f"PyroParam(start, constraints.{word})"
                if not direct:
                    ends = {"simplex": "softmax(-1)", "unit_interval": "sigmoid()"}
                    end = ends.get(word, "exp()")
                    fix = f"pass it through .{end}, or make it of parameters with a constraint: {fix}"
                yield Finding(
                    "unbounded-parameter",
                    f"the {argument} of {site.name!r} in the {part} is {what} {_range(word)}: a step "
                    f"can take it "
                    f"out, and the fit stops or goes nan",
                    fix,
                    name or site.name,
                    site.place,
                )


def linked_twice(pair: Pair) -> Iterator[Finding]:
    """Logits are not probabilities already."""
    for part, run in pair.runs:
        for name, site in run.samples.items():
            base = base_of(site.fn)
            value = base.__dict__.get("logits")
            if not isinstance(value, Tensor) or (made := _made_by(value, ("Sub",))) not in (
                "Sigmoid",
                "Softmax",
            ):
                continue
            yield Finding(
                "probabilities-as-logits",
                f"the logits of {name!r} in the {part} come out of a {made.lower()}, so they are "
                f"probabilities: "
                f"{type(base).__name__} makes probabilities of them once more, and none can come near 0 or 1",
                f"write {type(base).__name__}(probs=…); or leave the {made.lower()} out and keep logits=",
                name,
                site.place,
            )


def _pushed(
    pair: Pair, part: str, fixed: dict[str, Any], site: Site, argument: str, value: Tensor, bound: Any
) -> Tensor | None:
    """The parameter that takes an argument out of its range, if a push does."""
    inside = room(value, bound)
    parameters = [w for w in pair.parameters().values() if w.requires_grad and w.is_leaf]
    if inside is None or not parameters or not bool(torch.isfinite(inside).all()):
        return None
    least = inside.min()
    slopes = torch.autograd.grad(least, parameters, allow_unused=True, retain_graph=True)
    moving = [(w, g) for w, g in zip(parameters, slopes, strict=True) if g is not None and bool(g.any())]
    square = sum(float(g.square().sum()) for _, g in moving)
    if not moving or not math.isfinite(square) or not square:
        return None
    margin = 0.1 * (1 + float(least))
    before = [w.detach().clone() for w, _ in moving]
    try:
        for times in (1.0, 3.0):
            with torch.no_grad():
                for (w, g), start in zip(moving, before, strict=True):
                    w.copy_(start - times * (float(least) + margin) / square * g)
            with pyro.validation_enabled(False):
                after: Run = pair.run(part, fixed)
            if site.name not in after.samples:
                continue
            found = {n: v for n, v, _ in arguments_of(after.samples[site.name].fn)}.get(argument)
            left = None if found is None else room(found, bound)
            if left is not None and not bool((left >= -margin / 100).all()):
                return max(moving, key=lambda one: float(one[1].square().sum()))[0]
    finally:
        with torch.no_grad():
            for (w, _), start in zip(moving, before, strict=True):
                w.copy_(start)
    return None


def _kept(value: Tensor) -> bool:
    """Whether the last thing done to ``value``, but for its shape, keeps it in a range."""
    return _made_by(value) in _KEPT


def _made_by(value: Tensor, also: tuple[str, ...] = ("Div",)) -> str:
    """The last operation that made a tensor, but for its shape and what is passed over ``also``."""
    node: Any = value.grad_fn
    while node is not None:
        name = str(type(node).__name__).removesuffix("0").removesuffix("Backward")
        if name not in (*_PASSED, *also) or not node.next_functions:
            return name
        node = node.next_functions[0][0]
    return ""


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


def _range(word: str) -> str:
    return {"simplex": "on the simplex", "unit_interval": "between 0 and 1"}.get(word, word.replace("_", " "))


CHECKS = (unbounded, linked_twice)

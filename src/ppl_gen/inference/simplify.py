"""Simpler graphs of the same numbers: constants once, repetitions once, little tensors before large ones.

Autograd and Pyro's handlers multiply by one, add zero, and expand parameters to all rows before they take
logarithms. Reference: Aho, Lam, Sethi and Ullman 2006, Compilers, chapter 9 (constant folding, common
subexpressions); over tensors, an operation on what was expanded is one on the smaller tensor.
"""

from typing import Any

import torch
from torch import Tensor, fx

aten = torch.ops.aten
_NEUTRAL: dict[Any, int] = dict.fromkeys((aten.add.Tensor, aten.sub.Tensor), 0)
_NEUTRAL |= dict.fromkeys((aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar), 1)
_NEUTRAL |= {aten.pow.Tensor_Scalar: 1}
_COMMUTE = {aten.add.Tensor, aten.mul.Tensor}
_RESHAPES = {aten.view.default, aten.reshape.default, aten._unsafe_view.default, aten.expand.default}
_FILLED: dict[Any, Any] = {aten.ones_like.default: 1, aten.zeros_like.default: 0}
_FILLED |= {aten.full_like.default: None, aten.fill.Scalar: None}  # the number is an argument


def simplify(graph: fx.GraphModule) -> None:
    """Compute constants once, what is computed twice once, and what is expanded before it is expanded.

    Every number stays as it was, but for the sign of a zero.
    """
    known: dict[Any, fx.Node] = {}
    for node in list(graph.graph.nodes):
        if node.op == "get_attr":
            node.replace_all_uses_with(known.setdefault(node.target, node))
        if node.op != "call_function" or random(node):
            continue
        other = _same(graph, node)
        if other is None:
            key = (node.target, repr(node.args), repr(node.kwargs))
            other = known.get(key)
            if other is None:
                other = _constant(graph, node) or _before_expanding(graph, node) or node
                known[key] = other
        if other is not node:
            node.replace_all_uses_with(other)
    for node in list(graph.graph.nodes):
        _straighten(graph, node)
    _clean(graph)


def random(node: fx.Node) -> bool:
    """Whether the node draws: it must stay, and stay where it is."""
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _clean(graph: fx.GraphModule) -> None:
    graph.graph.eliminate_dead_code()
    for name in [n for n, _ in graph.named_buffers()]:
        if not any(node.op == "get_attr" and node.target == name for node in graph.graph.nodes):
            delattr(graph, name)
    graph.recompile()
    for node in graph.graph.nodes:
        node.meta.clear()  # what the tracer kept of this run


def _same(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """The argument that the node equals, if it does nothing."""
    args: Any = node.args
    if node.target is aten.detach.default:
        return args[0]
    if node.target is aten.t.default and args[0].target is aten.t.default:
        return args[0].args[0]
    candidates = [args[0]] if node.target in _RESHAPES else []
    if node.target in _NEUTRAL and not node.kwargs:
        neutral, pairs = _NEUTRAL[node.target], [args[:2], args[1::-1]]
        candidates = [a for a, b in pairs[: 1 + (node.target in _COMMUTE)] if _is(graph, b, neutral)]
    new = node.meta.get("val")
    for candidate in candidates:
        old = candidate.meta.get("val") if isinstance(candidate, fx.Node) else None
        if (
            isinstance(old, Tensor)
            and isinstance(new, Tensor)
            and (old.shape, old.dtype) == (new.shape, new.dtype)
        ):
            return candidate
    return None


def _is(graph: fx.GraphModule, argument: Any, number: int) -> bool:
    """Whether the argument is this number, or a constant full of it."""
    if isinstance(argument, fx.Node):
        if argument.op != "get_attr":
            return False
        value = getattr(graph, str(argument.target))
        return (
            value.numel() > 0 and bool(value[(0,) * value.dim()] == number) and bool((value == number).all())
        )
    return bool(argument == number)


def _constant(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """The node's value as a constant of the graph, if it depends on constants alone."""
    like = node.meta.get("val")
    if node.target in _FILLED and isinstance(like, Tensor):
        args: Any = node.args
        number = _FILLED[node.target] if len(args) < 2 else args[1]
        value: Any = torch.full((), number, dtype=like.dtype, device=like.device).expand(like.shape)
    elif all(n.op == "get_attr" for n in node.all_input_nodes):
        constants = {n: getattr(graph, str(n.target)) for n in node.all_input_nodes}
        given, named = fx.node.map_arg((node.args, node.kwargs), constants.__getitem__)
        value = node.target(*given, **named)  # type: ignore[operator]
    else:
        return None
    if not isinstance(value, Tensor):
        return None
    name = f"constant_{node.name}"
    graph.register_buffer(name, value)
    with graph.graph.inserting_before(node):
        constant = graph.graph.get_attr(name)
    constant.meta["val"] = value
    return constant


def _before_expanding(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """An operation on numbers one by one, done on the tensors as they were before they were expanded."""
    like = node.meta.get("val")
    if torch.Tag.pointwise not in getattr(node.target, "tags", ()) or not isinstance(like, Tensor):
        return None
    bases = {n: base for n in node.all_input_nodes if (base := _base(graph, n)) is not None}
    if not bases:
        return None
    given, named = fx.node.map_arg((node.args, node.kwargs), lambda n: _shape_of(bases.get(n, n)))
    value = node.target(*given, **named)  # type: ignore[operator]
    if value.dtype != like.dtype:  # a tensor without dimensions has less say in it
        return None
    with graph.graph.inserting_before(node):
        given, named = fx.node.map_arg((node.args, node.kwargs), lambda n: bases.get(n, n))
        found = graph.graph.call_function(node.target, given, named)  # type: ignore[arg-type]
        found.meta["val"] = value if value.shape != like.shape else like
        if value.shape != like.shape:
            found = graph.graph.call_function(aten.expand.default, (found, list(like.shape)))
            found.meta["val"] = like
    return found


def _shape_of(node: fx.Node) -> Tensor:
    """A tensor like the node's, without numbers."""
    like = node.meta["val"]
    return torch.empty(like.shape, dtype=like.dtype, device="meta")


def _base(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """What the node expands, if that is all it does."""
    if node.target is aten.expand.default:
        base: Any = node.args[0]
        return base if isinstance(base.meta.get("val"), Tensor) else None
    if node.op != "get_attr" or "base" in node.meta:
        return node.meta.get("base")
    value, name = getattr(graph, str(node.target)), f"base_{node.target}"
    repeated = [
        d
        for d, (size, stride) in enumerate(zip(value.shape, value.stride(), strict=True))
        if size > 1 and stride == 0
    ]
    if not repeated:
        return None
    for d in repeated:
        value = value.narrow(d, 0, 1)
    if value.numel() == 1:
        value = value.reshape(())
    graph.register_buffer(name, value)
    with graph.graph.inserting_after(node):
        base = graph.graph.get_attr(name)
    base.meta["val"], node.meta["base"] = value, base
    return base


def _straighten(graph: fx.GraphModule, node: fx.Node) -> None:
    """Reshape instead of look up, where the rows looked up are all rows in order: enumeration's ``mu[z]``."""
    if node.target not in (aten.index.Tensor, aten.index_put.default):
        return
    args: Any = node.args
    table, (index, *others) = args[:2]
    rows = (
        getattr(graph, str(index.target)) if isinstance(index, fx.Node) and index.op == "get_attr" else None
    )
    if rows is None or others or not torch.equal(rows.flatten(), torch.arange(len(table.meta["val"]))):
        return
    shape = list(node.meta["val"].shape)
    if node.target is aten.index_put.default:  # the gradient of a look-up, added to zeros
        zeros, value = table.target in (aten.new_zeros.default, aten.zeros.default), args[2]
        if not zeros or value.meta["val"].shape != (*rows.shape, *shape[1:]):
            return
        table = value
    with graph.graph.inserting_before(node):
        node.replace_all_uses_with(graph.graph.call_function(aten.reshape.default, (table, shape)))

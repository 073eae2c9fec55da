"""A function of tensors as a graph of ATen operations: captured once, simplified, replayed or compiled.

The handlers of Pyro cost more than the mathematics of a small model. A graph has none of them.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, fx

from ppl_gen.errors import Untraceable

Tensors = tuple[Tensor, ...]
_OWN = {  # of the compiler, for one call
    "fallback_random": True,  # draw by torch's own kernels, so the numbers are those of the eager step
    "compile_threads": 1,  # leave no pool of processes behind
    "cpp_cache_precompile_headers": False,  # they would lie outside the user's cache directory
    "cpp.vec_isa_ok": True,  # trust the processor's flags instead of compiling a trial program for each
}


def capture(function: Callable[..., Tensors], inputs: Tensors) -> fx.GraphModule:
    """The operations that ``function`` does on ``inputs``, backward passes included, as a graph.

    Shapes and all that is not a tensor become constants of the graph; random draws stay draws.

    Raises:
        Untraceable: the function decides by the values of its inputs, or changes a tensor for good.
    """
    with _untouched(), torch.enable_grad():
        from torch.func import functionalize
        from torch.fx.experimental.proxy_tensor import make_fx  # its imports change the filters of warnings

        try:
            graph = make_fx(function)(*inputs)
            _refuse_lasting_changes(graph)
            graph = make_fx(functionalize(graph))(*inputs)  # without changes in place, nodes may be shared
        except Untraceable:
            raise
        except Exception as error:  # whatever a model's program does when it is run on proxies
            raise Untraceable(_reason(error)) from error
        simplify(graph)
    return graph


def simplify(graph: fx.GraphModule) -> None:
    """Compute constants once, and what is computed twice once; every number stays as it was."""
    known: dict[Any, fx.Node] = {}
    for node in list(graph.graph.nodes):
        if node.op != "call_function" or _random(node):
            continue
        if node.target is torch.ops.aten.detach.default:
            node.replace_all_uses_with(node.args[0])
            continue
        key = (node.target, repr(node.args), repr(node.kwargs))
        if key in known:
            node.replace_all_uses_with(known[key])
            continue
        known[key] = node
        if all(n.op == "get_attr" for n in node.all_input_nodes):
            _fold(graph, node)
    for node in list(graph.graph.nodes):
        _straighten(graph, node)
    graph.graph.eliminate_dead_code()
    for name in [n for n, _ in graph.named_buffers()]:
        if not any(node.op == "get_attr" and node.target == name for node in graph.graph.nodes):
            delattr(graph, name)
    graph.recompile()
    for node in graph.graph.nodes:
        node.meta.clear()  # what the tracer kept of this run


def _fold(graph: fx.GraphModule, node: fx.Node) -> None:
    """Replace a node of constants by its value."""
    constants = {n: getattr(graph, str(n.target)) for n in node.all_input_nodes}
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), constants.__getitem__)
    value = node.target(*args, **kwargs)  # type: ignore[operator]
    if not isinstance(value, Tensor):
        return
    name = f"constant_{node.name}"
    graph.register_buffer(name, value)
    with graph.graph.inserting_before(node):
        constant = graph.graph.get_attr(name)
    constant.meta["val"] = value
    node.replace_all_uses_with(constant)


def _straighten(graph: fx.GraphModule, node: fx.Node) -> None:
    """Reshape instead of look up, where the rows looked up are all rows in order: enumeration's ``mu[z]``."""
    aten = torch.ops.aten
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


def compiled(graph: fx.GraphModule, inputs: Tensors) -> Callable[..., Tensors]:
    """The graph as machine code, made by TorchInductor and a C++ compiler; it takes many seconds.

    Raises:
        Untraceable: there is no C++ compiler, or it cannot compile this graph.
    """
    constants = _lift_constants(graph)
    with _untouched(), torch.no_grad():
        try:
            from torch import _inductor
            from torch._inductor import config

            with config.patch(_OWN):
                program = _inductor.compile(graph, [*inputs, *constants])
        except Exception as error:
            raise Untraceable(_reason(error)) from error
    return lambda *values: program(*values, *constants)


def _lift_constants(graph: fx.GraphModule) -> list[Tensor]:
    """Make the graph's constants its last inputs, so that the compiler's cache serves other data too."""
    constants: dict[str, fx.Node] = {}
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    for node in [n for n in graph.graph.nodes if n.op == "get_attr"]:
        name = str(node.target)
        if name not in constants:
            with graph.graph.inserting_after(last):
                constants[name] = last = graph.graph.placeholder(f"of_{name}")
        node.replace_all_uses_with(constants[name])
        graph.graph.erase_node(node)
    graph.recompile()
    return [getattr(graph, name) for name in constants]


def work(graph: fx.GraphModule, inputs: Tensors) -> float:
    """About how many seconds one replay takes: so much for each operation, so much for each number."""
    operations = sum(node.op == "call_function" for node in graph.graph.nodes)
    return operations * 4e-6 + _Counting(graph).count(inputs) * 5e-10


class _Counting(fx.Interpreter):
    def count(self, inputs: Tensors) -> int:
        self.numbers = 0
        with torch.no_grad():
            self.run(*inputs)
        return self.numbers

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.op == "call_function" and isinstance(value, Tensor):
            self.numbers += value.numel()
        return value


def _random(node: fx.Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _refuse_lasting_changes(graph: fx.GraphModule) -> None:
    """A tensor from outside, such as the running mean of a batch norm, may not be changed in place."""
    for node in graph.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or not schema.is_mutable:
            continue
        for value, argument in zip(node.args, schema.arguments, strict=False):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            while isinstance(value, fx.Node) and value.op == "call_function" and _view(value):
                value = value.args[0]
            if isinstance(value, fx.Node) and value.op in ("get_attr", "placeholder"):
                raise Untraceable(f"the program changes a tensor of its own in place ({node.target})")


def _view(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and any(r.alias_info is not None for r in schema.returns)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "_local_scalar_dense" in text or "data-dependent" in text:
        return "the program decides by the values of tensors"
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__


@contextmanager
def _untouched() -> Iterator[None]:
    """Leave warnings, the environment and the state of the random generator as they were."""
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        before = dict(os.environ)
        try:
            yield
        finally:  # the compiler writes its cache's folder there
            for name in os.environ.keys() - before.keys():
                del os.environ[name]
            os.environ.update({k: v for k, v in before.items() if os.environ.get(k) != v})

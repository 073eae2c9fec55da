"""A function of tensors as a graph of ATen operations: captured once, replayed or compiled.

The handlers of Pyro cost more than the mathematics of a small model. A graph has none of them.
"""

import copy
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, fx

from ppl_gen.checks import unseen
from ppl_gen.errors import Untraceable
from ppl_gen.inference.simplify import simplify

Tensors = tuple[Tensor, ...]
KEPT = 32  # compiled graphs of this process
_programs: dict[Any, Callable[..., Any]] = {}  # by graph and layout, the last used last
_OWN = {  # of the compiler, for one call
    "fallback_random": True,  # draw by torch's own kernels, so the numbers are those of the eager step
    "compile_threads": 1,  # leave no pool of processes behind
    "cpp_cache_precompile_headers": False,  # they would lie outside the user's cache directory
    "size_asserts": False,  # `Steps` compares a run of the program with one of the graph instead
    "alignment_asserts": False,
    "scalar_asserts": False,
    "cpp.vec_isa_ok": True,  # trust the processor's flags instead of compiling a trial program for each
}


def capture(function: Callable[..., Tensors], inputs: Tensors) -> fx.GraphModule:
    """The operations that ``function`` does on ``inputs``, backward passes included, as a graph.

    Shapes and all that is not a tensor become constants of the graph; random draws stay draws.

    Raises:
        Untraceable: the function decides by the values of its inputs, or changes a tensor for good.
    """
    with _untouched(), unseen(), torch.enable_grad():
        from torch.func import functionalize
        from torch.fx.experimental.proxy_tensor import make_fx  # its imports change the filters of warnings

        try:
            graph = make_fx(function)(*inputs)
            _own_what_is_filled(graph)
            _refuse_lasting_changes(graph)
            graph = make_fx(functionalize(graph))(*inputs)  # without changes in place, nodes may be shared
        except Untraceable:
            raise
        except Exception as error:  # whatever a model's program does when it is run on proxies
            raise Untraceable(_reason(error)) from error
        simplify(graph)
    return graph


def compiled(graph: fx.GraphModule, inputs: Tensors) -> Callable[..., Tensors]:
    """The graph as machine code, made by TorchInductor and a C++ compiler; it takes many seconds.

    The same graph on tensors of the same layout is compiled once in a process: other data are other inputs.

    Raises:
        Untraceable: there is no C++ compiler, or it cannot compile this graph.
    """
    graph, constants = _without_constants(graph)
    tensors: list[Any] = [*inputs, *constants]
    layouts = tuple((v.dtype, v.shape, v.stride()) for v in tensors)
    key = graph.code, layouts, torch.get_num_threads()
    program = _programs.pop(key, None)
    if program is None:
        with _untouched(), torch.no_grad():
            try:
                from torch import _inductor
                from torch._inductor import config

                with config.patch(_OWN):
                    program = _inductor.compile(graph, tensors)
            except Exception as error:
                raise Untraceable(_reason(error)) from error
    _programs[key] = program
    if len(_programs) > KEPT:
        del _programs[next(iter(_programs))]
    return lambda *values: program(*values, *constants)


def _without_constants(graph: fx.GraphModule) -> tuple[fx.GraphModule, list[Tensor]]:
    """The graph with its constants as its last inputs, and those: compiled, it serves other data too."""
    free = copy.deepcopy(graph.graph)
    constants: dict[str, fx.Node] = {}
    last = [node for node in free.nodes if node.op == "placeholder"][-1]
    for node in [n for n in free.nodes if n.op == "get_attr"]:
        name = str(node.target)
        if name not in constants:
            with free.inserting_after(last):
                constants[name] = last = free.placeholder(f"of_{name}")
        node.replace_all_uses_with(constants[name])
        free.erase_node(node)
    return fx.GraphModule({}, free), [getattr(graph, name) for name in constants]


def verify(
    fast: Callable[..., Tensors],
    function: Callable[..., Tensors],
    inputs: Tensors,
    parameters: int,
    states: int,
    rtol: float,
) -> None:
    """Compare the two at other parameters: a branch, a counter or another order of draws would show.

    The ``inputs`` are so many parameters, so many states of an optimiser, and what stays as it is.

    Raises:
        Untraceable: they differ, by more than ``rtol``, in a number or in what they draw.
    """
    moved, rest = inputs[:parameters], inputs[parameters + states :]
    moved = (*(w + 1e-3 * torch.cos(torch.arange(w.numel()).reshape(w.shape)).to(w) for w in moved),)
    moved += (*(torch.ones_like(v) for v in inputs[parameters:][:states]),)  # Adam's first step is but a sign
    with torch.random.fork_rng(devices=[]):
        state = torch.get_rng_state()
        with torch.no_grad():
            found = fast(*moved, *rest)
        after = torch.get_rng_state()
        torch.set_rng_state(state)
        with torch.enable_grad():
            expected = function(*moved, *rest)
        if not torch.equal(after, torch.get_rng_state()):
            raise Untraceable("it draws another number of random numbers at every step")
    rtol = max(rtol, 1e3 * torch.finfo(found[1].dtype).eps)
    for a, b in zip(found, expected, strict=True):
        finite = b[b.isfinite()]
        size = float(finite.abs().max()) if finite.numel() else 0.0
        if not torch.allclose(a, b, rtol=rtol, atol=rtol * size, equal_nan=True):
            raise Untraceable("it differs from step to step in more than its draws")


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


def _own_what_is_filled(graph: fx.GraphModule) -> None:
    """A constant that is filled before it is read is a kernel's scratch paper: each call takes a new one.

    On such paper torch's binary cross entropy works out 1 - y, where no tracer sees it being made.
    """
    paper = set()
    for node in graph.graph.nodes:
        first = node.args[0] if node.args else None
        if not isinstance(first, fx.Node) or len(first.users) > 1:
            continue
        if node.target is torch.ops.aten.fill_.Scalar and first.op == "get_attr":
            node.target = torch.ops.aten.full_like.default
            paper.add(node)
        elif first in paper and isinstance(node.target, torch._ops.OpOverload):
            name, kind = node.target.name().removeprefix("aten::").partition(".")[::2]
            if name.endswith("_") and not name.endswith("__"):
                node.target = getattr(getattr(torch.ops.aten, name[:-1]), kind)
                paper.add(node)
    graph.recompile()


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

"""A simplified graph gives the numbers of the program it came from, with fewer and smaller operations."""

import pytest
import torch
from torch import fx

from ppl_gen.errors import DataError
from ppl_gen.inference.graphs import capture
from ppl_gen.networks import beside

RNG = torch.Generator().manual_seed(0)
X = torch.rand(50, 2, generator=RNG, dtype=torch.float64) + 0.5
S = torch.rand(2, generator=RNG, dtype=torch.float64) + 0.5


def operations(graph):
    return [str(node.target).split(".")[1] for node in graph.graph.nodes if node.op == "call_function"]


def spread(x, s):
    """Small numbers expanded to all rows before a logarithm, as distributions of torch do."""
    scale = (s * 1.0 + 0.0).expand(50, 2)
    return (-((x - scale) ** 2) / (2 * scale**2) - scale.log()).sum(-1)


def through_scalars(x, s):
    return x.log() + s.sum().expand(50, 1).exp() + torch.zeros(50, 2, dtype=x.dtype)


def repeated(x, s):
    return (x * s).sin() + (x * s).sin() + torch.ones_like(x) * x.t().t()


def with_gradient(x, s):
    s = s.detach().requires_grad_()
    (found,) = torch.autograd.grad(spread(x, s).logsumexp(0), s)
    return found


def of_two_kinds(x, s):
    """A float64 number without dimensions has no say over float32 tensors; expanded it has."""
    return x.float() * s.sum().expand(50, 2) + x.float() * s.sum()


def twice_the_same_zeros(x, s):
    return torch.zeros(2, dtype=x.dtype) - s, torch.zeros(2, dtype=x.dtype) * s


PROGRAMS = [spread, through_scalars, repeated, with_gradient, of_two_kinds, twice_the_same_zeros]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_the_numbers_stay(program):
    found = lambda *given: out if isinstance(out := program(*given), tuple) else (out,)  # noqa: E731
    graph = capture(found, (X, S))
    for x, s in ((X, S), (X + 1, 2 * S)):
        for a, b in zip(graph(x, s), found(x, s), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-13, atol=0)


def test_logarithms_are_taken_before_rows_are_filled():
    graph = capture(lambda x, s: (spread(x, s),), (X, S))
    sizes = {}

    class Watch(fx.Interpreter):
        def run_node(self, n):
            value = super().run_node(n)
            sizes[str(n.target)] = max(sizes.get(str(n.target), 0), getattr(value, "numel", int)())
            return value

    Watch(graph).run(X, S)
    assert sizes["aten.log.default"] == S.numel()
    assert sizes["aten.sub.Tensor"] == X.numel()
    assert "expand" not in operations(graph)


def test_nothing_is_done_twice_or_for_nothing():
    graph = capture(lambda x, s: (repeated(x, s),), (X, S))
    assert sorted(operations(graph)) == ["add", "add", "mul", "sin"]


def test_draws_stay_apart():
    def program(x):
        return (torch.randn(3) + torch.randn(3), torch.normal(x, 1.0) - torch.normal(x, 1.0))

    graph = capture(program, (torch.zeros(4),))
    for run in (graph, program):
        torch.manual_seed(3)
        first, second = run(torch.zeros(4))
        torch.manual_seed(3)
        torch.testing.assert_close(first, torch.randn(3) + torch.randn(3), rtol=0, atol=0)
        assert bool((second != 0).all())


def test_a_program_may_not_look_at_numbers_of_a_graph_but_none_is_taken_for_a_class():
    rows, codes = torch.zeros(2, 1), torch.tensor([0.0, 7.0])
    with pytest.raises(DataError, match="class codes 0 to 2"):
        beside(rows, codes, 3)
    (marks,) = capture(lambda y: (beside(rows, y, 3),), (torch.tensor([0.0, 1.0]),))(codes)
    assert marks[0].tolist() == [0, 1, 0, 0]
    assert bool(marks[1, 1:].isnan().all())
    with pytest.raises(DataError, match="class codes 0 to 2"):  # looked at again
        beside(rows, codes, 3)

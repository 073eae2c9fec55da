"""Which arguments of a bare program are inputs of its rows, and which are its data."""

import pandas as pd
import pyro
import pyro.distributions as dist
import torch

from ppl_gen import SVI, fit_pyro
from ppl_gen.diagnostics.trust.pyro_given import given_rows
from tests.planted_faults.base import REAL, normal

N = 12


def given(program, *args, **kwargs):
    """Site -> names of its inputs, of a program that is called with a latent number first."""

    def model(*args, **kwargs):
        program(pyro.sample("b", dist.Normal(torch.zeros((), dtype=REAL), 1.0)), *args, **kwargs)

    def guide(*args, **kwargs):
        loc = pyro.param("loc", torch.zeros((), dtype=REAL))
        pyro.sample("b", dist.Normal(loc, 1.0))

    model.__signature__ = signature_without_first(program)
    fitted = fit_pyro(
        model, guide, SVI(steps=1, learning_rate=1e-9, progress=False, compile=False), *args, **kwargs
    )
    return {site: [*inputs] for site, inputs in given_rows(fitted, 0).items()}


def signature_without_first(program):
    import inspect

    found = inspect.signature(program)
    return found.replace(parameters=[*found.parameters.values()][1:])


def rows(mean, y, sd=1.0):
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(mean, sd), obs=y)


def test_arguments_with_a_value_for_each_row_are_inputs_and_the_data_are_not():
    def program(b, x, y, w, groups, scale=1.0, *, other):
        rows(b * x + groups.sum(), y, scale)

    x, y, w = normal(0, N), normal(1, N), normal(2, N, 3)
    assert given(program, x, y, w, normal(3, 4), other=x.numpy() ** 2) == {"y": ["x", "w", "other"]}


def test_columns_of_one_matrix_are_told_apart():
    assert given(lambda b, d: rows(b * d[:, 0], d[:, 1]), normal(0, N, 3)) == {"y": ["d[0]", "d[2]"]}


def test_arrays_in_a_dictionary_are_arguments_too():
    def program(b, d, *, more):
        rows(b * d["x"] + more[2][:, 0], d["y"])

    d, more = {"x": normal(0, N), "y": normal(1, N), "name": "rows"}, {2: normal(2, N, 1)}
    assert given(program, d, more=more) == {"y": ["d['x']", "more[2]"]}


def test_arrays_in_tuples_lists_and_frames_are_arguments_too():
    def program(b, d, frame):
        rows(
            b * d[0] + d[1][0] + torch.tensor(frame["w"].tolist(), dtype=REAL),
            torch.tensor(frame["y"].tolist(), dtype=REAL),
        )

    columns = pd.DataFrame({"w": normal(2, N).numpy(), "y": normal(1, N).numpy()})
    expected = {"y": ["d[0]", "d[1][0]", "frame['w']"]}
    assert given(program, (normal(0, N), [normal(4, N)]), columns) == expected


def test_data_that_the_program_transforms_are_data_all_the_same():
    def program(b, x, y):
        rows(b * x, (y - y.mean()).exp())

    assert given(program, normal(0, N), normal(1, N)) == {"y": ["x"]}


def test_data_that_decide_the_density_of_data_leave_no_inputs():
    """Of given totals, more failures are fewer successes, whatever the model."""

    def program(b, successes, failures):
        with pyro.plate("rows", len(successes)):
            pyro.sample("k", dist.Binomial(successes + failures, logits=b), obs=successes)

    counts = torch.arange(N, dtype=REAL)
    assert given(program, counts, counts.flip(0) % 5) == {}


def test_an_argument_that_the_program_refuses_to_see_changed_is_left_out():
    def program(b, x, times, y):
        assert bool((times.diff() > 0).all())
        rows(b * x, y)

    assert given(program, normal(0, N), torch.arange(N), normal(1, N)) == {"y": ["x"]}

"""What of a bare program's arguments its rows are given: the inputs that residuals are held against."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from pyro import poutine

from ppl_gen.core import variables
from ppl_gen.diagnostics.trees.pyro_labels import named
from ppl_gen.diagnostics.trees.pyro_scores import data_of
from ppl_gen.diagnostics.trees.subsamples import whole_plates
from ppl_gen.diagnostics.trust.along import MOST, Array
from ppl_gen.inference import PyroFit
from ppl_gen.inference.elbo import Node
from ppl_gen.isolation import isolated


class _Moved(NamedTuple):
    """The observed sites whose data, and those the density of whose old data, an argument decides."""

    data: set[str]
    density: set[str]


def given_rows(found: PyroFit, seed: int) -> dict[str, dict[str, Array]]:
    """Observed variable -> the arguments with a value, or a row of values, for each of its rows, by name.

    An argument is data if other values change what the program observes, and an input if not; of a matrix
    each column. Its rows are exchanged for that, which leaves their mean and range as they were. Where data
    decide the density of data, as a total of counts does or a series its next value, there are no inputs:
    residuals need not be independent of them.
    """
    args, kwargs = found.arguments
    with isolated(seed), whole_plates():
        guided = poutine.trace(found.guide).get_trace(*args, **kwargs)

    def run(changed: Mapping[Any, Any]) -> dict[str, Node]:
        new = [changed.get(place, value) for place, value in enumerate(args)]
        its = {name: changed.get(name, value) for name, value in kwargs.items()}
        with isolated(seed), whole_plates():
            trace = poutine.trace(poutine.replay(found.model, trace=guided)).get_trace(*new, **its)
            return {name: variables(trace)[name] for name in data_of(trace)}

    plain = run({})
    rows = {name: len(site["value"]) for name, site in plain.items() if site["value"].dim()}

    def moved(place: Any, value: Any) -> _Moved | None:
        """None where the program refuses it."""
        try:
            after = run({place: value})
            return _Moved(
                {n for n, s in plain.items() if not _same(s["value"], after[n]["value"])},
                {n for n, s in plain.items() if not _same(_score(s, s), _score(after[n], s))},
            )
        except Exception:  # a program of somebody else's, on what it was not written for
            return None

    inputs, tangled = dict[str, Array](), set[str]()
    places = named(found.model, range(len(args)), {name: name for name in kwargs})
    for name, value in named(found.model, args, kwargs).items():
        if not isinstance(value, torch.Tensor | np.ndarray) or not value.ndim:
            continue
        if len(value) not in rows.values():
            continue
        order = np.random.default_rng(seed).permutation(len(value))
        whole = moved(places[name], value[order])
        if whole is None:
            continue
        if not whole.data:
            inputs[name] = _numbers(value)
        elif value.ndim != 2 or value.shape[1] > MOST:
            tangled |= whole.data & whole.density
        elif whole.density or not all(_same(value, plain[n]["value"]) for n in whole.data):
            for i in range(value.shape[1]):
                other = value.clone() if isinstance(value, torch.Tensor) else value.copy()
                other[:, i] = value[order, i]
                column = moved(places[name], other)
                if column is not None and not column.data:
                    inputs[f"{name}[{i}]"] = _numbers(value[:, i])
                elif column is not None:
                    tangled |= column.data & column.density
    return {
        site: {name: v for name, v in inputs.items() if len(v) == n}
        for site, n in rows.items()
        if site not in tangled
    }


def _score(site: Node, of: Node) -> torch.Tensor:
    log_p: torch.Tensor = site["fn"].log_prob(of["value"])
    return log_p


def _same(a: Any, b: Any) -> bool:
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), 1e-4, 1e-5, equal_nan=True)


def _numbers(value: Any) -> Array:
    return torch.as_tensor(value).double().numpy(force=True)

"""Programs whose observed sequences are as long as the data: whether lengths have probabilities."""

import itertools
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from ppl_gen.core import variables
from ppl_gen.normalisation.conditionals import Total
from ppl_gen.normalisation.integrals import base_of

MANY_SYMBOLS = 200  # of an alphabet that are tried one by one


def given_length(program: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Total]:
    """The total of a program that observes a sequence as long as the data, each item given the one before.

    If all continuations of a sequence by one item have its probability together, every length has the total
    one. An end symbol would show: the sequence without its last item would have another probability, or
    that item would occur at ends alone.
    """
    for key, data in [*enumerate(args), *kwargs.items()]:
        for items, written in _sequences(data):
            log_p = _Reader(program, args, kwargs, key, written)
            with suppress(Exception):  # a program that reads no other sequence tells nothing
                log_p.hold(items)
                if log_p.alphabet and _continues(log_p, items, log_p.alphabet):
                    note = (
                        "the data decide the length, so the sequences of each length sum to one, and all "
                        "together to infinity: observe an end symbol after each, or read it as "
                        "p(sequence | length)"
                    )
                    return [Total("(length)", math.inf, 0.0, "closed form", False, note)]
    return []


class _Reader:
    """The log probability of sequences that stand in one argument of a program, its latents held."""

    def __init__(self, program: Any, args: Any, kwargs: Any, key: Any, written: Callable[[list[int]], Any]):
        self.program, self.args, self.kwargs, self.key, self.written = program, args, kwargs, key, written
        self.alphabet: list[int] = []

    def hold(self, items: list[int]) -> None:
        """Keep what is latent as it is drawn for ``items``."""
        trace = self._trace(items)
        self.program = poutine.replay(self.program, trace=trace)
        self.alphabet = _alphabet(trace)

    def __call__(self, items: list[int]) -> float:
        found = variables(self._trace(items)).values()
        return math.fsum(float(_score(site).sum()) for site in found if _finite(site))

    def _trace(self, items: list[int]) -> poutine.Trace:
        given = dict(enumerate(self.args)) | dict(self.kwargs) | {self.key: self.written(items)}
        args = [given.pop(i) for i in range(len(self.args))]
        return poutine.trace(self.program).get_trace(*args, **given)


def _continues(log_p: Callable[[list[int]], float], items: list[int], alphabet: list[int]) -> bool:
    """Whether an item depends on the one before, and all continuations have a sequence's probability."""
    *start, before, _ = items
    other = next(a for a in alphabet if a != before)
    two = [[*start, a] for a in (before, other)]
    steps = torch.tensor([[log_p([*s, v]) - log_p(s) for v in alphabet] for s in two], dtype=torch.float64)
    return bool((steps.logsumexp(1).abs() < 1e-4).all()) and not torch.allclose(steps[0], steps[1], atol=1e-6)


def _finite(site: Mapping[str, Any]) -> bool:
    """Whether a site observes values of finitely many."""
    return bool(site["is_observed"]) and bool(base_of(site["fn"]).has_enumerate_support)


def _alphabet(trace: poutine.Trace) -> list[int]:
    """The values of the last site that observes values of finitely many, if they can be tried one by one."""
    found = [base_of(s["fn"]) for s in variables(trace).values() if _finite(s)]
    if not found or found[-1].event_shape:
        return []
    values = found[-1].enumerate_support(expand=False).flatten()
    return values.long().tolist() if 1 < len(values) <= MANY_SYMBOLS else []


def _sequences(data: Any) -> list[tuple[list[int], Callable[[list[int]], Any]]]:
    """A sequence in an argument, and how the argument reads with another in its place.

    An argument is a sequence of whole numbers, several of them, or a table with one in each row or column.
    None are found where all end in a symbol that stands at ends alone.
    """
    found: list[tuple[list[int], Callable[[list[int]], Any]]] = []
    if isinstance(data, Tensor) and data.dim() == 2 and not data.is_floating_point():
        for table, turn in ((data, False), (data.T, True)):
            rows = table.tolist()
            if rows and len(rows[0]) > 1 and not _ended(rows):

                def table_of(sequence: list[int], turn: bool = turn) -> Tensor:
                    row = torch.tensor([sequence], dtype=data.dtype)
                    return row.T if turn else row

                found.append((rows[0], table_of))
        return found
    rows = [last] if (last := _last(data)) is not None else []
    several = isinstance(data, list | tuple) and data and not isinstance(data[-1], int | float)
    if rows and several:
        rows = [row for part in data if (row := _last(part)) is not None]
    if last is not None and len(last) > 1 and not _ended(rows):
        found.append((last, lambda sequence: _with_last(data, sequence)))
    return found


def _ended(sequences: list[list[int]]) -> bool:
    """Whether all end in one symbol, perhaps repeated, that stands nowhere else."""
    ends = {s[-1] for s in sequences if s}
    if len(ends) != 1:
        return False
    [end] = ends
    starts = [list(itertools.dropwhile(lambda i: i == end, reversed(s))) for s in sequences]
    return not any(end in start for start in starts)


def _last(data: Any) -> list[int] | None:
    """The items of a sequence, or of the last of several."""
    if isinstance(data, Tensor):
        data = data.tolist() if data.dim() == 1 else None
    if isinstance(data, list | tuple) and data and not isinstance(data[-1], int | float):
        return _last(data[-1])
    whole = isinstance(data, list | tuple) and len(data) > 1 and all(isinstance(i, int) for i in data)
    return list(data) if whole else None


def _with_last(data: Any, sequence: list[Any]) -> Any:
    """``data`` with its last sequence replaced."""
    if isinstance(data, Tensor):
        return torch.tensor(sequence, dtype=data.dtype)
    if data and not isinstance(data[-1], int | float):
        return type(data)([*data[:-1], _with_last(data[-1], sequence)])
    return type(data)(sequence)


def _score(site: Mapping[str, Any]) -> Tensor:
    score: Tensor = site["fn"].log_prob(torch.as_tensor(site["value"]))
    return score

"""Programs that draw until they stop: how much of their probability ends at all."""

import heapq
import itertools
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ppl_gen.core import variables
from ppl_gen.normalisation.conditionals import Total
from ppl_gen.normalisation.integrals import base_of

LONGEST = 150  # draws of one run
RUNS = 200
FEW = 50  # runs that tell whether any ends
MANY_SYMBOLS = 200  # of an alphabet that are tried one by one


class Ending(NamedTuple):
    """The mass of the runs that end, and how it was found.

    Attributes:
        mass, error: the probability of ending.
        weight: the sum over the runs that end of their probability times the exponential of their factors;
            None if it is not exact.
        settled: whether more would end if they were let to.
    """

    mass: float
    error: float
    weight: float | None
    how: str
    settled: bool


class _Stop(Exception):
    """A run was long enough."""


class _Limit(Messenger):
    """Stop a run after so many draws, counted in ``draws``."""

    def __init__(self, most: int):
        super().__init__()
        self.most, self.draws = most, 0

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        if not msg["is_observed"]:
            self.draws += 1
            if self.draws > self.most:
                raise _Stop


class _Chosen(Messenger):
    """Take the discrete choices of a list, and stop at the first that it does not hold."""

    def __init__(self, choices: tuple[int, ...]):
        super().__init__()
        self.choices, self.made = choices, 0
        self.open: Tensor | None = None  # the log probabilities of the values at the choice to make
        self.others = False  # whether anything else was drawn

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        fn = msg["fn"]
        if msg["is_observed"] or type(fn).__name__ == "_Subsample":
            return
        if not fn.has_enumerate_support or torch.Size(fn.batch_shape).numel() != 1 or fn.event_shape:
            self.others = True
            return
        support = fn.enumerate_support()
        if self.made == len(self.choices):
            self.open = fn.log_prob(support).double().flatten()
            raise _Stop
        msg["value"], msg["done"] = support[self.choices[self.made]], True
        self.made += 1


class Factors(Messenger):
    """Add up what pyro.factor adds to the log density."""

    def __init__(self) -> None:
        super().__init__()
        self.log, self.names = 0.0, set[str]()

    def _pyro_post_sample(self, msg: dict[str, Any]) -> None:
        if type(msg["fn"]).__name__ == "Unit":
            term = torch.as_tensor(msg["fn"].log_prob(msg["value"])).double() * msg["scale"]
            shape = torch.Size([f.size for f in msg["cond_indep_stack"] if f.vectorized])
            self.log += float(term.expand(torch.broadcast_shapes(term.shape, shape)).sum())
            self.names.add(msg["name"])


def wanders(program: Callable[[], Any]) -> bool:
    """Whether different runs draw different variables, or do not end."""
    names = set()
    for seed in range(12):
        torch.manual_seed(seed)
        names.add(_names(program))
    return len(names) > 1 or None in names


def ending(program: Callable[[], Any]) -> Ending:
    """The probability that a run ends.

    Paths of choices are followed in the order of their probability, which is exact if few of them hold
    nearly all of it; else runs are drawn.
    """
    found = _followed(program)
    return found if found.error < 1e-6 else _drawn(program)


def _followed(program: Callable[[], Any], most: int = 600) -> Ending:
    heap: list[tuple[float, tuple[int, ...]]] = [(-1.0, ())]
    ended = weight = 0.0
    others = False
    for _ in range(most):
        if not heap:
            break
        mass, choices = heapq.heappop(heap)
        chosen, factors = _Chosen(choices), Factors()
        try:
            with factors, _Limit(LONGEST), chosen:
                program()
            ended, weight = ended - mass, weight - mass * math.exp(min(factors.log, 700.0))
        except _Stop:
            if chosen.open is None:
                heapq.heappush(heap, (mass, choices))
                break  # too long
            for k, p in enumerate(chosen.open.exp().tolist()):
                if p > 0:
                    heapq.heappush(heap, (mass * p, (*choices, k)))
        others |= chosen.others
    left = -math.fsum(mass for mass, _ in heap)
    return Ending(ended, left, None if others or left > 1e-6 else weight, "enumerated", True)


def _drawn(program: Callable[[], Any]) -> Ending:
    ends: list[int] = []
    for seed in range(RUNS):
        torch.manual_seed(seed)
        limit = _Limit(LONGEST)
        try:
            with limit:
                program()
            ends.append(limit.draws)
        except _Stop:
            ends.append(LONGEST + 1)
        if len(ends) == FEW and min(ends) > LONGEST:
            break
    lengths = torch.tensor(ends)
    share = float((lengths <= LONGEST).double().mean())
    late = lengths[lengths > LONGEST // 2]
    settled = share == 1 or (len(late) >= 20 and not bool((late <= LONGEST).any()))
    error = max(math.sqrt(share * (1 - share) / len(ends)), 1 / len(ends))
    return Ending(share, error, None, f"sampled ({len(ends)} runs)", settled)


def _names(program: Callable[[], Any]) -> tuple[str, ...] | None:
    recorder = _Names()
    try:
        with _Limit(LONGEST), recorder:
            program()
    except _Stop:
        return None
    return tuple(recorder.names)


class _Names(Messenger):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def _pyro_post_sample(self, msg: dict[str, Any]) -> None:
        self.names.append(msg["name"])


def limited(program: Callable[[], Any]) -> poutine.Trace:
    """The trace of a run, cut off if it does not end."""
    tracer = poutine.trace()
    with suppress(_Stop), tracer, _Limit(LONGEST):
        program()
    return tracer.trace


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
    return bool((steps.logsumexp(1).abs() < 1e-4).all()) and not torch.allclose(*steps, atol=1e-6)


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

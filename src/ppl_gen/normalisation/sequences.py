"""Programs that draw until they stop: how much of their probability ends at all."""

import heapq
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.distributions.util import scale_and_mask
from pyro.poutine.messenger import Messenger
from torch import Tensor

LONGEST = 150  # draws of one run
RUNS = 200
FEW = 50  # runs that tell whether any ends


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
    """Add up what pyro.factor adds to the log density; and if ``data``, what is observed."""

    def __init__(self, data: bool = False) -> None:
        super().__init__()
        self.data, self.log, self.names = data, 0.0, set[str]()

    def _pyro_post_sample(self, msg: dict[str, Any]) -> None:
        if type(msg["fn"]).__name__ == "Unit" or (self.data and msg["is_observed"]):
            term = torch.as_tensor(msg["fn"].log_prob(msg["value"])).double()
            term = scale_and_mask(term, msg["scale"], msg["mask"])
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
    found = followed(program)
    return found if found.error < 1e-6 else _drawn(program)


def followed(program: Callable[[], Any], most: int = 600, data: bool = False) -> Ending:
    """Follow the paths of choices; their factors' weights hold those of observed ``data`` too, if so."""
    heap: list[tuple[float, tuple[int, ...]]] = [(-1.0, ())]
    ended = weight = 0.0
    others = False
    for _ in range(most):
        if not heap:
            break
        mass, choices = heapq.heappop(heap)
        chosen, factors = _Chosen(choices), Factors(data)
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

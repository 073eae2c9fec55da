"""Programs whose observed sequences are as long as the data: whether lengths have probabilities."""

import itertools
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from ppl_gen.core import variables
from ppl_gen.normalisation.conditionals import Total
from ppl_gen.normalisation.integrals import base_of

MANY_SYMBOLS = 200  # of an alphabet that are tried one by one
SOME_SYMBOLS = 20  # of a larger one
IMPOSSIBLE = -15.0  # log probabilities below it stand for 0, which Categorical rounds up to 1.2e-7

GIVEN = (
    "the data decide the length, so the sequences of each length sum to one, and all together to infinity: "
    "observe an end symbol after each, or read it as p(sequence | length)"
)
MEND = "; if {end} is the end symbol, let the program stop after it: break, or mask what follows"
SHARED = (
    "every sequence ends in {end}, which stands nowhere else, but the program goes on after it as after any "
    "other" + MEND + "; else all lengths together sum to infinity"
)
UNEQUAL = (
    "sequences of unequal lengths, whose items do not depend on one another: read it as p(sequence | "
    "length), or observe an end symbol or the length of each"
)
LENGTHS = (
    "{key} gives the lengths and masks what follows: this is p(tokens | lengths), which sums to one "
    "given these, and no density over texts: observe an end symbol after each, or the lengths by a site of "
    "their own"
)


def given_length(program: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Total]:
    """The total of a program that observes a sequence as long as the data, each item given the one before.

    If all continuations of a sequence by one item have its probability together, every length has the total
    one, unless there is an end symbol: one after which the program scores nothing, refuses, or is certain of
    the same symbol again. Where several sequences share a last symbol that stands at ends alone, and the
    program goes on after it all the same, it is not known whether they may; nor is it known of sequences of
    unequal lengths whose items do not depend on one another.
    """
    for key, data in [*enumerate(args), *kwargs.items()]:
        for rows, written in _sequences(data):
            log_p = _Reader(program, args, kwargs, key, written)
            with suppress(Exception):  # a program that reads no other sequence tells nothing
                found = _judged(log_p, rows)
                if found is not None:
                    return [found]
    return _lengths(program, args, kwargs)


def _lengths(program: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Total]:
    """What is to be said of a table of tokens whose lengths are another argument that masks the rest."""
    given = dict(enumerate(args)) | dict(kwargs)
    tables = [(k, v) for k, v in given.items() if isinstance(v, Tensor) and v.dim() in (2, 3)]
    counts = {k: torch.as_tensor(v) for k, v in given.items() if _is_vector(v)}
    for (key, table), (other, lengths) in itertools.product(tables, counts.items()):
        if lengths.dim() != 1 or lengths.is_floating_point() or lengths.dtype == torch.bool:
            continue
        for turned in (False, True):
            with suppress(Exception):  # it takes no others, or these are no lengths
                if _masks(_Reader(program, args, kwargs, key, lambda _: None), table, other, lengths, turned):
                    name = f"argument {other + 1}" if isinstance(other, int) else other
                    return [_open(LENGTHS.format(key=name))]
    return []


def _is_vector(data: Any) -> bool:
    return isinstance(data, Tensor) or (isinstance(data, list) and all(type(i) is int for i in data))


def _masks(log_p: "_Reader", table: Tensor, other: Any, lengths: Tensor, turned: bool) -> bool:
    """Whether the items up to ``lengths`` are scored and no others, were they one shorter too."""
    first, second = (1, 0) if turned else (0, 1)
    if len(lengths) != table.shape[first] or int(lengths.max()) > table.shape[second]:
        return False
    t = torch.arange(table.shape[second])
    shorter = (lengths - 1).clamp(min=0)
    last = (t == lengths[:, None] - 1).T if turned else t == lengths[:, None] - 1
    after = (t >= shorter[:, None]).T if turned else t >= shorter[:, None]
    if table.dim() == 3:
        changed, last, after = table.roll(1, -1), last[..., None], after[..., None]
    else:
        changed = (table + 1) % (table.max() + 1)
    kind = type(log_p.args[other] if isinstance(other, int) else log_p.kwargs[other])
    trace = log_p.trace({})

    def score(tokens: Tensor, n: Tensor) -> float:
        return log_p.total({log_p.key: tokens, other: n.tolist() if kind is list else n})

    if any(_is(site, lengths) for site in variables(trace).values() if site["is_observed"]):
        return False
    log_p.program = poutine.replay(log_p.program, trace=trace)
    hidden = score(table, shorter) == score(changed.where(after, table), shorter)
    return hidden and score(table, lengths) != score(changed.where(last, table), lengths)


def _is(site: Mapping[str, Any], value: Tensor) -> bool:
    seen = torch.as_tensor(site["value"])
    return seen.shape == value.shape and bool((seen == value).all())


def _judged(log_p: "_Reader", rows: list[list[int]]) -> Total | None:
    """What one argument's sequences tell; the last of them is read."""
    items = rows[-1]
    log_p.hold(items)
    if not log_p.alphabet:
        return None
    end = items[-1] if _ended(rows) else None
    *start, before = list(itertools.dropwhile(lambda i: i == end, reversed(items)))[::-1] or items[:-1]
    others = sorted((a for a in log_p.alphabet if a != before), key=lambda a: a == end)
    other = next(a for a in others if math.isfinite(log_p([*start, a])))
    steps = torch.stack([log_p.steps([*start, a]) for a in (before, other)])
    if not bool((steps.logsumexp(1).abs() < 1e-4).all()):
        return None
    if torch.allclose(steps[0], steps[1], atol=1e-6):
        return _open(UNEQUAL) if len({len(row) for row in rows}) > 1 else None
    if any(log_p.stops([*start, before], a) for a in {*log_p.tried, items[-1]}):
        return None
    if end is not None and len(rows) > 1:
        return _open(SHARED.format(end=end))
    return Total(
        "(length)", math.inf, 0.0, "closed form", False, GIVEN + MEND.format(end=end) * (end is not None)
    )


def _open(note: str) -> Total:
    return Total("(length)", math.nan, math.nan, "not checked", None, note)


class _Reader:
    """The log probability of sequences that stand in one argument of a program, its latents held."""

    def __init__(self, program: Any, args: Any, kwargs: Any, key: Any, written: Callable[[list[int]], Any]):
        self.program, self.args, self.kwargs, self.key, self.written = program, args, kwargs, key, written
        self.alphabet: list[int] = []
        self.tried: list[int] = []

    def hold(self, items: list[int]) -> None:
        """Keep what is latent as it is drawn for ``items``."""
        trace = self._trace(items)
        for name in [n for n, s in trace.nodes.items() if type(s.get("fn")).__name__ == "_Subsample"]:
            trace.remove_node(name)  # plates are as long as the sequence that comes
        self.program = poutine.replay(self.program, trace=trace)
        self.alphabet = _alphabet(trace)
        few = len(self.alphabet) <= MANY_SYMBOLS
        self.tried = self.alphabet if few else self.alphabet[:: len(self.alphabet) // SOME_SYMBOLS]
        self.tried = [*self.tried, *self.alphabet[-1:]] if not few else self.tried

    def steps(self, items: list[int]) -> Tensor:
        """The log probabilities (V,) of the next item, as scores of longer sequences.

        Of a large alphabet some are compared with the last site's own; if these agree, so do all, else nan.
        """
        base = self(items)
        found = torch.tensor([self([*items, v]) - base for v in self.tried], dtype=torch.float64)
        if len(self.tried) == len(self.alphabet):
            return found
        site = _last_finite(self._trace([*items, self.tried[0]]))
        logits: Tensor = site.logits.detach().double()  # of a Categorical; no other has so many values
        logits = logits.reshape(-1, len(self.alphabet))[-1].log_softmax(0)
        index = [self.alphabet.index(v) for v in self.tried]
        agree = torch.allclose(logits[index], found, atol=1e-4)
        return logits if agree else torch.full_like(logits, math.nan)

    def stops(self, items: list[int], end: int) -> bool:
        """Whether nothing, or only the same symbol again, follows ``end``, or what follows is not scored."""
        items = [*items, end]
        try:
            base = self(items)
            after = [self([*items, v]) - base for v in self.tried if v != end]
        except Exception:
            return True
        return all(abs(step) < 1e-9 or not step > IMPOSSIBLE for step in after)

    def __call__(self, items: list[int]) -> float:
        return self.total({self.key: self.written(items)})

    def total(self, values: Mapping[Any, Any]) -> float:
        """The log probability of what is observed of finitely many values, these arguments replaced."""
        found = variables(self.trace(values)).values()
        return math.fsum(float(_score(site).sum()) for site in found if _finite(site))

    def _trace(self, items: list[int]) -> poutine.Trace:
        return self.trace({self.key: self.written(items)})

    def trace(self, values: Mapping[Any, Any]) -> poutine.Trace:
        given: dict[Any, Any] = dict(enumerate(self.args)) | dict(self.kwargs) | dict(values)
        args = [given.pop(i) for i in range(len(self.args))]
        return poutine.trace(self.program).get_trace(*args, **given)


def _finite(site: Mapping[str, Any]) -> bool:
    """Whether a site observes values of finitely many."""
    return bool(site["is_observed"]) and bool(base_of(site["fn"]).has_enumerate_support)


def _last_finite(trace: poutine.Trace) -> Any:
    """The distribution of the last site that observes values of finitely many; None if there is none."""
    found = [base_of(s["fn"]) for s in variables(trace).values() if _finite(s)]
    return found[-1] if found else None


def _alphabet(trace: poutine.Trace) -> list[int]:
    """The values of the last site that observes values of finitely many."""
    last = _last_finite(trace)
    if last is not None and type(last).__name__.startswith("OneHotCategorical"):
        return list(range(last.event_shape[0]))
    if last is None or last.event_shape:
        return []
    values = last.enumerate_support(expand=False).flatten()
    return values.long().tolist() if len(values) > 1 else []


def _sequences(data: Any) -> list[tuple[list[list[int]], Callable[[list[int]], Any]]]:
    """Sequences in an argument, and how the argument reads with another in the place of the last.

    An argument is a sequence of whole numbers, several of them, or a table with one in each row or column;
    or the same in one-hot vectors.
    """
    parts = data if isinstance(data, list | tuple) else [data]
    if parts and all(_is_one_hot(part) for part in parts):
        index = [part.argmax(-1) for part in parts]
        found = _sequences(index[0] if parts is not data else type(data)(index))
        one = torch.eye(parts[0].shape[-1], dtype=parts[0].dtype)
        return [(rows, partial(_hot, one, written)) for rows, written in found]
    if isinstance(data, Tensor) and data.dim() == 2 and not data.is_floating_point():
        tables = [(data, False), (data.T, True)]
        return [
            (t.tolist(), partial(_table, data.dtype, turn))
            for t, turn in tables
            if t.numel() and len(t[0]) > 1
        ]
    last = _last(data)
    if last is None:
        return []
    several = isinstance(data, list | tuple) and not isinstance(data[-1], int | float)
    rows = [row for part in data if (row := _last(part)) is not None] if several else [last]
    return [(rows, lambda sequence: _with_last(data, sequence))]


def _is_one_hot(data: Any) -> bool:
    """Whether the last axis holds a single one among zeros."""
    if not isinstance(data, Tensor) or data.dim() < 2 or data.shape[-1] < 2:
        return False
    return bool(((data == 0) | (data == 1)).all() and (data.sum(-1) == 1).all())


def _hot(one: Tensor, written: Callable[[list[int]], Any], sequence: list[int]) -> Any:
    index = written(sequence)
    return one[index] if isinstance(index, Tensor) else type(index)([one[i] for i in index])


def _table(dtype: torch.dtype, turn: bool, sequence: list[int]) -> Tensor:
    row = torch.tensor([sequence], dtype=dtype)
    return row.T if turn else row


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
    return score if site["mask"] is None else torch.where(torch.as_tensor(site["mask"]), score, 0.0)

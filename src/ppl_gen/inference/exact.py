"""Exact inference: the conjugate update, one pass over chunks of rows in constant memory."""

import functools
import inspect
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from ppl_gen import ranks
from ppl_gen.arrays import row_weights
from ppl_gen.checks import whole
from ppl_gen.core import Conjugate, ProbabilisticModel
from ppl_gen.distributions import memberships
from ppl_gen.errors import DataError, NonFinite, Unanswerable
from ppl_gen.inference.method import Fitted
from ppl_gen.inputs import Data


@dataclass(frozen=True)
class Exact:
    """Bayes' rule in closed form: the prior's hyperparameters become the posterior's.

    Yesterday's posterior is today's prior: rows are taken ``chunk`` at a time, so memory stays constant,
    and the answer does not depend on the chunk beyond rounding.

    Args:
        chunk: rows that are looked at together.
        weights: how often each row counts (n,), for models whose rows have a class, and regressions; once by
            default. The posterior does not keep them.

    >>> from ppl_gen import fit
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> once, twice = Exact(weights=[1, 2, 1]), Exact()
    >>> nb = GaussianNaiveBayes(classes=2, features=1)
    >>> a = fit(nb, once, x=[[0.], [1.], [5.]], y=[0, 0, 1])
    >>> b = fit(nb, twice, x=[[0.], [1.], [1.], [5.]], y=[0, 0, 0, 1])
    >>> abs(a.log_evidence - b.log_evidence) < 1e-9
    True
    """

    chunk: int = 131_072
    weights: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        whole("chunk", self.chunk)

    def fit(self, start: ProbabilisticModel, guide: Any, data: Data, prior: Any = None) -> Fitted:
        """Update ``start`` on the rows of ``data``; guide and prior guide play no part."""
        if not hasattr(start, "updated"):
            raise Unanswerable(
                f"{type(start).__name__} is {start.joint}: it declares no closed form of its posterior (no "
                f"updated()). Use SVI()."
            )
        refuse_hidden(self, start, data)
        before: Any = start
        after: Any = start
        with torch.no_grad():
            for part in chunks(data, self.chunk, self.weights, start):
                after = (after.weighed if "weights" in part else after.updated)(**part)
            after = together(after, before)
            evidence = float(after.log_normalizer() - before.log_normalizer())
        if not math.isfinite(evidence):
            raise NonFinite(
                f"{', '.join(data.rows)}: expected numbers whose squares floating point holds; the exact "
                f"update left its range: rescale the data (for instance data.standardized())",
                step=0,
                site=next(iter(data.rows)),
            )
        elbo = torch.tensor([evidence], dtype=torch.float64)
        return Fitted(model=after, guide=None, elbo=elbo, log_evidence=evidence)


def uncounted(p: ProbabilisticModel, data: Data) -> list[str]:
    """The variables of the rows that the closed form asks for, and that the data lack."""
    update: Any = getattr(p, "cross_validated", None) or getattr(p, "updated", p.model)
    asked = inspect.signature(update).parameters
    return sorted(n for n, site in data.sites.items() if site.local and n in asked and n not in data.observed)


def refuse_hidden(method: Any, p: ProbabilisticModel, data: Data) -> None:
    """Counting needs every variable of every row, and the class of each."""
    hidden = uncounted(p, data)
    if hidden:
        sums = not hasattr(p, "cross_validated") and all(data.sites[name].levels for name in hidden)
        ways = f"{_without_labels(p)}." if sums else ""
        raise Unanswerable(
            f"{type(method).__name__} needs every row's {', '.join(hidden)}: {type(p).__name__} is "
            f"{p.joint}. Pass {hidden[0]}=…{ways}"
        )
    for name, (rows, first) in data.blank.items():
        if data.sites[name].levels:
            raise DataError(
                f"{name}: expected a class for every row, got none (NaN) for row {first}"
                f"{f' and {rows - 1} more' if rows > 1 else ''}: drop such rows{_without_labels(p)}"
            )


def _without_labels(p: ProbabilisticModel) -> str:
    """In words, the methods that take rows without a label; nothing if there is none."""
    if hasattr(p, "cross_validated"):
        return ""
    em = isinstance(p, Conjugate) and hasattr(p, "point")
    ways = ["EM()"] * em + ["VariationalBayes()"] * knows_expectations(p) + ["SVI()"]
    return f", or use {' or '.join(ways)}, which sum{'s' * (len(ways) == 1)} over the labels that are hidden"


def knows_expectations(p: Any) -> bool:
    """Whether a model declares what variational Bayes expects under its posterior."""
    if not isinstance(p, Conjugate):
        return False
    own = type(p).expected is not Conjugate.expected
    return own or all(hasattr(p.family(name), "expected") for name in p.families)


def chunks(data: Data, size: int, weights: Any = None, p: Any = None) -> Iterator[dict[str, Tensor]]:
    """Aligned slices of at most ``size`` rows, of those that are this process's.

    A missing cell comes as NaN, and an update leaves it out. With ``weights`` the class of a row comes as
    its weight in the column of that class; rows without one bring them by themselves, if ``p`` takes them.
    """
    own = ranks.own(data.n)
    label, worth = _weighed(p, data, weights) if weights is not None else ("", None)
    for first in range(own.start, own.stop, size):
        rows = slice(first, min(first + size, own.stop))
        part = data.take(rows).gaps
        if worth is not None:
            belong = memberships(part[label], data.sites[label].levels) if label in part else None
            part[label] = worth[rows] if belong is None else worth[rows, None] * belong
        yield part


def _weighed(p: Any, data: Data, weights: Any) -> tuple[str, Tensor]:
    """By which name an update takes them, the class or their own, and what each row is worth."""
    labels = [name for name in data.rows if name in data.sites and data.sites[name].levels]
    if not labels and hasattr(p, "weighed"):
        labels = ["weights"]
    if not labels:
        raise DataError(f"weights: expected rows that have a class, got {', '.join(data.rows)} alone")
    return labels[0], row_weights(weights, data.n)


def together(after: Any, before: Any) -> Any:
    """What all processes have counted, each from rows of its own on top of ``before``.

    They tell each other hyperparameters, which are as many as those of one; where those are no plain sums
    (moments about a mean) they are merged as such.
    """
    if ranks.count() == 1:
        return after
    own = {
        name: [attrgetter(buffer)(after) for buffer in buffers]
        for name, (_, buffers) in after.families.items()
    }
    mine = [value for values in own.values() for value in values if isinstance(value, Tensor)]
    sizes = [value.numel() for value in mine]
    found = []
    for flat in ranks.gathered(torch.cat([value.reshape(-1) for value in mine])):
        left = iter(flat.split(sizes))
        values = {
            name: [next(left).reshape(v.shape) if isinstance(v, Tensor) else v for v in values]
            for name, values in own.items()
        }
        found.append(after.having(**values))
    return functools.reduce(lambda one, other: one.merged(other, before), found)

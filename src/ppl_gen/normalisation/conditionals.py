"""Each conditional of a joint by itself: what its density sums or integrates to."""

import copy
import math
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ppl_gen.distributions.columns import Columns
from ppl_gen.inference.elbo import delta
from ppl_gen.normalisation.integrals import base_of, counted, listed, sampled, stretched, total

CELLS = 64  # of a distribution's batch that are looked at
MANY = 4096  # cells that can be integrated at once where no part can be taken


@dataclass(frozen=True)
class Total:
    """What the density of one variable sums or integrates to, given its parents.

    Attributes:
        site: the variable.
        value: the total of the cell that is farthest from one; nan if it could not be told.
        error: of ``value``: a tolerance, or a standard error if ``how`` is "importance sampled".
        how: "enumerated", "summed", "quadrature", "importance sampled", "sampled" or "not checked".
        ok: whether it is one; None if that cannot be told.
        note: what is wrong, in words, if something is.
    """

    site: str
    value: float
    error: float
    how: str
    ok: bool | None
    note: str = ""


def of_site(name: str, node: dict[str, Any]) -> Total | None:
    """The total of one traced site; None of what has no density: functions of other variables, factors."""
    fn = node["fn"]
    kind = type(base_of(fn)).__name__
    if delta(node) or kind in ("Delta", "Unit"):
        return None
    if kind == "ImproperUniform":
        return Total(
            name, math.inf, 0.0, "closed form", False, "ImproperUniform is no density: give it a prior"
        )
    if node["is_observed"] and (outside := _outside(name, node)):
        return outside
    base = base_of(fn)
    parts = base.parts if isinstance(base, Columns) else (fn,)  # columns of families of their own
    power = _power(node)
    if power is None:
        return max((_of(name, part) for part in parts), key=badness)
    worst = max((_of(name, _raised(part, power)) for part in parts), key=badness)
    size = float(power.flatten()[0])
    note = (
        f"poutine.scale raises the density to the power {size:g}, which no density is: leave it out; "
        f"where it "
        "makes a minibatch stand for all rows, let the plate do it: pyro.plate(…, size, subsample=index)"
    )
    return worst if worst.ok else replace(worst, note=note)


def _power(node: dict[str, Any]) -> Tensor | None:
    """The power to which poutine.scale raises a density, if it does; the weights of subsamples are none."""
    weight = math.prod(f.full_size / f.size for f in node["cond_indep_stack"] if f.full_size and f.size > 0)
    power = torch.as_tensor(node["scale"]).detach().double() / weight
    return None if torch.allclose(power, torch.ones_like(power)) else power


def _raised(fn: Any, power: Tensor) -> Any:
    """A distribution whose density is raised to a power."""
    raised = copy.copy(base_of(fn))
    own = raised.log_prob
    raised.log_prob = lambda value: own(value) * power
    return raised


def badness(total: Total) -> tuple[int, float]:
    """How wrong a total looks: larger is worse."""
    order: dict[bool | None, int] = {False: 2, None: 1, True: 0}
    return order[total.ok], abs(total.value - 1)


def _of(name: str, fn: Any) -> Total:
    kind = type(base_of(fn)).__name__
    fn = few(fn)
    if fn is None:
        return Total(name, math.nan, math.nan, "not checked", None, "too many cells")
    for how, tried in (("enumerated", _counting), ("quadrature", total), ("summed", counted)):
        try:
            sums, tolerance = tried(fn)
        except Exception:
            continue
        if len(sums):
            worst = float(sums[(sums - 1).abs().nan_to_num(math.inf).argmax()])
            good = abs(worst - 1) <= tolerance
            note = "" if good else f"{kind}.log_prob is not normalised"
            return Total(name, worst, tolerance, how, good, note)
    return _importance(name, fn, kind)


def _counting(fn: Any) -> tuple[Tensor, float]:
    base = base_of(fn)
    if not base.has_enumerate_support or (not base.event_shape and not base.support.is_discrete):
        return torch.ones(0), 0.0
    return listed(base)


def _importance(name: str, fn: Any, kind: str) -> Total:
    cells = sorted({0, torch.Size(fn.batch_shape).numel() - 1})
    found = [pair for cell in cells if (pair := sampled(fn, cell)) is not None]
    if not found:
        return Total(
            name,
            math.nan,
            math.nan,
            "not checked",
            None,
            f"no way to integrate this {kind} with an error that is known",
        )
    value, error = max(found, key=lambda pair: abs(pair[0] - 1) / (pair[1] + 1e-3))
    bound = 6 * error + 1e-3
    wrong = abs(value - 1) > bound
    note = f"{kind}.log_prob is not normalised" if wrong else ""
    known = wrong or error < 0.1
    return Total(name, value, error, "importance sampled", (not wrong) if known else None, note)


def _outside(name: str, node: dict[str, Any]) -> Total | None:
    """The total over the numbers that the data are, where these are no values of the distribution."""
    fn, value = base_of(node["fn"]), node["value"]
    if not isinstance(value, Tensor) or fn.event_shape:
        return None
    good = torch.as_tensor(fn.support.check(value))
    if bool(good.all()):
        return None
    cells = value[~good] if good.shape == value.shape else value
    scored = False
    with suppress(Exception):
        scored = bool(torch.isfinite(node["fn"].log_prob(value)).any())
    kind, example = type(fn).__name__, float(cells.flatten()[0])
    if not scored:
        return None  # refused, as it should be
    sums, words = torch.full((1,), math.nan), "numbers"
    small = few(node["fn"])
    if small is not None:
        with suppress(Exception):
            sums, words = stretched(small, value[torch.isfinite(value)])
    worst = float(sums[(sums - 1).abs().nan_to_num(math.inf).argmax()])
    return Total(
        name,
        worst,
        1e-3,
        "quadrature",
        False,
        f"{kind} scores {example:g}, which is none of its values, as if it were a density over {words}: "
        f"binarise the data, or take a density of such numbers, e.g. ContinuousBernoulli or Normal",
    )


def few(fn: Any) -> Any:
    """The distribution at a few cells of its batch; None if it has too many and cannot be cut."""
    base = base_of(fn)
    size = torch.Size(base.batch_shape).numel()
    if size <= CELLS:
        return base
    with suppress(Exception):
        given = {
            k: base.__dict__[k] for k in base.arg_constraints if isinstance(base.__dict__.get(k), Tensor)
        }
        index = torch.linspace(0, size - 1, CELLS).long()
        parts = {}
        for key, value in given.items():
            inner = value.shape[value.dim() - base.arg_constraints[key].event_dim :]
            parts[key] = value.expand(*base.batch_shape, *inner).reshape(size, *inner)[index]
        rest = (
            {"total_count": base.total_count} if isinstance(getattr(base, "total_count", None), int) else {}
        )
        small = type(base)(**{**rest, **parts}, validate_args=False)
        kept = base.sample()
        inner = base.event_shape
        one = base.log_prob(kept).reshape(size)[index]
        other = small.log_prob(kept.reshape(size, *inner)[index])
        if small.batch_shape == (CELLS,) and torch.equal(one, other):
            return small
    return base if size <= MANY else None

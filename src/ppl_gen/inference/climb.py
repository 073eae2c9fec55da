"""The climb: step after step until the steps are done, the ELBO rises no more, or something is not finite."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ppl_gen import ranks
from ppl_gen.errors import DataError, Interrupted, NonFinite, NotCompiled
from ppl_gen.inference.buffers import Buffers
from ppl_gen.inference.convergence import Gain, gain
from ppl_gen.inference.keeper import Keeper
from ppl_gen.inference.shared_steps import SharedSteps, blamed
from ppl_gen.inference.signals import Signals, users_line
from ppl_gen.inference.steps import AT_ONCE, Steps
from ppl_gen.progress import track


class Rows(NamedTuple):
    """The rows of one step, their places among all rows, and the weight of one of them: N / batch."""

    batch: Any
    places: Tensor
    scale: float


def dealt(rows: Rows) -> Rows:
    """This process's part of them; a bare pair has no rows to part."""
    if rows.batch is None:
        return rows
    mine, weight = ranks.part(rows.batch.n, ranks.world())
    return Rows(rows.batch.take(mine), rows.places[mine], weight * rows.scale)


class Climb(NamedTuple):
    """The ELBO before each step in nats, what happened on the way, and the error that ended it, if any."""

    elbo: list[float]
    note: str
    trouble: NonFinite | DataError | None


def climb(
    method: Any,
    objective: Any,
    optimiser: torch.optim.Optimizer,
    first: Rows,
    rows: Callable[[int], Iterator[Rows]],
    whole: bool,
    about: Callable[[], Mapping[str, str]],
) -> Climb:
    """Move the parameters of ``objective`` uphill.

    Args:
        method: the settings, an `SVI`.
        objective: what is climbed; its parameters are moved.
        first: the rows that it was checked on. rows: those of the steps from a given one on.
        whole: whether every step sees the same rows.
        about: what this is a climb of, in words, for its checkpoints.
    """
    total = method.setting(objective.p, "steps", 2000)
    together = ranks.count() > 1
    kind: type[Steps] = SharedSteps if together else Steps
    first = dealt(first) if together else first
    steps = kind(objective, optimiser, method.clip, method.seed)
    (group,) = optimiser.param_groups
    peak, history = group["lr"], list[float]()
    beside = list[float]()  # what more was climbed

    def paced(start: int, end: int) -> Iterator[int]:
        """The steps, each with its learning rate and its place among all steps set."""
        for step in range(start, end):
            group["lr"] = peak * method.factor(step / total)
            objective.done = step / total
            yield step

    keeper = Keeper(method.checkpoint, about, steps, history, beside)
    trouble: NonFinite | DataError | None = None
    own = (lambda step: map(dealt, rows(step))) if together else rows
    before, ahead = keeper.resume(own, first)
    if keeper.note is not None:  # it was done
        return Climb(history, keeper.note, None)
    buffers = Buffers(objective.modules)
    notes = [steps.speed_up(first.batch, first.scale, whole, total, method.compile)]
    if notes[0] and method.compile is True:
        warnings.warn(f"SVI {notes[0]}; it goes on without a compiler", NotCompiled, stacklevel=users_line())
    stopped, title = False, f"SVI, from step {len(history):,}" if history else "SVI"
    buffers.back()  # what was tried for a graph leaves no trace
    keeper.start(before)
    signals = Signals("SVI", (lambda: keeper.write(before)) if method.checkpoint else None, together)
    steps.wish = lambda: (signals.pressed, signals.terminated, keeper.late)
    try:
        with signals:
            left = range(len(history), total)
            for step in track(left, title, method.progress, lambda: {"ELBO": smooth(history)}):
                if step < len(history):  # done, in one call with the one before
                    continue
                try:
                    here = next(ahead)
                except DataError as error:
                    good = "The error's .posterior holds the last good state."
                    trouble = DataError(f"SVI stopped at step {step}: {error}. {good}")
                    break
                found = steps.several(paced(step, _end(step, total, method, keeper)))
                if not found:
                    buffers.back()
                    next(paced(step, total))
                    random = torch.get_rng_state()
                    value, more, finite = steps.step(here.batch, here.scale)
                    if not finite:
                        trouble = _explain(steps, here, step, value, random)
                        if not _finite(objective, before):  # these rows were fine: the last update was not
                            steps.back()
                        break
                    found = [(value, more)]
                buffers.keep()
                history.extend(value for value, _ in found)
                beside.extend(more for _, more in found)
                before = here
                pressed, terminated, late = steps.heard if together else steps.wish()
                if pressed:
                    keeper.write(before)
                signals.obey(pressed, terminated)
                if method.tolerance and _at_rest(history, beside, method, notes):
                    break
                keeper.look(before, late)
            else:
                if method.tolerance:
                    notes.append(_restless(history, beside, method))
        steps.store()
        if trouble is None and history:  # the last update has not been looked at yet
            random = torch.get_rng_state()
            if not _finite(objective, before):
                trouble = _explain(steps, before, len(history), math.nan, random)
                steps.back()
    except KeyboardInterrupt:
        if together and not steps.heard[0]:  # they were not all stopped at one step
            raise
        stopped = True
        notes.append(f"stopped by hand after {len(history)} of {total} steps")
        there = f"; {keeper.where}" if keeper.where else ""
        warnings.warn(
            f"SVI {notes[-1]}; what it had is returned{there}", Interrupted, stacklevel=users_line()
        )
        if history and not _finite(objective, before):
            steps.back()
    buffers.back()  # whatever looked at rows since the last step
    steps.store()
    notes.append(_beside(beside))
    note = "; ".join(filter(None, notes))
    if trouble is None and not stopped:
        keeper.write(before, note)
    return Climb(history, note, trouble)


def _end(step: int, total: int, method: Any, keeper: Keeper) -> int:
    """The step before which somebody looks at the numbers, or, without any, at the clock."""
    window = step - step % method.window + method.window if method.tolerance else math.inf
    return int(min(step + AT_ONCE, total, window, keeper.due_step))


def _finite(objective: Any, rows: Rows) -> bool:
    with torch.no_grad():
        return ranks.every(all(math.isfinite(v.item()) for v in objective.climbed(rows.batch, rows.scale)))


def _explain(steps: Steps, rows: Rows, step: int, value: float, random: Tensor) -> NonFinite:
    steps.store()
    torch.set_rng_state(random)
    gradients = steps.gradients(rows.batch, rows.scale) if math.isfinite(value) else ()
    torch.set_rng_state(random)
    error: NonFinite = steps.objective.explain(rows.batch, rows.places, step, value, gradients)
    return blamed(error)


def _beside(beside: list[float]) -> str:
    """What was climbed, in words, if it was not the ELBO."""
    if not any(beside):
        return ""
    return (
        f"climbed the ELBO and {smooth(beside):+,.2f} nats beside it (mean of the last steps), which is no "
        f"bound on the evidence; elbo is the ELBO"
    )


def _at_rest(history: list[float], beside: list[float], method: Any, notes: list[str]) -> bool:
    if len(history) % method.window or len(history) < 2 * method.window:
        return False
    last, what = _gain(history, beside, method)
    if last.below(method.tolerance):
        notes.append(
            f"converged after {len(history)} steps: {what} gained {last}, less than {method.tolerance:g}"
        )
        return True
    return False


def _restless(history: list[float], beside: list[float], method: Any) -> str:
    if len(history) < 2 * method.window:
        return f"not converged: {len(history)} steps are fewer than two windows of {method.window}"
    last, what = _gain(history, beside, method)
    return f"not converged in {len(history)} steps: {what} still gained {last}"


def _gain(history: list[float], beside: list[float], method: Any) -> tuple[Gain, str]:
    """The last gain of what is climbed, and what that is called."""
    climbed = [value + more for value, more in zip(history, beside, strict=True)]
    return gain(climbed, method.window), "what is climbed" if any(beside) else "the ELBO"


def smooth(history: list[float], window: int = 50) -> float:
    """The mean of the last values: one draw's ELBO is noisy."""
    recent = history[-window:]
    return sum(recent) / len(recent) if recent else math.nan

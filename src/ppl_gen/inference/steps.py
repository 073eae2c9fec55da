"""The step of SVI: draw, score, differentiate, update; as the programs are written, replayed, or compiled."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ppl_gen.errors import Untraceable
from ppl_gen.inference.graphs import Tensors, capture, compiled, verify, work
from ppl_gen.inference.objective import Objective
from ppl_gen.inference.tensors import by_columns, layout, tensors_of, with_tensors
from ppl_gen.inference.updates import Update, update_of

WORTH_A_GRAPH = 1000  # steps: a graph takes a second or two, and saves a millisecond or two a step
WORTH_A_COMPILER = 60.0  # seconds of replays ahead: the compiler takes some twenty
AT_ONCE = 32  # steps of one call, at most: with more, nothing is gained
PATIENCE = 0.01  # seconds of one call, before its last step: Ctrl-C and the progress bar wait for it


class Steps:
    """The parameters on their way, and the step that moves them.

    A compiled step holds the optimiser's update, and gives new tensors; else torch's optimiser moves the
    modules' own parameters. ``store`` makes modules and optimiser know what was reached, either way.
    """

    def __init__(
        self, objective: Objective, optimiser: torch.optim.Optimizer, clip: float | None, seed: int = 0
    ):
        self.objective, self.optimiser, self.clip, self.seed = objective, optimiser, clip, seed
        self.wish: Callable[[], tuple[bool, ...]] = lambda: (False, False, False)  # to be done after a step
        self.heard: Sequence[bool] = self.wish()  # which of it one of several processes wished: all do it
        self.update: Update | None = None  # the one inside the compiled step
        self.done = 0
        self.parameters: Tensors = tuple(w.detach() for w in objective.parameters)
        self.states: Tensors = ()
        self.before: tuple[Tensors, Tensors] = (tuple(w.clone() for w in self.parameters), ())
        self.fast: Callable[..., Tensors] | None = None
        self.layout: Any = None
        self.whole = False

    def step(self, batch: Any, scale: float) -> tuple[float, float, bool]:
        """One step: the ELBO in nats before it, what more is climbed, and whether all was finite.

        What is not finite moves nothing.
        """
        arrays, inputs = tensors_of(batch), self._inputs()
        if self.fast is not None and self.layout == layout(batch, scale):
            with torch.no_grad():
                found = self.fast(*inputs) if self.whole else self.fast(*inputs, *arrays)
        else:
            with torch.enable_grad():
                found = self._updated(self._function(batch, scale))(*inputs, *arrays)
        found = self.told(found)
        value, more, gradients = found[0].tolist()
        if not all(map(math.isfinite, (value, more, gradients))):
            return value, more, False
        self._move(found[1:])
        self.done += 1
        return value, more, True

    def several(self, pace: Iterable[object]) -> list[tuple[float, float]]:
        """Steps on the rows that all steps see, without a look between them; of each what `step` finds.

        There are none where the whole step, its update included, is not one compiled function of the
        parameters alone; and none, as if nothing had been tried, where a number was not finite: `step` then
        tells which. Each step does the same operations as `step`, so it has the same bits.

        Args:
            pace: an item for each step, taken right before it; not all are, if the steps are long.
        """
        if self.fast is None or self.update is None or not self.whole:
            return []
        start = self.parameters, self.states, self.before, self.done
        random, end, finite = torch.get_rng_state(), time.monotonic() + PATIENCE, False
        reports = []
        try:
            with torch.no_grad():
                for _ in pace:
                    report, *after = self.fast(*self._inputs())
                    self._move(tuple(after))
                    self.done += 1
                    reports.append(report)
                    if time.monotonic() > end:
                        break
            found = torch.stack(reports).tolist()
            finite = all(math.isfinite(number) for each in found for number in each)
        finally:  # an interrupt, too, leaves no step without its report
            if not finite:
                self.parameters, self.states, self.before, self.done = start
                torch.set_rng_state(random)
        return [(value, more) for value, more, _ in found] if finite else []

    def told(self, found: Tensors) -> Tensors:
        """What the step found, (ELBO and more, *gradients, …); `SharedSteps` asks the other processes."""
        return found

    def _inputs(self) -> Tensors:
        (group,) = self.optimiser.param_groups
        numbers = self.update.coefficients(self.done, group["lr"]) if self.update else ()
        return (*self.parameters, *self.states, torch.tensor(numbers, dtype=torch.float64))

    def _move(self, after: Tensors) -> None:
        """By the gradients, or, if the update was part of the step, to the next parameters and states."""
        if self.update:
            self.before = (self.parameters, self.states)
            self.parameters, self.states = after[: len(self.parameters)], after[len(self.parameters) :]
            return
        torch._foreach_copy_(self.before[0], self.parameters)
        for parameter, gradient in zip(self.objective.parameters, after, strict=True):
            parameter.grad = gradient
        self.optimiser.step()

    def back(self) -> None:
        """To the parameters before the last update."""
        if self.update:
            self.parameters, self.states = self.before
        else:
            torch._foreach_copy_(self.parameters, self.before[0])

    def gradients(self, batch: Any, scale: float) -> Tensors:
        """Those of minus what is climbed, by the programs themselves, with the generator's next draws."""
        with torch.enable_grad():
            found = self._function(batch, scale)(*self.parameters, torch.zeros(0), *tensors_of(batch))
        return found[1:]

    def store(self) -> None:
        """Write the parameters into the modules, and what the update remembers into the optimiser."""
        own = self.objective.parameters
        for parameter in own:
            parameter.grad = None
        if not self.update:
            return
        with torch.no_grad():
            torch._foreach_copy_(own, self.parameters)
        width = len(self.update.states)
        for i, parameter in enumerate(own if self.done else ()):
            kept = zip(self.update.states, self.states[width * i : width * (i + 1)], strict=True)
            state: dict[str, Any] = {name: value.clone() for name, value in kept}
            if "exp_avg" in state:
                device = parameter.device if self.optimiser.param_groups[0].get("fused") else None
                state["step"] = torch.tensor(float(self.done), device=device)
            self.optimiser.state[parameter] = state

    def _function(self, batch: Any, scale: float) -> Callable[..., Tensors]:
        """(*parameters, coefficients, *arrays) -> (ELBO and more, *gradients)."""
        n = len(self.parameters)

        def function(*given: Tensor) -> Tensors:
            parameters, arrays = [w.detach().requires_grad_() for w in given[:n]], given[n + 1 :]
            here = batch if not arrays else with_tensors(batch, arrays)
            value, climbed = self.objective.at(parameters, here, scale)
            gradients = self._gradients(-climbed, parameters)
            widest = max((g.dtype for g in gradients), key=lambda kind: torch.finfo(kind).bits)
            check = torch.stack([g.sum().to(widest) for g in gradients]).sum()
            more = torch.zeros_like(value) if climbed is value else climbed - value
            report = torch.stack([w.detach().double() for w in (value, more, check)])
            return (report, *(gradients if self.clip is None else clipped(gradients, self.clip)))

        return function

    def _updated(self, function: Callable[..., Tensors]) -> Callable[..., Tensors]:
        """(*parameters, *states, coefficients, *arrays) -> (ELBO and more, *next parameters, *next states).

        Where the update is not part of the step, the ``function`` as it is.
        """
        if self.update is None:
            return function
        step, n, width = self.update.step, len(self.parameters), len(self.update.states)

        def updated(*given: Tensor) -> Tensors:
            parameters, states, rest = given[:n], given[n : n + n * width], given[n + n * width :]
            report, *gradients = function(*parameters, *rest)
            moved = [
                step(w.detach(), g, states[width * i : width * (i + 1)], rest[0].to(w.dtype))
                for i, (w, g) in enumerate(zip(parameters, gradients, strict=True))
            ]
            after = [state for each in moved for state in each[1:]]
            return (report, *(each[0] for each in moved), *after)

        return updated

    @staticmethod
    def _gradients(value: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
        found = torch.autograd.grad(value, parameters, allow_unused=True)
        return [torch.zeros_like(w) if g is None else g for w, g in zip(parameters, found, strict=True)]

    def speed_up(self, batch: Any, scale: float, whole: bool, steps: int, choice: bool | str) -> str:
        """Capture the step as a graph, and compile it, if that pays; a word on why not, if it was wanted.

        Args:
            batch, scale: of the step that most steps resemble.
            whole: whether every step sees these very rows: they are then constants of the graph.
            steps: still to do.
            choice: True compiles; "auto" compiles if the work ahead is worth it; False never does.
        """
        if choice is not True and steps < WORTH_A_GRAPH:
            return ""
        arrays, made_for = tensors_of(batch), layout(batch, scale)
        rows = () if whole else arrays
        if whole and arrays:
            batch = with_tensors(batch, [by_columns(a) for a in arrays])
        try:
            if self.parameters[0].device.type != "cpu":
                raise Untraceable("on another device than the CPU the step runs as it is written")
            if callable(self.objective.beta):
                raise Untraceable("beta is another number at every step")
            inputs, function = (*self._inputs(), *rows), self._function(batch, scale)
            graph = capture(function, inputs)
            verify(graph, function, inputs, len(self.parameters), 0, 1e-9)
            self.fast, self.layout, self.whole = graph, made_for, whole
            if choice is False or (choice == "auto" and steps * work(graph, inputs) < WORTH_A_COMPILER):
                return ""
            self._include_update()
            inputs = (*self._inputs(), *rows)
            if self.update:
                graph = capture(self._updated(graph), inputs)
            fast = compiled(graph, inputs)
            verify(fast, self._updated(function), inputs, len(self.parameters), len(self.states), 1e-4)
            self.fast = fast
        except Untraceable as error:
            self._exclude_update()
            return "" if choice is False else f"not compiled: {error}"
        return ""

    def _include_update(self) -> None:
        """From here on the step gives the next parameters, if the optimiser's rule is known."""
        self.update, own = update_of(self.optimiser), self.objective.parameters
        if self.update:
            self.parameters = tuple(w.clone() for w in self.parameters)
            self.states = tuple(v for w in own for v in self.update.state_of(self.optimiser, w))
            self.before = (self.parameters, self.states)

    def _exclude_update(self) -> None:
        self.update, self.states = None, ()
        self.parameters = tuple(w.detach() for w in self.objective.parameters)
        self.before = (tuple(w.clone() for w in self.parameters), ())


def clipped(gradients: Sequence[Tensor], norm: float) -> list[Tensor]:
    """The gradients, shortened together to the length ``norm`` if they are longer (Pascanu et al. 2013)."""
    length = torch.stack([g.norm() for g in gradients]).norm()
    factor = (norm / (length + 1e-6)).clamp(max=1.0)
    return [g * factor for g in gradients]

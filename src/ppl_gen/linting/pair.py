"""What the checks look at: a model and its guide with their arguments, and runs of both."""

import inspect
import random
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyro
import torch
from pyro.infer import SVI
from pyro.infer.autoguide import AutoGuide
from torch import Tensor, nn

from ppl_gen.checks import called
from ppl_gen.core import ProbabilisticModel, arguments, is_local, own_parameters, run, variables
from ppl_gen.errors import DataError
from ppl_gen.inference.bare import copied
from ppl_gen.inference.observed import Observed
from ppl_gen.inputs import admit
from ppl_gen.linting.recording import Run, Site, record
from ppl_gen.notation import Factorization


class Pair:
    """A model and a guide, on copies of the user's modules.

    Attributes:
        q, p: the first run of the guide, and of the model on the guide's draws.
        declared: whether a ProbabilisticModel came; its data, ``observed``, are attached from outside.
        loss: the ELBO of a pyro.infer.SVI, if one came.
        validated, recording: whether, outside, values are validated and gradients recorded.
    """

    def __init__(
        self,
        model: Any,
        guide: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        validated: bool = True,
        recording: bool = True,
    ):
        self.loss = model.loss if isinstance(model, SVI) else None
        if isinstance(model, SVI):
            model, guide = model.model, model.guide
        self.loss = getattr(self.loss, "__self__", self.loss)
        self.declared = isinstance(model, ProbabilisticModel)
        for name, program in (("model", model), ("guide", guide)):
            if (program is not None or name == "model") and (
                not (callable(program) or isinstance(program, ProbabilisticModel))
                or isinstance(program, type)
            ):
                raise DataError(f"{name}: expected a Pyro program, got {called(program)}")
        self.validated, self.recording = validated, recording
        self.model, self.guide = copied(model, guide)
        self.owner: Any = self.model
        self.args, self.kwargs = args, dict(kwargs)
        self.args, self.kwargs = self.changed(_cloned)  # a program may write into its arguments
        self.observed: dict[str, Tensor] = {}
        self.bare = Run()  # a declared model by itself, without the data that fit attaches
        self.idle: list[str] | None = None
        self.automatic = any(isinstance(m, AutoGuide) for m in _modules(self.guide))
        for program in (self.model, self.guide):
            for owner in (program, getattr(program, "__self__", None)):
                own_parameters(owner)
        if self.declared:
            self._declare()

    def _declare(self) -> None:
        """Turn a model that declares its joint, and its data, into two programs of no argument.

        If nothing that the joint generates is given, the rows are drawn from the model itself.
        """
        p: ProbabilisticModel = self.model
        p.eval()
        data = admit(p, self.kwargs, missing=True, examined=True)
        values, self.observed, seen = data.values, dict(data.observed), data.seen
        values["n"] = values["n"] or 8
        q = Factorization(p.approximation, "q")
        if not self.observed:
            with torch.no_grad():
                drawn = variables(run(p.model, values)).items()
            rows = {name: s["value"] for name, s in drawn if is_local(s) and name not in q}
            self.observed |= rows
            values |= rows
        guide = self.guide if self.guide is not None or not q else p.guide
        for part in _modules(guide) if self.automatic else ():
            if isinstance(part, AutoGuide):
                part._model = (pyro.condition(part.model, data=self.observed),)
        programs: list[Any] = [None, None]
        for i, program in enumerate((p.model, guide)):
            if program is not None:
                own = bool(i) and not self.automatic
                given = arguments(program if own or not i else p.model, values)
                programs[i] = partial(_attached, program, given, self.observed, seen, own)
                if not i:
                    self.bare = record(program, (), given)
        self.owner, (self.model, self.guide), self.kwargs = p, programs, {}

    def run(
        self,
        part: str,
        clamped: Mapping[str, Any] | None = None,
        seed: int = 0,
        arguments: tuple[Any, Any] | None = None,
    ) -> Run:
        """Run the "model" or the "guide" with latents ``clamped``, perhaps on other ``arguments``."""
        pyro.set_rng_seed(seed)
        args, kwargs = arguments or (self.args, self.kwargs)
        return record(getattr(self, part), args, kwargs, clamped)

    @cached_property
    def q(self) -> Run:
        """The guide's first run; empty if there is no guide."""
        return self.run("guide") if self.guide is not None else Run()

    @cached_property
    def p(self) -> Run:
        """The model's run on the guide's draws."""
        return self.run("model", self.q.values)

    @cached_property
    def alone(self) -> Run:
        """The model's run on draws of its own."""
        return self.run("model")

    @property
    def runs(self) -> list[tuple[str, Run]]:
        """The runs that there are, by part."""
        return [("model", self.p)] + ([("guide", self.q)] if self.guide is not None else [])

    @property
    def latents(self) -> dict[str, Site]:
        """The model's latent sites."""
        return {n: s for n, s in self.p.samples.items() if not (s.observed or s.deterministic)}

    @property
    def works(self) -> bool:
        """Whether both programs ran to their ends."""
        return self.p.error is None and self.q.error is None

    @cached_property
    def tensors(self) -> dict[str, Any]:
        """Tensors and arrays among the arguments by name, a level into lists and dictionaries."""
        try:
            bound = dict(inspect.signature(self.model).bind(*self.args, **self.kwargs).arguments)
        except (TypeError, ValueError):
            bound = {f"argument {i + 1}": v for i, v in enumerate(self.args)} | self.kwargs
        found: dict[str, Any] = {}
        for name, value in bound.items():
            items: Any = [("", value)]
            if isinstance(value, Mapping):
                items = [(f"[{key!r}]", v) for key, v in value.items()]
            elif isinstance(value, list | tuple):
                items = [(f"[{i}]", v) for i, v in enumerate(value)]
            found |= {name + k: v for k, v in items if isinstance(v, Tensor | np.ndarray)}
        return found

    @cached_property
    def rows(self) -> int:
        """The length that most arguments share, the larger one if they differ; 0 if there is none."""
        lengths = Counter(len(v) for v in self.tensors.values() if v.ndim)
        return max(lengths, key=lambda k: (lengths[k], k), default=0)

    def replaced(self, old: Any, new: Any) -> tuple[Any, Any]:
        """The arguments with one tensor or array of theirs replaced, wherever it stands."""
        return self.changed(lambda value: new if value is old else value)

    def changed(self, change: Callable[[Any], Any]) -> tuple[Any, Any]:
        """The arguments with every tensor, array and whole number changed, wherever it stands."""

        def walk(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {k: walk(v) for k, v in value.items()}
            if type(value) in (list, tuple):
                return type(value)(map(walk, value))
            return change(value)

        return tuple(map(walk, self.args)), {k: walk(v) for k, v in self.kwargs.items()}

    def parameters(self) -> dict[str, Tensor]:
        """The unconstrained tensors that pyro.param and PyroModules handed to both programs, by name."""
        found = {}
        for _, each in self.runs:
            for name, site in each.params.items():
                if isinstance(site.value, Tensor):
                    leaf = getattr(site.value, "unconstrained", lambda: None)()
                    found[name] = site.value if leaf is None else leaf
        return found


def _cloned(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _attached(program: Any, given: Any, observed: Any, seen: Any, guide: bool) -> Any:
    with Observed(observed, seen, guide=guide):
        return program(**given)


def modules_of(program: Any) -> list[nn.Module]:
    """The modules that a program is, belongs to, or finds in its closure or its globals by name."""
    program = inspect.unwrap(program) if callable(program) else program
    found = _modules(program) + _modules(getattr(program, "__self__", None))
    function = getattr(program, "__func__", program)
    if inspect.isfunction(function):
        names = inspect.getclosurevars(function)
        for value in [*names.nonlocals.values(), *names.globals.values()]:
            found += _modules(value)
    return found


def _modules(owner: Any) -> list[nn.Module]:
    return list(owner.modules()) if isinstance(owner, nn.Module) else []


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of a tensor, an array or a number."""
    return tuple(getattr(value, "shape", ()))


def states() -> int:
    """A fingerprint of the random states of torch, NumPy and Python."""
    torch_state = torch.get_rng_state().numpy().tobytes()
    return hash((torch_state, str(np.random.get_state()), random.getstate()))

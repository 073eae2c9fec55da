"""Run a program and write down every statement of Pyro's that it makes, with its line in the source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyro
import torch
from pyro.poutine.condition_messenger import ConditionMessenger
from pyro.poutine.messenger import Messenger
from pyro.poutine.runtime import _PYRO_STACK
from torch import Tensor

from ppl_gen import places
from ppl_gen.normalisation.integrals import base_of


@dataclass(eq=False)
class Site:
    """One pyro.sample, pyro.param or pyro.plate statement, as it ran.

    Attributes:
        kind: "sample", "param" or "plate".
        frames: the plates around it.
        given: whether a plate was handed its indices; of a param, whether its start breaks its constraint.
        source: the tensor that a param starts at; its shape is the ``start``.
        grad: whether autograd recorded.
    """

    name: str
    kind: str
    fn: Any
    value: Any
    observed: bool
    frames: tuple[Any, ...]
    infer: Mapping[str, Any]
    scale: Any
    mask: Any
    place: str
    grad: bool
    given: bool = False
    source: Any = None

    @property
    def start(self) -> tuple[int, ...] | None:
        """The shape of a param's start."""
        return tuple(self.source.shape) if isinstance(self.source, Tensor) else None

    @property
    def vectorized(self) -> dict[int, Any]:
        """The vectorized plates by their dimension."""
        return {f.dim: f for f in self.frames if f.vectorized}

    @property
    def deterministic(self) -> bool:
        """Whether it is a named function of others, or a term without a variable."""
        named = self.observed and self.delta and _same(base_of(self.fn).v, self.value)
        return bool(self.infer.get("_deterministic")) or self.factor or named

    @property
    def factor(self) -> bool:
        """Whether it is pyro.factor."""
        return type(base_of(self.fn)).__name__ == "Unit"

    @property
    def delta(self) -> bool:
        """Whether all probability lies on one value."""
        return isinstance(base_of(self.fn), pyro.distributions.Delta)

    @property
    def discrete(self) -> bool:
        """Whether its values are discrete."""
        return bool(getattr(_try(lambda: self.fn.support), "is_discrete", False))

    @property
    def enumerated(self) -> bool:
        """Whether it asks to be summed out."""
        return self.infer.get("enumerate") in ("parallel", "sequential")

    @cached_property
    def log_prob(self) -> Tensor | None:
        """The log density of the value, unscaled; None if there is none."""
        with pyro.validation_enabled(False):
            found: Tensor | None = _try(lambda: self.fn.log_prob(self.value))
        return found


@dataclass(eq=False)
class Run:
    """The statements of one run in order, what it returned, and the error that ended it, if one did.

    The names for which pyro.condition holds data are ``attached``.
    """

    statements: list[Site] = field(default_factory=list)
    error: Exception | None = None
    place: str = ""
    returned: Any = None
    attached: set[str] = field(default_factory=set)

    def _of(self, kind: str) -> dict[str, Site]:
        return {s.name: s for s in self.statements if s.kind == kind}

    @cached_property
    def samples(self) -> dict[str, Site]:
        """The sample sites by name."""
        return self._of("sample")

    @cached_property
    def plates(self) -> dict[str, Site]:
        """The plates by name; a site's value is the plate's indices."""
        return self._of("plate")

    @cached_property
    def params(self) -> dict[str, Site]:
        """The parameters by name."""
        return self._of("param")

    @property
    def values(self) -> dict[str, Any]:
        """What was drawn, plates' indices included."""
        drawn = {name: s.value for name, s in self.samples.items() if not s.observed}
        return drawn | {name: s.value for name, s in self.plates.items()}


class Recorder(Messenger):
    """Write each statement into a `Run`."""

    def __init__(self) -> None:
        super().__init__()
        self.run = Run()

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        if type(msg["fn"]).__name__ == "_Subsample":  # a plate: see whether it was handed its indices
            msg["infer"] = {**msg["infer"], "_given": msg["value"] is not None}

    def _pyro_post_sample(self, msg: dict[str, Any]) -> None:
        plate = type(msg["fn"]).__name__ == "_Subsample"
        self.run.attached.update(*_conditions())
        if msg["is_observed"] and any(msg["name"] in data for data in _conditions()):
            msg["infer"] = {**msg["infer"], "conditioned": True}
        self._add(msg, "plate" if plate else "sample", bool(msg["infer"].get("_given")))

    def _pyro_post_param(self, msg: dict[str, Any]) -> None:
        args, constraint = msg["args"], msg["kwargs"].get("constraint")
        start = args[1] if len(args) > 1 else None
        if not isinstance(start, Tensor) and callable(start):
            with torch.random.fork_rng(devices=[]):
                start = _try(start)
        outside = False
        if isinstance(start, Tensor) and constraint is not None:
            outside = _try(lambda: bool(torch.as_tensor(constraint.check(start)).all())) is False
        self._add(msg, "param", outside, start)

    def _add(self, msg: dict[str, Any], kind: str, given: bool, source: Any = None) -> None:
        self.run.statements.append(
            Site(
                msg["name"],
                kind,
                msg["fn"],
                msg["value"],
                bool(msg.get("is_observed")),
                tuple(msg["cond_indep_stack"]),
                dict(msg.get("infer") or {}),
                msg["scale"],
                msg["mask"],
                str(places.here() or ""),
                torch.is_grad_enabled(),
                given,
                source,
            )
        )


class Clamped(Messenger):
    """Give latent sites and plates the values of another run."""

    def __init__(self, values: Mapping[str, Any]):
        super().__init__()
        self.values = values

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        if msg["name"] in self.values and not msg["is_observed"]:
            msg["value"], msg["done"] = self.values[msg["name"]], True


def record(program: Any, args: Any, kwargs: Any, clamped: Mapping[str, Any] | None = None) -> Run:
    """Run ``program``, with latents ``clamped``, as far as it goes."""
    recorder = Recorder()
    try:
        with Clamped(clamped or {}), recorder:
            recorder.run.returned = program(*args, **kwargs)
    except Exception as error:
        recorder.run.error = error
        recorder.run.place = str(places.of_error(error) or "")
    return recorder.run


def _same(a: Any, b: Any) -> bool:
    return isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape and torch.equal(a, b)


def _conditions() -> list[Mapping[str, Any]]:
    """The data that pyro.condition attaches here."""
    stack = [frame for frame in _PYRO_STACK if isinstance(frame, ConditionMessenger)]
    return [f.data if isinstance(f.data, Mapping) else f.data.nodes for f in stack]


def _try(what: Any) -> Any:
    try:
        return what()
    except Exception:
        return None

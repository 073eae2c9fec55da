"""What the rules look at: one model, its lines, and the runs of its programs."""

import copy
import math
import random
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import pyro
import torch
from pyro import poutine
from torch import Tensor, nn
from torch.distributions import Distribution

from ppl_gen.core import ROWS, ProbabilisticModel, arguments, is_local, variables
from ppl_gen.errors import BrokenModel, NotationError
from ppl_gen.inference.elbo import delta
from ppl_gen.normalisation.improper import Proper
from ppl_gen.notation import Factorization, read_potentials
from ppl_gen.places import Place, of_attribute, of_error
from ppl_gen.testing.watching import Watch
from ppl_gen.testing.words import explain, first_line, rows_word, unscored

Nodes = dict[str, dict[str, Any]]
SYMBOL = {"model": "p", "guide": "q", "predictive": "p", "inverted": "p"}
LINE = {"model": "joint", "guide": "approximation", "predictive": "marginal", "inverted": "inverse"}


class Case:
    """A copy of the model, its lines, the given values, and the draws that the rules share."""

    def __init__(self, model: ProbabilisticModel, given: Mapping[str, Any]):
        self.cls, self.name, self.given = type(model), type(model).__name__, given
        self.places: dict[tuple[str, str], Place] = {}  # where a program draws a variable
        self.lines = {part: getattr(model, line) for part, line in LINE.items()}
        if "_parameters" not in model.__dict__:
            self.refuse(
                "the constructor does not call super().__init__(), so there is no module to hold parameters",
                "begin __init__ with super().__init__()",
                at="__init__",
            )
        self.joint, self.q = self.read("model"), self.read("guide")
        self.potentials = self.read_potentials(model.potentials)
        self.guided = type(model).guide is not ProbabilisticModel.guide
        try:
            self.p = copy.deepcopy(model)
        except Exception as error:
            self.refuse(
                f"the model cannot be copied ({first_line(error)}), and fit works on a copy",
                "keep only parameters, buffers and modules as attributes, nothing computed from them",
                at="__init__",
                cause=error,
            )
        self.p.train()
        for module in self.p.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.eval()  # its noise is meant; every other difference between two runs is not
        self.values: dict[str, Any] = {}
        self.data: dict[str, Tensor] = {}  # generated variables that the caller observed
        self.drawn: dict[str, Tensor] = {}  # one draw of the joint
        self.latents: dict[str, Tensor] = {}  # one draw of the guide
        self.sites: Nodes = {}

    def read(self, part: str) -> Factorization:
        try:
            return Factorization(self.lines[part].partition("  times  ")[0], SYMBOL[part])
        except NotationError as error:
            mend = f"write it as a textbook does, e.g. {SYMBOL[part]}(x | z)"
            if "generated twice" in str(error):
                mend = f"give each variable one factor, with all its parents: {SYMBOL[part]}(x | y, z)"
            elif self.lines[part].strip().startswith(SYMBOL[part].upper()):
                mend = f"write {SYMBOL[part]} as a small letter"
            return self.refuse(
                f"the {LINE[part]} line cannot be read: {error}", mend, part, at=LINE[part], cause=error
            )

    def read_potentials(self, line: str) -> dict[str, frozenset[str]]:
        """The terms of pyro.factor that make a joint unnormalised, with what each looks at."""
        try:
            found = read_potentials(line)
        except NotationError as error:
            self.refuse(str(error), 'write potentials = "energy(x)"', at="potentials", cause=error)
        for name, looks_at in found.items():
            for other in sorted(looks_at - self.joint.keys() - self.joint.given):
                self.refuse(
                    f"the potential {name!r} looks at {other!r}, which {self.joint.line} does not have",
                    "name variables of the joint",
                    at="potentials",
                )
        if found:
            self.lines["model"] += f"  times  {line.strip()}"
        return found

    def refuse(
        self,
        mistake: str,
        mend: str,
        part: str = "model",
        variable: str | None = None,
        cause: BaseException | None = None,
        at: str = "",
    ) -> NoReturn:
        """Raise the BrokenModel: the mistake, the line and factor that it breaks, where, and how to mend it.

        The place is the line that ``cause`` came through, or that draws the ``variable``; else where the
        class defines ``at``, the program by default.
        """
        line = self.lines[part] or f"(no {LINE[part]} line)"
        place = None if at or cause is None else of_error(cause)
        place = place or (None if at else self.places.get((part, variable or "")))
        place = place or of_attribute(self.cls, at or part)
        if variable is None and place and (draws := re.search(r"sample\(\s*[\"'](\w+)[\"']", place.text)):
            variable = draws[1]
        factors = re.findall(r"\w+\s*\([^()]*\)", line)
        heads = [(f, re.findall(r"\w+", f.partition("|")[0])) for f in factors]
        symbols = {*SYMBOL.values()}
        broken = [
            f"{f}  of  "
            for f, (symbol, *names) in heads
            if f != line and (variable in names if symbol in symbols else variable == symbol)
        ]
        where = f"\n    where   {place.quoted}" if place else ""
        message = f"{self.name}: {mistake}\n    breaks  {''.join(broken)}{line}{where}\n    mend    {mend}"
        raise BrokenModel(message) from cause

    def rows(self, index: Tensor, values: Mapping[str, Any]) -> dict[str, Any]:
        """The rows ``index`` of inputs and local variables; shared ones and others stay as they are."""
        n, part = self.values["n"], {}
        for name, value in values.items():
            local = is_local(self.sites[name]) if name in self.sites else name in self.joint.given
            part[name] = value[index] if local and value.dim() and len(value) == n else value
        return part | ({"n": len(index)} if "n" in values else {})

    def run(
        self,
        part: str,
        values: Mapping[str, Any] | None = None,
        clamped: Mapping[str, Tensor] | None = None,
        seed: int = 0,
        p: ProbabilisticModel | None = None,
    ) -> Nodes:
        """The variables of one run of ``part`` ("model", "guide" or "predictive")."""
        p = p or self.p
        program, values = getattr(p, part), self.values if values is None else values
        pyro.set_rng_seed(seed)
        state, flags = tensors_of(p), _flags()
        tracer, watch = poutine.trace(), Watch(self, part)
        try:
            watch.hold(arguments(program, values))
            with watch, tracer, Proper(), pyro.condition(data=dict(clamped or {})):
                program(**watch.given)
        except Exception as error:
            _plate_sizes(self, part, tracer.trace.nodes, values["n"], error)
            explain(self, error, part, watch, int(values["n"]))
        finally:
            after = _flags()
            torch.set_default_dtype(flags["the default dtype"])
            Distribution.set_default_validate_args(flags["the validation of arguments"])
            torch.set_grad_enabled(flags["gradient recording"])
        self.unchanged(part, p, state, flags, after)
        watch.unchanged()
        _plate_sizes(self, part, tracer.trace.nodes, values["n"], None)
        return variables(tracer.trace)

    def unchanged(
        self,
        part: str,
        p: ProbabilisticModel,
        state: dict[str, Tensor],
        flags: dict[str, Any],
        after: dict[str, Any],
    ) -> None:
        """A run leaves the process and the model's own tensors as they were."""
        for name, flag in flags.items():
            if after[name] is not flag and after[name] != flag:
                self.refuse(
                    f"{part}() changes {name} of the whole process from {flag} to {after[name]}",
                    "a program only draws; pass dtype= or use a with-block that restores it",
                    part,
                )
        leaked = sorted(pyro.get_param_store().keys())
        if leaked:
            self.refuse(
                f"{part}() declares pyro.param({leaked[0]!r}), which lives in Pyro's global store",
                "make it an attribute in __init__: torch.nn.Parameter or pyro.nn.PyroParam",
                part,
            )
        now = tensors_of(p)
        for name in now.keys() | state.keys():
            if name in now and name in state and identical(now[name], state[name]):
                continue
            owner = dict(p.named_modules()).get(name.rpartition(".")[0])
            if isinstance(owner, nn.modules.batchnorm._BatchNorm):
                self.refuse(
                    f"{part}() normalises over the batch ({name.rpartition('.')[0]}), so the rows depend on "
                    f"one another",
                    "use LayerNorm, or no normalisation",
                    part,
                )
            self.refuse(
                f"{part}() changes the model's own {name!r} when it runs",
                "a program only draws; set parameters and buffers in __init__ or initialize",
                part,
            )

    def scores(
        self,
        part: str,
        clamped: Mapping[str, Tensor],
        values: Mapping[str, Any] | None = None,
        seed: int = 0,
        p: ProbabilisticModel | None = None,
        soft: bool = False,
    ) -> dict[str, Tensor]:
        """The log density of each variable of ``part`` with all of them clamped.

        Of a deterministic variable, if ``soft``, minus its distance from its function: rounding, which
        follows the number of rows, makes a difference of bits, and a Delta makes minus infinity of that.
        """
        found = {}
        with pyro.validation_enabled(False), torch.no_grad():
            for name, node in self.run(part, values, clamped, seed, p).items():
                try:
                    found[name] = distance(node) if soft and delta(node) else log_density(node)
                except Exception as error:
                    unscored(self, error, part, name, node["fn"])
        return found


def _plate_sizes(c: Case, part: str, nodes: Mapping[str, Any], n: int, cause: Exception | None) -> None:
    plate = nodes.get(ROWS)
    if plate is None or type(plate.get("fn")).__name__ != "_Subsample":
        return
    size, taken = plate["fn"].size, plate["fn"].subsample_size
    if size != n:
        c.refuse(
            f'the plate "data" of {part}() has a size of its own, {size}, and there are {n} rows',
            f'write pyro.plate("data", {rows_word(c)})',
            part,
            cause=cause,
        )
    if taken not in (None, size):
        c.refuse(
            f'the plate "data" of {part}() draws a subsample of {taken} rows',
            "leave out subsample_size; fit takes minibatches itself (batch_size=)",
            part,
            cause=cause,
        )


def tensors_of(p: nn.Module) -> dict[str, Tensor]:
    """A copy of everything that a model keeps."""
    return {name: v.detach().clone() for name, v in p.state_dict().items() if isinstance(v, Tensor)}


def _flags() -> dict[str, Any]:
    return {
        "the default dtype": torch.get_default_dtype(),
        "the validation of arguments": Distribution._validate_args,
        "gradient recording": torch.is_grad_enabled(),
        "the state of NumPy's random numbers": hash(str(np.random.get_state())),
        "the state of Python's random numbers": hash(random.getstate()),
    }


def identical(a: Tensor, b: Tensor) -> bool:
    """Equal in shape, type and every bit; NaN equals NaN."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)


def nearly_equal(a: Tensor, b: Tensor, dtype: torch.dtype | None = None) -> bool:
    """Equal up to half of the digits: sums in another order differ in the last ones."""
    tolerance = math.sqrt(torch.finfo(dtype or a.dtype).eps)
    return torch.allclose(a, b.to(a.dtype), rtol=tolerance, atol=tolerance * (1 + a.abs().max().item()))


def distance(site: dict[str, Any]) -> Tensor:
    """Minus how far a deterministic variable lies from its function, one number for each draw."""
    fn = site["fn"].base_dist
    far = (site["value"] - fn.v).abs()
    return -far.flatten(far.dim() - fn.event_dim).sum(-1) if fn.event_dim else -far


def log_density(site: dict[str, Any]) -> Tensor:
    """The log density of a variable; if it is deterministic, that of its Delta."""
    fn = site["fn"].base_dist if delta(site) else site["fn"]
    score: Tensor = fn.log_prob(site["value"])
    return score

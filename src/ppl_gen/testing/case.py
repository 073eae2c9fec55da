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
from ppl_gen.notation import Factorization

Nodes = dict[str, dict[str, Any]]
SYMBOL = {"model": "p", "guide": "q", "predictive": "p", "inverted": "p"}
LINE = {"model": "joint", "guide": "approximation", "predictive": "marginal", "inverted": "inverse"}


class Case:
    """A copy of the model, its lines, the given values, and the draws that the rules share."""

    def __init__(self, model: ProbabilisticModel, given: Mapping[str, Any]):
        self.name, self.given = type(model).__name__, given
        self.lines = {part: getattr(model, line) for part, line in LINE.items()}
        self.joint, self.q = self.read("model"), self.read("guide")
        self.guided = type(model).guide is not ProbabilisticModel.guide
        try:
            self.p = copy.deepcopy(model)
        except Exception as error:
            self.refuse(
                f"the model cannot be copied ({first_line(error)}), and fit works on a copy",
                "keep only parameters, buffers and modules as attributes, nothing computed from them",
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
            return Factorization(self.lines[part], SYMBOL[part])
        except NotationError as error:
            return self.refuse(
                f"the {LINE[part]} line cannot be read: {error}",
                f"write it as a textbook does, e.g. {SYMBOL[part]}(x | z)",
                part,
                cause=error,
            )

    def refuse(
        self,
        mistake: str,
        mend: str,
        part: str = "model",
        variable: str | None = None,
        cause: BaseException | None = None,
    ) -> NoReturn:
        """Raise the BrokenModel: the mistake, how to mend it, and the line (and factor) that it breaks."""
        line = self.lines[part] or f"(no {LINE[part]} line)"
        factors = re.findall(r"\w+\s*\([^()]*\)", line)
        broken = [f"{f}  of  " for f in factors if variable in re.findall(r"\w+", f.partition("|")[0])[1:]]
        message = f"{self.name}: {mistake}\n    breaks  {''.join(broken)}{line}\n    mend    {mend}"
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
        tracer = poutine.trace()
        try:
            with tracer, pyro.condition(data=dict(clamped or {})):
                program(**arguments(program, values))
        except Exception as error:
            _plate_sizes(self, part, tracer.trace.nodes, values["n"], error)
            self.explain(error, part, [n for n in variables(tracer.trace) if n in self.read(part)])
        finally:
            after = _flags()
            torch.set_default_dtype(flags["the default dtype"])
            Distribution.set_default_validate_args(flags["the validation of arguments"])
            torch.set_grad_enabled(flags["gradient recording"])
        self.unchanged(part, p, state, flags, after)
        _plate_sizes(self, part, tracer.trace.nodes, values["n"], None)
        return variables(tracer.trace)

    def explain(self, error: Exception, part: str, sampled: list[str]) -> NoReturn:
        """Turn what Python, torch or Pyro said while a program ran into words about the model."""
        text, where = str(error), f"{part}()"
        said = f"{type(error).__name__}: {first_line(error)}"
        last = sampled[-1] if sampled else None
        if isinstance(error, NotImplementedError) and "does not write its joint" in text:
            self.refuse("there is no model() that writes the joint", "define model()", part, cause=error)
        if shape := re.search(r"inside plate\('(\w+)'\) at site (\w+) dim (-\d+), (\d+) vs (\d+)", text):
            plate, site, _, size, came = shape.groups()
            self.refuse(
                f"{where} draws {site!r} in plate {plate!r} of {size} with a batch of {came}: .to_event is "
                f"forgotten",
                "give a row's cells to one draw with .to_event(1); batch dimensions belong to plates",
                part,
                site if site in self.read(part) else None,
                cause=error,
            )
        if twice := re.search(r"[Mm]ultiple \w+ sites named '(\w+)'", text):
            self.refuse(f"{where} draws {twice[1]!r} twice", "name each variable once", part, cause=error)
        if "to satisfy the constraint" in text:
            found = re.search(r"parameter (\w+) .*?of distribution (\w+)", text, re.S)
            what = f"{found[1]} of {found[2]}" if found else "a parameter of a distribution"
            self.refuse(
                f"{where} gives a distribution a parameter out of its range: {what}",
                "pass it through exp or softplus, or make it a PyroParam with a constraint",
                part,
                cause=error,
            )
        if re.search(r"shape|size|dimension|broadcast", text):
            said = f"shapes that do not fit ({said})"
        self.refuse(
            f"{where} stopped {f'after drawing {last!r}' if last else 'before its first draw'}: {said}",
            f"run it by hand on {', '.join(f'{k}={_size(v)}' for k, v in self.values.items())}",
            part,
            cause=error,
        )

    def unscored(self, error: Exception, part: str, name: str, fn: Any) -> NoReturn:
        """Turn what went wrong in ``log_prob`` into words about the model."""
        self.refuse(
            f"the density of {name!r} in {part}() cannot be computed at a given value: "
            f"{type(fn).__name__}.log_prob says {type(error).__name__}: {first_line(error)}",
            "give the distribution a log_prob (a flow: an inverse); or draw what has no density with "
            "pyro.deterministic from variables that have one",
            part,
            name if name in self.read(part) else None,
            cause=error,
        )

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
    ) -> dict[str, Tensor]:
        """The log density of each variable of ``part`` with all of them clamped."""
        found = {}
        with pyro.validation_enabled(False), torch.no_grad():
            for name, node in self.run(part, values, clamped, seed, p).items():
                try:
                    found[name] = log_density(node)
                except Exception as error:
                    self.unscored(error, part, name, node["fn"])
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


def rows_word(c: Case) -> str:
    """How the size of the plate of the rows is written."""
    return f"len({min(c.joint.given)})" if c.joint.given else "n"


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


def log_density(site: dict[str, Any]) -> Tensor:
    """The log density of a variable; if it is deterministic, that of its Delta."""
    fn = site["fn"].base_dist if delta(site) else site["fn"]
    score: Tensor = fn.log_prob(site["value"])
    return score


def first_line(error: BaseException) -> str:
    """What an error says, in short."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _size(value: Any) -> str:
    return f"tensor{tuple(value.shape)}" if isinstance(value, Tensor) else str(value)

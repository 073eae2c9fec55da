"""The contract that every model keeps, ours and a student's.

`check_model` runs the rules below in order, from root mistakes to their symptoms, and stops at the first
that is broken. What a rule needs (a joint draw, the guide's draw) the rules before it have shown to exist.
"""

import copy
import difflib
import inspect
import itertools
import math
import random
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import pyro
import torch
from pyro import poutine
from pyro.distributions import Delta
from torch import Tensor, nn
from torch.distributions import Distribution, biject_to, identity_transform

from ppl_gen.checks import whole
from ppl_gen.core import ROWS, ProbabilisticModel, arguments, dtype_of, is_local, variables
from ppl_gen.errors import BrokenModel, DataError, NotationError, Unexplained, UnknownVariable
from ppl_gen.inference.elbo import elbo
from ppl_gen.inputs import as_tensor
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization

FALSE_ALARM = 1e-6  # the chance that the one statistical rule refuses a good model
Nodes = dict[str, dict[str, Any]]


def check_model(model: ProbabilisticModel, /, **given: Any) -> None:
    """Check that a model keeps the contract; return nothing if it does.

    The program is compared with the joint line, the guide with its line, samplers with densities, and a
    conjugate update with Bayes' rule. The model itself is not touched: a copy is run, from fixed seeds.

    Args:
        model: the model.
        given: what the joint is given: ``x=…`` for a discriminative model, the number of rows ``n=8`` for a
            generative one. A generated variable given too counts as observed.

    Raises:
        BrokenModel: names the first mistake, the line it breaks, and how to mend it.
        DataError, UnknownVariable: ``given`` does not fit the joint line.

    >>> from ppl_gen.models import VAE
    >>> check_model(VAE(features=3, latent=2), n=8)
    >>> class Deaf(VAE):
    ...     def model(self, n):
    ...         with pyro.plate("data", n):
    ...             z = pyro.sample("z", pyro.distributions.Normal(self.zero, 1.0).to_event(1))
    ...             return pyro.sample("x", self.likelihood(self.decoder(torch.zeros_like(z))))
    >>> check_model(Deaf(features=3, latent=2), n=8)
    Traceback (most recent call last):
    ...
    ppl_gen.errors.BrokenModel: Deaf: model() draws 'x' without looking at 'z', its declared parent
        breaks  p(x | z)  of  p(z) p(x | z)
        mend    use 'z' where 'x' is drawn, or leave it out right of the bar
    """
    if not isinstance(model, ProbabilisticModel):
        raise DataError(f"model: expected a ProbabilisticModel, got {type(model).__name__}")
    with isolated(0, grad=True, validate=True):
        case = _Case(model, given)
        for rule in CONTRACT:
            rule(case)


class _Case:
    """A copy of the model, its lines, the given values, and the draws that the rules share."""

    def __init__(self, model: ProbabilisticModel, given: Mapping[str, Any]):
        self.name, self.given = type(model).__name__, given
        self.lines = {"model": model.joint, "guide": model.approximation, "predictive": model.marginal}
        self.joint, self.q = self.read("model"), self.read("guide")
        self.guided = type(model).guide is not ProbabilisticModel.guide
        try:
            self.p = copy.deepcopy(model)
        except Exception as error:
            self.refuse(
                f"the model cannot be copied ({_first_line(error)}), and fit works on a copy",
                "model",
                None,
                "keep only parameters, buffers and modules as attributes, nothing computed from them",
                error,
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
            return Factorization(self.lines[part], _SYMBOL[part])
        except NotationError as error:
            return self.refuse(
                f"the {_LINE[part]} line cannot be read: {error}",
                part,
                None,
                f"write it as a textbook does, e.g. {_SYMBOL[part]}(x | z)",
                error,
            )

    def refuse(
        self, mistake: str, part: str, variable: str | None, mend: str, cause: BaseException | None = None
    ) -> NoReturn:
        """Raise the BrokenModel: the mistake, the line (and factor) that it breaks, and how to mend it."""
        line = self.lines[part] or f"(no {_LINE[part]} line)"
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
        state, flags = _state(p), _flags()
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
        said = f"{type(error).__name__}: {_first_line(error)}"
        last = sampled[-1] if sampled else None
        if isinstance(error, NotImplementedError) and "does not write its joint" in text:
            self.refuse("there is no model() that writes the joint", part, None, "define model()", error)
        if shape := re.search(r"inside plate\('(\w+)'\) at site (\w+) dim (-\d+), (\d+) vs (\d+)", text):
            plate, site, _, size, came = shape.groups()
            self.refuse(
                f"{where} draws {site!r} in plate {plate!r} of {size} with a batch of {came}: .to_event is "
                f"forgotten",
                part,
                site if site in self.read(part) else None,
                "give a row's cells to one draw with .to_event(1); batch dimensions belong to plates",
                error,
            )
        if twice := re.search(r"[Mm]ultiple \w+ sites named '(\w+)'", text):
            self.refuse(f"{where} draws {twice[1]!r} twice", part, None, "name each variable once", error)
        if "to satisfy the constraint" in text:
            found = re.search(r"parameter (\w+) .*?of distribution (\w+)", text, re.S)
            what = f"{found[1]} of {found[2]}" if found else "a parameter of a distribution"
            self.refuse(
                f"{where} gives a distribution a parameter out of its range: {what}",
                part,
                None,
                "pass it through exp or softplus, or make it a PyroParam with a constraint",
                error,
            )
        if re.search(r"shape|size|dimension|broadcast", text):
            said = f"shapes that do not fit ({said})"
        self.refuse(
            f"{where} stopped {f'after drawing {last!r}' if last else 'before its first draw'}: {said}",
            part,
            None,
            f"run it by hand on {', '.join(f'{k}={_size(v)}' for k, v in self.values.items())}",
            error,
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
                    part,
                    None,
                    "a program only draws; pass dtype= or use a with-block that restores it",
                )
        leaked = sorted(pyro.get_param_store().keys())
        if leaked:
            self.refuse(
                f"{part}() declares pyro.param({leaked[0]!r}), which lives in Pyro's global store",
                part,
                None,
                "make it an attribute in __init__: torch.nn.Parameter or pyro.nn.PyroParam",
            )
        now = _state(p)
        for name in now.keys() | state.keys():
            if name in now and name in state and _same(now[name], state[name]):
                continue
            owner = dict(p.named_modules()).get(name.rpartition(".")[0])
            if isinstance(owner, nn.modules.batchnorm._BatchNorm):
                self.refuse(
                    f"{part}() normalises over the batch ({name.rpartition('.')[0]}), so the rows depend on "
                    f"one another",
                    part,
                    None,
                    "use LayerNorm, or no normalisation",
                )
            self.refuse(
                f"{part}() changes the model's own {name!r} when it runs",
                part,
                None,
                "a program only draws; set parameters and buffers in __init__ or initialize",
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
        with pyro.validation_enabled(False), torch.no_grad():
            return {name: _score(node) for name, node in self.run(part, values, clamped, seed, p).items()}


_SYMBOL = {"model": "p", "guide": "q", "predictive": "p"}
_LINE = {"model": "joint", "guide": "approximation", "predictive": "marginal"}


# The lines and the signatures ---------------------------------------------------------------------------


def _lines(c: _Case) -> None:
    """The joint line stands there; so does the guide's line if there is a guide; both speak of one joint."""
    if not c.joint:
        c.refuse("there is no joint line", "model", None, 'declare it in the class: joint = "p(z) p(x | z)"')
    if type(c.p).model is ProbabilisticModel.model:
        c.refuse("there is no model() that writes the joint", "model", None, "define model()")
    if c.guided and not c.q:
        c.refuse("guide() has no approximation line", "guide", None, 'declare it: approximation = "q(z | x)"')
    if c.q and not c.guided:
        c.refuse("the approximation line has no guide()", "guide", None, "define guide(), or drop the line")
    unknown = (c.q.keys() | c.q.given) - c.joint.keys() - c.joint.given
    for name in sorted(unknown):
        c.refuse(
            f"the approximation speaks of {name!r}, which the joint {c.joint.line} does not have"
            f"{_near(name, c.joint)}",
            "guide",
            name if name in c.q else None,
            "name the latents as the joint does",
        )
    for name in sorted(c.q.keys() & c.joint.given):
        c.refuse(
            f"the guide draws {name!r}, which the joint is given", "guide", name, "draw latent variables only"
        )


def _signatures(c: _Case) -> None:
    """The signature is the right-hand side of the bar."""
    expected = sorted(c.joint.given) or ["n"]
    names = _parameters(c, "model", f"model(self, {', '.join(expected)})")
    for name in names:
        if name in c.joint:
            c.refuse(
                f"data enter model(): its argument {name!r} is a variable that the joint generates",
                "model",
                name,
                f"draw {name!r} always; fit attaches data from outside: model(self, {', '.join(expected)})",
            )
    if set(names) - {"n"} != set(expected) - {"n"} or (expected == ["n"] and names != ["n"]):
        c.refuse(
            f"the signature model(self, {', '.join(names)}) is not what the joint is given",
            "model",
            None,
            f"write model(self, {', '.join(expected)}): the right-hand sides of the bars",
        )
    if not c.guided:
        return
    expected = sorted(c.q.given)
    names = _parameters(c, "guide", f"guide(self, {', '.join(['n', *expected])})")
    for name in names:
        if name in c.q:
            c.refuse(
                f"data enter guide(): its argument {name!r} is a latent that the guide draws",
                "guide",
                name,
                f"leave out the argument {name!r}",
            )
    if set(names) - {"n"} != set(expected):
        c.refuse(
            f"the signature guide(self, {', '.join(names)}) is not what the approximation is given "
            f"({', '.join(expected) or 'nothing'})",
            "guide",
            None,
            "make the arguments (beside n) and the right-hand sides of the bars the same",
        )


def _given(c: _Case) -> None:
    """Not a rule: put the caller's values in order."""
    for name in c.given:
        if name not in c.joint.keys() | c.joint.given | {"n"}:
            raise UnknownVariable(f"{name!r} is not a variable of {c.name}: {c.joint.line}")
    tensors = {k: as_tensor(k, v, dtype_of(c.p)) for k, v in c.given.items() if k != "n"}
    missing = sorted(c.joint.given - tensors.keys())
    if missing:
        raise DataError(f"check_model needs what {c.name} is given: pass {missing[0]}=…")
    inputs = {k: v for k, v in tensors.items() if k in c.joint.given}
    n = max((len(v) for v in inputs.values() if v.dim()), default=c.given.get("n", 8))
    c.values = inputs | {"n": whole("n", n, least=4)}
    c.data = {k: v for k, v in tensors.items() if k in c.joint}


# The program and the joint line -------------------------------------------------------------------------


def _variables(c: _Case) -> None:
    """The program draws the variables of the joint: all of them, no others, and observes none."""
    c.sites = c.run("model", clamped=c.data)
    _names(c, "model", c.sites, c.joint)
    for name, site in c.sites.items():
        if name not in c.data and site["is_observed"] and not site["infer"].get("_deterministic"):
            c.refuse(
                f"data are inside model(): {name!r} is observed there (obs=…, or pyro.factor)",
                "model",
                name if name in c.joint else None,
                "leave out obs=; data are attached from outside, by fit",
            )
    c.drawn = {name: c.sites[name]["value"].detach() for name in c.joint}


def _plates(c: _Case) -> None:
    """The rows lie in the plate "data", the first dimension; every other batch dimension has its plate."""
    if not any(is_local(site) for site in c.sites.values()):
        found = sorted({f.name for s in c.sites.values() for f in s["cond_indep_stack"]})
        c.refuse(
            f'no variable lies in a plate "data" of the rows (plates found: {", ".join(found) or "none"})',
            "model",
            None,
            f'draw what each row has inside `with pyro.plate("data", {_rows_word(c)}):`',
        )
    _shapes(c, "model", c.sites)
    fewer = c.run("model", c.rows(torch.arange(c.values["n"] - 1), c.values))
    for name in c.joint:
        before, after = c.sites[name]["value"].shape, fewer[name]["value"].shape
        if not is_local(c.sites[name]) and before != after:
            c.refuse(
                f"{name!r} has one value for each row (its shape follows n) but lies outside the plate "
                f'"data"',
                "model",
                name,
                f'draw {name!r} inside `with pyro.plate("data", {_rows_word(c)}):`',
            )
    for name, site in c.sites.items():
        if site["scale"] != 1.0 or (site["mask"] is not None and not site["infer"].get("_deterministic")):
            c.refuse(
                f"model() weighs or masks {name!r} (poutine.scale or poutine.mask)",
                "model",
                name,
                "leave it out: fit scales the rows of a minibatch itself",
            )


def _no_hidden_noise(c: _Case) -> None:
    """Nothing is random but the variables, and the program does not choose the seed."""
    for part in ("model", "guide")[: 1 + c.guided]:
        ends = []
        values = c.values | c.drawn
        for seed in (1, 2):
            c.run(part, values, seed=seed)
            ends.append(torch.get_rng_state())
        if torch.equal(*ends):
            c.refuse(
                f"{part}() sets the random seed: two runs leave one random state",
                part,
                None,
                "leave out manual_seed and set_rng_seed; the verbs take seed=",
            )
        clamped = c.drawn if part == "model" else {k: n["value"] for k, n in c.run(part, values).items()}
        one, other = (c.scores(part, clamped, values, seed) for seed in (1, 2))
        for name in one:
            if not _same(one[name], other[name]):
                c.refuse(
                    f"{part}() is random beside its variables: with every variable fixed, the density of "
                    f"{name!r} still changes from run to run",
                    part,
                    name if name in c.read(part) else None,
                    "draw all randomness with pyro.sample, under a name of the joint",
                )


def _dependencies(c: _Case) -> None:
    """Each variable depends on its declared parents and on nothing else."""
    _compare(c, "model", c.joint, c.values, [c.sites, *(c.run("model", seed=s) for s in (1, 2, 3))])


def _compare(
    c: _Case,
    part: str,
    line: Factorization,
    values: dict[str, Any],
    draws: list[Nodes],
    own: ProbabilisticModel | None = None,
) -> None:
    """Move one variable at a time: a density that moves with it depends on it.

    Done for the model as it is, and with all parameters moved a little: weights that start at zero hide
    nothing then.
    """
    own = own or c.p
    moved = copy.deepcopy(own)
    with torch.no_grad():
        for w in moved.parameters():
            w.add_(0.1 * torch.randn(w.shape, generator=torch.Generator().manual_seed(0)).to(w))
    first, *others = [{name: node["value"].detach() for name, node in draw.items()} for draw in draws]
    first = {name: first[name] for name in line}
    real: dict[str, set[str]] = {name: set() for name in line}
    for p in (own, moved):
        base = c.scores(part, first, values, p=p)
        for number, other in enumerate(others, 1):
            for name in [*line, *sorted(line.given)]:
                if name in line:
                    after = c.scores(part, first | {name: other[name]}, values, p=p)
                else:
                    after = c.scores(part, first, values | {name: values[name].roll(number, 0)}, p=p)
                for child in line.keys() - {name}:
                    if not _same(base[child], after[child]):
                        real[child].add(name)
    for child, parents in line.items():
        for parent in sorted(real[child] - parents):
            c.refuse(
                f"{part}() draws {child!r} depending on {parent!r}, which is not a declared parent",
                part,
                child,
                f"write {parent!r} right of the bar, or draw {child!r} without it",
            )
        for parent in sorted(parents - real[child]):
            c.refuse(
                f"{part}() draws {child!r} without looking at {parent!r}, its declared parent",
                part,
                child,
                f"use {parent!r} where {child!r} is drawn, or leave it out right of the bar",
            )


def _own_samples(c: _Case) -> None:
    """What the model draws lies in the support and scores a finite number; what does not is not scored."""
    for name in c.joint:
        site = c.sites[name]
        fn, value = site["fn"], site["value"]
        if _fixed(site):
            continue
        if not bool(torch.as_tensor(fn.support.check(value)).all()):
            c.refuse(
                f"{name!r} is drawn outside the support of its own density: {type(_base(fn)).__name__} has "
                f"{_say(fn.support)}, and a draw was {_outside(fn, value)}",
                "model",
                name,
                "draw and score the same distribution, one whose support is that of the data",
            )
        try:
            finite = torch.isfinite(_score(site)).all()
        except ValueError as error:
            c.explain(error, "model", [name])
        if not bool(finite):
            c.refuse(
                f"{name!r} has a log density that is not finite at the model's own draw",
                "model",
                name,
                "mend log_prob, or move the start of the parameters to numbers of ordinary size",
            )
        for elsewhere in (value + 0.5, -value - 1):
            elsewhere = elsewhere.to(value.dtype)
            if bool(torch.as_tensor(fn.support.check(elsewhere)).all()):
                continue
            try:
                scored = bool(torch.isfinite(fn.log_prob(elsewhere)).all())
            except (ValueError, IndexError, RuntimeError):
                continue  # refused, as it should be
            if scored:
                c.refuse(
                    f"{name!r} is scored outside its support: {type(_base(fn)).__name__} gives the value "
                    f"{elsewhere.flatten()[0].item():g} a finite density (validate_args=False?)",
                    "model",
                    name,
                    "leave out validate_args=False, and take a distribution whose support holds the data",
                )


def _rows_apart(c: _Case) -> None:
    """Given the shared variables, rows are independent: a subset of rows has the subset's log densities."""
    _subset(c, "model", c.joint, c.values, c.drawn, c.sites)


def _subset(
    c: _Case, part: str, line: Factorization, values: dict[str, Any], clamped: dict[str, Tensor], sites: Nodes
) -> None:
    index = torch.arange(1, c.values["n"], 2)
    whole_ = c.scores(part, clamped, values)
    some = c.scores(part, c.rows(index, clamped), c.rows(index, values))
    for name in line:
        local = is_local(sites[name])
        if not local and part == "guide" and line[name]:
            continue  # an amortised q of a shared variable looks at all rows on purpose
        expected = whole_[name].index_select(-1, index) if local else whole_[name]
        if expected.shape != some[name].shape or not _close(expected, some[name]):
            what = "the density of a row" if local else f"the density of {name!r}, which all rows share,"
            c.refuse(
                f"in {part}() rows depend on one another or on their number: {what} changes when other rows "
                f"are left out",
                part,
                name,
                "compute a row from itself and the shared variables alone (no batch norm, x.mean(0) or n)",
            )


def _sampler_and_density(c: _Case) -> None:
    """Sampler and density are one distribution.

    Metropolis steps that leave the density as it is make start and end of a chain exchangeable if the
    sampler draws from that density; then every comparison of the two is a fair coin (Hoeffding's bound).
    Blind to a density's constant, except where the values can be counted.
    """
    for name in c.joint:
        fn = c.sites[name]["fn"]
        if _fixed(c.sites[name]):
            continue
        with torch.no_grad(), pyro.validation_enabled(False):
            fn = c.run("model", clamped=c.drawn)[name]["fn"]
            total = fn.log_prob(fn.enumerate_support()).logsumexp(0) if _countable(fn) else torch.zeros(())
            pairs = _chain(fn, 256)
        if not bool((total.abs() < 1e-3).all()):
            c.refuse(
                f"the density of {name!r} does not sum to one: {total.exp().flatten()[0].item():.3g}",
                "model",
                name,
                "normalise log_prob",
            )
        for difference in pairs:
            up, down = int((difference > 0).sum()), int((difference < 0).sum())
            bound = math.sqrt((up + down) * math.log(2 * 2 * len(c.joint) / FALSE_ALARM) / 2)
            if abs(up - down) / 2 > bound:
                c.refuse(
                    f"sampler and density of {name!r} disagree: its draws do not follow "
                    f"{type(_base(fn)).__name__}.log_prob",
                    "model",
                    name,
                    "make sample() (or rsample()) and log_prob() of the distribution the same",
                )


def _chain(fn: Any, draws: int, steps: int = 8) -> tuple[Tensor, ...]:
    """After minus before of the log density and of the place, for Metropolis chains that start at draws."""
    discrete = fn.support.is_discrete
    cells = getattr(fn.support, "base_constraint", fn.support)
    try:
        bijection = identity_transform if discrete else biject_to(fn.support)
    except NotImplementedError:
        return ()  # no coordinates in which to take steps

    def target(u: Tensor) -> Tensor:
        value = bijection(u)
        score = fn.log_prob(value)
        if not discrete:
            score = score + _per_draw(bijection.log_abs_det_jacobian(u, value), score).sum(-1)
            # draws pile up at the edge of floating point: the edge is left out of the space
            inside = torch.isclose(bijection.inv(value), u, rtol=1e-3, atol=1e-3)
            if value.shape != u.shape or not torch.equal(value, u):
                inside &= u.abs() < 60
            score = score.where(_per_draw(inside, score).all(-1), -math.inf)
        return score.where(~score.isnan(), -math.inf)

    spread = bijection.inv(fn.sample((64,))).double()  # draws of their own: the steps may not know the start
    width = spread.where(spread.isfinite(), 0.0).std(0) * 1.5 / math.sqrt(max(1, fn.event_shape.numel()))
    u = start = bijection.inv(fn.sample((draws,)))
    score = before = target(u)
    for _ in range(steps):
        step = torch.randn(u.shape, dtype=width.dtype) * (width.clamp(min=0.7) if discrete else width)
        proposal = u + (step.round() if discrete else step).to(u.dtype)
        if discrete:
            legal = torch.as_tensor(cells.check(proposal))
            legal = legal.reshape(*legal.shape, *[1] * (u.dim() - legal.dim()))
            proposal = proposal.where(legal, u)
        new = target(proposal)
        taken = (torch.rand(new.shape, dtype=torch.float64).log() < new - score) & new.isfinite()
        u = torch.where(taken.reshape(*taken.shape, *[1] * (u.dim() - taken.dim())), proposal, u)
        score = torch.where(taken, new, score)
    good = before.isfinite()
    return (score - before)[good], _per_draw(u - start, score).sum(-1)[good]


def _per_draw(value: Tensor, score: Tensor) -> Tensor:
    """``value`` with its event dimensions, those that ``score`` lacks, flattened into one last dimension."""
    return value.reshape(*score.shape, -1)


# The guide ----------------------------------------------------------------------------------------------


def _guide_variables(c: _Case) -> None:
    """The guide draws the latents of its line, where the joint has them, and no others."""
    if not c.guided:
        return
    nodes = c.run("guide", c.values | c.drawn)
    for name in sorted(nodes.keys() & c.joint.keys() - c.q.keys()):
        c.refuse(
            f"guide() draws {name!r}, which the approximation line does not name: an observed variable, or a "
            f"forgotten factor",
            "guide",
            None,
            f"write q({name}) in the line, or do not draw {name!r}",
        )
    _names(c, "guide", nodes, c.q)
    for name, site in nodes.items():
        if site["is_observed"] and not site["infer"].get("_deterministic"):
            c.refuse(f"guide() observes {name!r}: data are inside it", "guide", name, "leave out obs=")
    for name in c.q:
        inside, should = is_local(nodes[name]), is_local(c.sites[name])
        if inside != should:
            c.refuse(
                f'guide() draws {name!r} {"inside" if inside else "outside"} the plate "data", model() '
                f"draws it {'inside' if should else 'outside'}",
                "guide",
                name,
                "use the same plates in model() and guide()",
            )
    _shapes(c, "guide", nodes)
    for name in c.q:
        if nodes[name]["value"].shape != c.drawn[name].shape:
            c.refuse(
                f"{name!r} has shape {tuple(nodes[name]['value'].shape)} in guide() and "
                f"{tuple(c.drawn[name].shape)} in model()",
                "guide",
                name,
                "give both the same shape",
            )
    c.latents = {name: nodes[name]["value"].detach() for name in c.q}
    _supports(c, nodes)


def _supports(c: _Case, nodes: Nodes) -> None:
    """The guide's support lies inside the prior's, or the ELBO is minus infinity."""
    for name in c.q:
        q, p, value = nodes[name]["fn"], c.sites[name]["fn"], nodes[name]["value"].detach()
        if _delta(p):
            continue
        if _delta(q) and not p.support.is_discrete:
            c.refuse(
                f"KL-breaking guide site {name!r}: a Delta has no density against the continuous prior "
                f"{type(_base(p)).__name__}, so the KL divergence is infinite",
                "guide",
                name,
                "give the guide a density with a width, such as a Normal",
            )
        if q.support.is_discrete != p.support.is_discrete:
            kinds = ["continuous", "discrete"]
            c.refuse(
                f"KL-breaking guide site {name!r}: {kinds[q.support.is_discrete]} in guide(), "
                f"{kinds[p.support.is_discrete]} in model(); the supports do not meet",
                "guide",
                name,
                "take a guide on the prior's support",
            )
        for number in (-1000.0, -10.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 10.0, 1000.0):
            probe = torch.full_like(value, number)
            inside_q, inside_p = (torch.as_tensor(s.support.check(probe)) for s in (q, p))
            if bool(inside_q.any()) and not bool((inside_p.all() | ~inside_q).all()):
                c.refuse(
                    f"KL-breaking guide site {name!r}: the support of {type(_base(q)).__name__} in guide() "
                    f"({_say(q.support)}) is wider than that of the prior {type(_base(p)).__name__} "
                    f"({_say(p.support)}); it can draw {number:g}, and the ELBO is minus infinity there",
                    "guide",
                    name,
                    "take a guide on the prior's support: Gamma or LogNormal for positive numbers",
                )


def _guide_dependencies(c: _Case) -> None:
    """Each factor of the guide depends on what stands right of its bar; its rows stand apart as well."""
    if not c.guided:
        return
    values = c.values | c.drawn
    _compare(c, "guide", c.q, values, [c.run("guide", values, seed=s) for s in range(4)])
    _subset(c, "guide", c.q, values, c.latents, c.run("guide", values))


def _explained(c: _Case) -> None:
    """Every latent is guided, given as data, or finite enough to be summed out."""
    for name in _hidden(c):
        site = c.sites[name]
        if not (site["fn"].has_enumerate_support or _fixed(site)):
            c.refuse(
                f"{name!r} is unexplained: a latent that is neither sampled by the guide nor finite enough "
                f"to be summed out",
                "model",
                name,
                f"give the guide a factor q({name}); if {name!r} is data: check_model(model, {name}=…)",
            )


def _hidden(c: _Case) -> list[str]:
    """The variables that fit would have to sum out: nobody draws them, and others depend on them."""
    if not c.guided:
        return []
    parents = frozenset().union(*c.joint.values())
    hidden = [name for name in c.joint if name in parents or not is_local(c.sites[name])]
    return [name for name in hidden if not (name in c.q or name in c.q.given or name in c.data)]


# The bound ----------------------------------------------------------------------------------------------


def _summed_out(c: _Case) -> None:
    """Summing a discrete latent out, all values at once, gives what trying them one by one gives."""
    hidden = [name for name in _hidden(c) if is_local(c.sites[name]) and _countable(c.sites[name]["fn"])]
    if not hidden or len(hidden) < len(_hidden(c)):
        return
    supports = [c.sites[name]["fn"].enumerate_support() for name in hidden]
    if math.prod(map(len, supports)) > 64:
        return
    observed = {name: v for name, v in c.drawn.items() if name not in hidden}
    with torch.no_grad():
        together = _bound(c, lambda: elbo(c.p.model, None, c.values, observed))
        each = []
        for combination in itertools.product(*supports):
            scores = c.scores("model", observed | dict(zip(hidden, combination, strict=True)))
            each.append(sum(scores[name] for name in c.joint if is_local(c.sites[name])))
        shared = sum(scores[name].sum() for name in c.joint if not is_local(c.sites[name]))
        apart = torch.stack(torch.broadcast_tensors(*each)).logsumexp(0).sum() + shared
    if not _close(apart, together):
        c.refuse(
            f"summing {', '.join(hidden)} out gives {together.item():.6g} nats, trying the values one by one "
            f"{apart.item():.6g}: model() does not broadcast over them",
            "model",
            hidden[0],
            "index with the variable, as in mu[z]; do not reshape it, loop over it or call .item() on it",
        )


def _bound(c: _Case, compute: Callable[[], Tensor]) -> Tensor:
    try:
        return compute()
    except Unexplained as error:
        c.refuse(f"unexplained: {error}", "model", None, "give the guide a factor for it", error)
    except BrokenModel:
        raise
    except Exception as error:
        c.explain(error, "model", [])


def _gradients(c: _Case) -> None:
    """The ELBO is finite and a gradient reaches every parameter."""
    if not c.guided:
        return
    observed = {k: v for k, v in c.drawn.items() if k not in c.q and k not in _hidden(c)}
    for seed in range(8):
        pyro.set_rng_seed(seed)
        value = _bound(c, lambda: elbo(c.p.model, c.p.guide, c.values | observed, observed))
        if not bool(torch.isfinite(value)):
            c.refuse(
                f"the ELBO is {value.item()} at the guide's start",
                "guide",
                None,
                "start the guide inside the prior's support, with scales of ordinary size",
            )
    trainable = {name: w for name, w in c.p.named_parameters() if w.requires_grad}
    if not trainable:
        return
    if not value.requires_grad:
        found: tuple[Tensor | None, ...] = (None,) * len(trainable)
    else:
        found = torch.autograd.grad(value, list(trainable.values()), allow_unused=True)
    for name, gradient in zip(trainable, found, strict=True):
        if gradient is None:
            c.refuse(
                f"no gradient reaches the parameter {name.removesuffix('_unconstrained')!r}: it is idle",
                "guide",
                None,
                "use it in model() or guide() without .detach(), .data or .item(), or remove it",
            )
        if not bool(torch.isfinite(gradient).all()):
            c.refuse(
                f"the gradient of {name!r} is not finite at the start",
                "guide",
                None,
                "start the parameters at numbers of ordinary size",
            )


def _minibatches(c: _Case) -> None:
    """For one draw of the latents, the ELBOs of minibatches average to the ELBO of all rows."""
    shared_look = any(c.q[name] and not is_local(c.sites[name]) for name in c.q)
    if not c.guided or shared_look:
        return
    observed = {k: v for k, v in c.drawn.items() if k not in c.q and k not in _hidden(c)}
    n = c.values["n"]

    def bound(index: Tensor) -> float:
        values = c.rows(index, c.values | observed)
        with torch.no_grad():
            nodes = c.run("guide", values, c.rows(index, c.latents))
            replayed = poutine.Trace()
            for name, node in nodes.items():
                replayed.add_node(name, **(node | {"is_observed": False}))

            def guide() -> Any:
                with poutine.replay(trace=replayed):
                    return c.p.guide(**arguments(c.p.guide, values))

            part = c.rows(index, observed)
            return float(_bound(c, lambda: elbo(c.p.model, guide, values, part, scale=n / len(index))))

    batches = torch.arange(n).split(n // 2 + 1)
    average = sum(len(index) / n * bound(index) for index in batches)
    everything = bound(torch.arange(n))
    if not _close(torch.tensor(average), torch.tensor(everything), dtype_of(c.p)):
        c.refuse(
            f"minibatches do not average to the whole: ELBO {average:.6g} against {everything:.6g} nats",
            "model",
            None,
            "compute each row from itself and the shared variables alone",
        )


def _start(c: _Case) -> None:
    """``initialize`` takes data by name and leaves a finite ELBO."""
    if not c.guided or type(c.p).initialize is ProbabilisticModel.initialize:
        return
    observed = {k: v for k, v in c.drawn.items() if k not in c.q and k not in _hidden(c)}
    p = copy.deepcopy(c.p)
    rows = {k: v for k, v in c.values.items() if k != "n"}
    rows |= {k: v for k, v in observed.items() if is_local(c.sites[k])}
    try:
        p.initialize(**rows)
        value = elbo(p.model, p.guide, c.values | observed, observed)
    except Exception as error:
        c.refuse(
            f"initialize({', '.join(rows)}) fails: {_first_line(error)}",
            "guide",
            None,
            "take the data by name and ignore the rest: def initialize(self, x, **_)",
            error,
        )
    if not bool(torch.isfinite(value)):
        c.refuse(f"the ELBO is {value.item()} after initialize", "guide", None, "start with ordinary numbers")


# Conjugate models ---------------------------------------------------------------------------------------


@torch.no_grad()
def _conjugate(c: _Case) -> None:
    """``updated`` is Bayes' rule, ``log_normalizer`` its evidence, and the prior stays as it was.

    The candidate's formula (Besag 1989): log p(data, θ) - log p(θ | data) is the log evidence at every θ.
    """
    p: Any = c.p
    if not hasattr(p, "updated"):
        return
    if not hasattr(p, "log_normalizer"):
        c.refuse("updated() has no log_normalizer() beside it", "model", None, "define log_normalizer(self)")
    names = _parameters(c, "updated", "updated(self, x, y)")
    for name in names:
        if name not in c.joint.keys() | c.joint.given:
            c.refuse(
                f"updated() asks for {name!r}, which the joint neither generates nor is given",
                "model",
                None,
                "name the arguments after variables of the joint",
            )
    data, n = {name: (c.values | c.drawn)[name] for name in names}, c.values["n"]
    before = _state(p)
    after = _updated(c, p, data)
    changed = after is p or any(not _same(v, before[name]) for name, v in _state(p).items())
    if changed:
        c.refuse(
            "updated() changes the model in place",
            "model",
            None,
            "work on a copy: after = copy.deepcopy(self), and return it",
        )
    if type(after) is not type(p) or after.joint != p.joint:
        c.refuse(
            f"updated() returns a {type(after).__name__}, not the same model with other hyperparameters",
            "model",
            None,
            "after = copy.deepcopy(self), set its hyperparameters, return it",
        )
    globals_ = [name for name in c.joint if not is_local(c.sites[name])]
    evidence = float(after.log_normalizer() - p.log_normalizer())
    candidates, size = [], abs(evidence)
    for seed in range(5):
        theta = {k: v["value"] for k, v in c.run("model", seed=seed, p=after).items() if k in globals_}
        prior, posterior = (c.scores("model", c.drawn | theta, p=q) for q in (p, after))
        used = [name for name in c.joint if name in data or name in globals_]
        log_joint = sum(prior[k].sum() for k in used)
        candidates.append(float(log_joint - sum(posterior[k].sum() for k in globals_)))
        size = max(size, float(sum(prior[k].abs().sum() for k in used)))
    tolerance = (1e-8 if dtype_of(p) == torch.float64 else 1e-4) * max(1.0, size)
    if not max(candidates) - min(candidates) <= tolerance:
        c.refuse(
            f"updated() is not Bayes' rule: log p(data, θ) - log p(θ | data) must be one number for every θ, "
            f"and it is {candidates[0]:.8g} and {candidates[1]:.8g}",
            "model",
            None,
            "derive the posterior's hyperparameters again: pseudo-counts, means, rates",
        )
    if not abs(candidates[0] - evidence) <= tolerance:
        c.refuse(
            f"log_normalizer() is wrong: after minus before updated() it gives {evidence:.8g} nats, the log "
            f"evidence is {candidates[0]:.8g}",
            "model",
            None,
            "derive the normalising constant of the prior again",
        )
    halves = p
    for index in torch.arange(n).split(n // 2 + 1):
        halves = _updated(c, halves, c.rows(index, data))
    if not abs(float(halves.log_normalizer() - after.log_normalizer())) <= tolerance:
        c.refuse(
            "updated() in two parts differs from all rows at once",
            "model",
            None,
            "the posterior of the first rows is the prior of the next",
        )


def _updated(c: _Case, p: Any, data: dict[str, Tensor]) -> Any:
    try:
        with torch.no_grad():
            return p.updated(**data)
    except Exception as error:
        c.refuse(
            f"updated({', '.join(data)}) fails: {_first_line(error)}",
            "model",
            None,
            "return a copy of the model with the posterior's hyperparameters",
            error,
        )


@torch.no_grad()
def _predictive(c: _Case) -> None:
    """``predictive`` is one row with the parameters integrated out, as its line ``marginal`` says."""
    p: Any = c.p
    if not hasattr(p, "predictive") and not p.marginal:
        return
    if not (hasattr(p, "predictive") and p.marginal):
        has, lacks = ("a marginal line", "predictive()") if p.marginal else ("predictive()", "marginal line")
        c.refuse(f"there is {has} but no {lacks}", "predictive", None, "declare both or neither")
    line = c.read("predictive")
    nodes = c.run("predictive")
    _names(c, "predictive", nodes, line)
    _shapes(c, "predictive", nodes)
    if not hasattr(p, "updated"):
        _compare(c, "predictive", line, c.values, [c.run("predictive", seed=s) for s in range(4)])
        return
    names, n = _parameters(c, "updated", "updated(self, x, y)"), c.values["n"]
    row_data = {name: (c.values | c.drawn)[name] for name in names}
    learned = _updated(c, p, row_data)  # under a prior that treats all classes alike, x may not depend on y
    draws = [c.run("predictive", seed=s, p=learned) for s in range(4)]
    _compare(c, "predictive", line, c.values, draws, learned)
    scores = c.scores("predictive", {name: c.drawn[name] for name in line})
    rows = torch.stack([scores[name].expand(n) for name in line]).sum(0)
    for i in range(n):
        after = _updated(c, p, c.rows(torch.tensor([i]), row_data))
        evidence, found = float(after.log_normalizer() - p.log_normalizer()), float(rows[i])
        relative = 1e-8 if dtype_of(p) == torch.float64 else 1e-4
        if not abs(found - evidence) <= relative * max(1.0, abs(evidence)):
            c.refuse(
                f"predictive() is wrong: it gives row {i} {found:.8g} nats, and the log evidence of updating "
                f"on that row alone is {evidence:.8g}",
                "predictive",
                None,
                "integrate the parameters out: a Normal-Gamma gives a Student t, a Dirichlet its mean",
            )


CONTRACT: tuple[Callable[[_Case], None], ...] = (
    _lines,
    _signatures,
    _given,
    _variables,
    _plates,
    _guide_variables,
    _no_hidden_noise,
    _own_samples,
    _dependencies,
    _rows_apart,
    _sampler_and_density,
    _guide_dependencies,
    _explained,
    _summed_out,
    _gradients,
    _minibatches,
    _start,
    _conjugate,
    _predictive,
)


# Small words --------------------------------------------------------------------------------------------


def _names(c: _Case, part: str, nodes: Nodes, line: Factorization) -> None:
    drawn = {name for name, site in nodes.items() if not _bookkeeping(site, name, line)}
    extra, missing = sorted(drawn - line.keys()), [name for name in line if name not in nodes]
    for name in missing:
        near = _near(name, extra)
        if not near and len(missing) == len(extra) == 1:
            near = f" (it draws {extra[0]!r} instead)"
        c.refuse(
            f"{part}() never draws {name!r}{near}",
            part,
            name,
            f'draw it with pyro.sample("{name}", …), or leave it out of the line',
        )
    for name in extra:
        c.refuse(
            f"{part}() draws {name!r}, which the {_LINE[part]} line does not have{_near(name, line)}",
            part,
            None,
            f"write {_SYMBOL[part]}({name} | …) in the line, or do not draw it",
        )


def _bookkeeping(site: dict[str, Any], name: str, line: Factorization) -> bool:
    """Sites that need no factor: pyro.deterministic and a guide's auxiliary draws."""
    return name not in line and bool(site["infer"].get("_deterministic") or site["infer"].get("is_auxiliary"))


def _shapes(c: _Case, part: str, nodes: Nodes) -> None:
    for name, site in nodes.items():
        if name not in c.read(part):
            continue
        frames = {f.dim: f for f in site["cond_indep_stack"] if f.vectorized}
        batch = site["fn"].batch_shape
        for dim in range(-len(batch), 0):
            if batch[dim] > 1 and dim not in frames:
                c.refuse(
                    f"{part}() draws {name!r} with batch shape {tuple(batch)}, of which dimension {dim} "
                    f"belongs to no plate: .to_event is forgotten, or a plate",
                    part,
                    name,
                    "give a row's cells to one draw with .to_event(1), or open a plate for them",
                )
        for dim, frame in frames.items():
            if frame.name == ROWS and len(batch) + dim != 0:
                c.refuse(
                    f"{name!r} has its rows in dimension {len(batch) + dim} of {tuple(batch)}: rows come "
                    f"first",
                    part,
                    name,
                    "use .to_event(1) instead of a plate inside the plate of the rows",
                )


def _plate_sizes(c: _Case, part: str, nodes: Mapping[str, Any], n: int, cause: Exception | None) -> None:
    plate = nodes.get(ROWS)
    if plate is None or type(plate.get("fn")).__name__ != "_Subsample":
        return
    size, taken = plate["fn"].size, plate["fn"].subsample_size
    if size != n:
        c.refuse(
            f'the plate "data" of {part}() has a size of its own, {size}, and there are {n} rows',
            part,
            None,
            f'write pyro.plate("data", {_rows_word(c)})',
            cause,
        )
    if taken not in (None, size):
        c.refuse(
            f'the plate "data" of {part}() draws a subsample of {taken} rows',
            part,
            None,
            "leave out subsample_size; fit takes minibatches itself (batch_size=)",
            cause,
        )


def _rows_word(c: _Case) -> str:
    return f"len({min(c.joint.given)})" if c.joint.given else "n"


def _parameters(c: _Case, part: str, mend: str) -> list[str]:
    names = []
    for parameter in inspect.signature(getattr(c.p, part)).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            c.refuse(
                f"the signature of {part}() hides its arguments in {str(parameter)!r}",
                part if part in _LINE else "model",
                None,
                f"name them, as in {mend}",
            )
        names.append(parameter.name)
    return names


def _near(name: str, names: Any) -> str:
    close = [k for k in names if k.lower() == name.lower()]
    close = close or difflib.get_close_matches(name, list(names), 1, 0.5)
    return f" (misspelt? it has {close[0]!r})" if close else ""


def _state(p: nn.Module) -> dict[str, Tensor]:
    return {name: v.detach().clone() for name, v in p.state_dict().items() if isinstance(v, Tensor)}


def _flags() -> dict[str, Any]:
    return {
        "the default dtype": torch.get_default_dtype(),
        "the validation of arguments": Distribution._validate_args,
        "gradient recording": torch.is_grad_enabled(),
        "the state of NumPy's random numbers": hash(str(np.random.get_state())),
        "the state of Python's random numbers": hash(random.getstate()),
    }


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)


def _close(a: Tensor, b: Tensor, dtype: torch.dtype | None = None) -> bool:
    """Equal up to half of the digits: sums in another order differ in the last ones."""
    tolerance = math.sqrt(torch.finfo(dtype or a.dtype).eps)
    return torch.allclose(a, b.to(a.dtype), rtol=tolerance, atol=tolerance * (1 + a.abs().max().item()))


def _score(site: dict[str, Any]) -> Tensor:
    fn = site["fn"].base_dist if site["infer"].get("_deterministic") else site["fn"]
    score: Tensor = fn.log_prob(site["value"])
    return score


def _base(fn: Any) -> Any:
    while hasattr(fn, "base_dist") and not isinstance(fn, torch.distributions.TransformedDistribution):
        fn = fn.base_dist
    return fn


def _delta(fn: Any) -> bool:
    return isinstance(_base(fn), Delta)


def _fixed(site: dict[str, Any]) -> bool:
    """Whether the variable is a function of its parents: there is no density to check."""
    return _delta(site["fn"]) or bool(site["infer"].get("_deterministic"))


def _countable(fn: Any) -> bool:
    return bool(fn.has_enumerate_support) and not fn.event_shape


def _say(support: Any) -> str:
    return str(support).replace("Independent(", "").split(",")[0].strip("()")


def _outside(fn: Any, value: Tensor) -> str:
    cells = torch.as_tensor(_base(fn).support.check(value))
    return f"{(value if cells.shape != value.shape else value[~cells]).flatten()[0].item():g}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _size(value: Any) -> str:
    return f"tensor{tuple(value.shape)}" if isinstance(value, Tensor) else str(value)

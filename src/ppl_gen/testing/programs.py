"""Rules about what is written: the lines, the signatures, the variables and the plates."""

import difflib
import inspect
import re
from typing import Any

import torch
from pyro.distributions import MaskedDistribution

from ppl_gen.arrays import as_tensor
from ppl_gen.checks import whole
from ppl_gen.core import ROWS, ProbabilisticModel, dtype_of, is_local
from ppl_gen.errors import DataError, UnknownVariable
from ppl_gen.inference.elbo import delta
from ppl_gen.normalisation.improper import is_improper
from ppl_gen.notation import Factorization
from ppl_gen.testing.case import LINE, SYMBOL, Case, Nodes
from ppl_gen.testing.words import draws_input, rows_word


def lines(c: Case) -> None:
    """The joint line stands there; so does the guide's line if there is a guide; both speak of one joint."""
    if not c.joint:
        c.refuse("there is no joint line", 'declare it in the class: joint = "p(z) p(x | z)"', at="model")
    if type(c.p).model is ProbabilisticModel.model:
        c.refuse("there is no model() that writes the joint", "define model()", at="joint")
    if c.guided and not c.q:
        c.refuse("guide() has no approximation line", 'declare it: approximation = "q(z | x)"', "guide")
    if c.q and not c.guided:
        c.refuse(
            "the approximation line has no guide()",
            "define guide(), or drop the line",
            "guide",
            at="approximation",
        )
    unknown = (c.q.keys() | c.q.given) - c.joint.keys() - c.joint.given
    for name in sorted(unknown):
        c.refuse(
            f"the approximation speaks of {name!r}, which the joint {c.joint.line} does not have"
            f"{_near(name, c.joint)}",
            "name the latents as the joint does",
            "guide",
            name if name in c.q else None,
            at="approximation",
        )
    for name in sorted(c.q.keys() & c.joint.given):
        c.refuse(
            f"the guide draws {name!r}, which the joint is given", "draw latent variables only", "guide", name
        )
    signature = {p.name for p in inspect.signature(c.p.model).parameters.values()}
    for name in sorted(c.joint.given - signature):
        if near := _near(name, c.joint):
            child = next(child for child, parents in c.joint.items() if name in parents)
            c.refuse(
                f"{name!r} stands right of a bar only, so it would be given from outside, and model() takes "
                f"no {name}{near}",
                f"write one name for one variable; or take it: model(self, {name})",
                "model",
                child,
                at="joint",
            )


def signatures(c: Case) -> None:
    """The signature is the right-hand side of the bar."""
    expected = sorted(c.joint.given) or ["n"]
    for part in ("model", "guide")[: 1 + c.guided]:
        first = next(iter(inspect.signature(getattr(c.cls, part)).parameters), "")
        if first in {*c.joint, *c.joint.given, "n"}:
            c.refuse(
                f"{part}() lacks self: its first argument is {first}",
                f"write def {part}(self, {first}, …)",
                part,
            )
    names = parameter_names(c, "model", f"model(self, {', '.join(expected)})")
    for name in [name for name in names if name in c.joint]:
        c.refuse(
            f"data enter model(): its argument {name!r} is a variable that the joint generates",
            f"draw {name!r} always; fit attaches data from outside: model(self, {', '.join(expected)})",
            variable=name,
        )
    if set(names) - {"n"} != set(expected) - {"n"} or (expected == ["n"] and names != ["n"]):
        c.refuse(
            f"the signature model(self, {', '.join(names)}) is not what the joint is given",
            f"write model(self, {', '.join(expected)}): the right-hand sides of the bars",
        )
    if not c.guided:
        return
    expected = sorted(c.q.given)
    names = parameter_names(c, "guide", f"guide(self, {', '.join(['n', *expected])})")
    for name in [name for name in names if name in c.q]:
        c.refuse(
            f"data enter guide(): its argument {name!r} is a latent that the guide draws",
            f"leave out the argument {name!r}",
            "guide",
            name,
        )
    if set(names) - {"n"} != set(expected):
        c.refuse(
            f"the signature guide(self, {', '.join(names)}) is not what the approximation is given "
            f"({', '.join(expected) or 'nothing'})",
            "make the arguments (beside n) and the right-hand sides of the bars the same",
            "guide",
        )


def given(c: Case) -> None:
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


def variables(c: Case) -> None:
    """The program draws the variables of the joint: all of them, no others, and observes none."""
    c.sites = c.run("model", clamped=c.data)
    check_names(c, "model", c.sites, c.joint)
    for seed in (1, 2, 3):
        for name, site in c.run("model", clamped=c.data, seed=seed).items():
            if name in c.sites and site["value"].shape != (shape := c.sites[name]["value"].shape):
                c.refuse(
                    f"the shape of {name!r} is random: {tuple(shape)} in one run, "
                    f"{tuple(site['value'].shape)} in another",
                    "fix all sizes in the constructor; a number that is not known is a mixture over a size "
                    "that is",
                    "model",
                    name,
                )
    alone = c.run("model") if c.data else c.sites  # what is attached would hide what is observed
    for name, site in alone.items():
        if name in c.potentials:
            continue
        if type(site["fn"]).__name__ == "Unit":
            c.refuse(
                f"model() multiplies in the term {name!r} (pyro.factor), so the joint is known only up to a "
                f"constant, and no line says so",
                f'declare it, potentials = "{name}(…)" with the variables that it looks at; or write what it '
                f"stands for as a normalised factor",
                "model",
                name,
            )
        if site["is_observed"] and not delta(site):
            c.refuse(
                f"data are inside model(): {name!r} is observed there (obs=…)",
                "leave out obs=; data are attached from outside, by fit",
                "model",
                name,
            )
    for name in c.potentials:
        if name not in c.sites or type(c.sites[name]["fn"]).__name__ != "Unit":
            c.refuse(
                f"model() never multiplies in the potential {name!r}",
                f'write pyro.factor("{name}", …), or leave it out of the potentials',
                "model",
                name,
            )
    for name in c.joint:
        near = any(name in looks_at for looks_at in c.potentials.values())
        if is_improper(c.sites[name]["fn"]) and not near:
            c.refuse(
                f"{name!r} is improper: ImproperUniform has no constant and no sampler",
                "give it a prior that is a density, such as a wide Normal; or declare the potential that "
                f'makes it one, as in potentials = "energy({name})"',
                "model",
                name,
            )
    c.drawn = {name: c.sites[name]["value"].detach() for name in c.joint}


def plates(c: Case) -> None:
    """The rows lie in the plate "data", the first dimension; every other batch dimension has its plate."""
    if not any(is_local(site) for site in c.sites.values()):
        found = sorted({f.name for s in c.sites.values() for f in s["cond_indep_stack"]})
        c.refuse(
            f'no variable lies in a plate "data" of the rows (plates found: {", ".join(found) or "none"})',
            f'draw what each row has inside `with pyro.plate("data", {rows_word(c)}):`',
        )
    check_shapes(c, "model", c.sites)
    fewer = c.run("model", c.rows(torch.arange(c.values["n"] - 1), c.values))
    for name in c.joint:
        before, after = c.sites[name]["value"].shape, fewer[name]["value"].shape
        if not is_local(c.sites[name]) and before != after:
            c.refuse(
                f"{name!r} has one value for each row (its shape follows n) but lies outside the plate "
                f'"data"',
                f'draw {name!r} inside `with pyro.plate("data", {rows_word(c)}):`',
                "model",
                name,
            )
    check_weights(c, "model", c.sites)


def check_names(c: Case, part: str, nodes: Nodes, line: Factorization) -> None:
    """A program draws the variables of its line, all of them and no others."""
    drawn = {name for name, site in nodes.items() if not _bookkeeping(site, name, line)}
    extra, missing = sorted(drawn - line.keys()), [name for name in line if name not in nodes]
    for name in extra:
        if name in line.given:
            draws_input(c, part, name)
    for name in missing:
        if sum(bool(re.fullmatch(rf"{name}_?\d+", other)) for other in extra) > 1:
            c.places[part, name] = c.places[part, extra[0]]
            c.refuse(
                f"{part}() draws {name!r} one by one in a loop, under names such as {extra[0]!r}",
                f'draw all rows at once: `with pyro.plate("data", {rows_word(c)}):` in the place of the loop',
                part,
                name,
            )
        near = _near(name, extra)
        if not near and len(missing) == len(extra) == 1:
            near = f" (it draws {extra[0]!r} instead)"
        c.refuse(
            f"{part}() never draws {name!r}{near}",
            f'draw it with pyro.sample("{name}", …), or leave it out of the line',
            part,
            name,
        )
    for name in extra:
        c.refuse(
            f"{part}() draws {name!r}, which the {LINE[part]} line does not have{_near(name, line)}",
            f"write {SYMBOL[part]}({name} | …) in the line, or do not draw it",
            part,
            name,
        )


def _bookkeeping(site: dict[str, Any], name: str, line: Factorization) -> bool:
    """Sites that need no factor: pyro.deterministic and a guide's auxiliary draws."""
    return name not in line and (
        type(site["fn"]).__name__ == "Unit" or delta(site) or bool(site["infer"].get("is_auxiliary"))
    )


def check_shapes(c: Case, part: str, nodes: Nodes) -> None:
    """Every batch dimension of a draw has its plate, and that of the rows comes first."""
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
                    "give a row's cells to one draw with .to_event(1), or open a plate for them",
                    part,
                    name,
                )
        for dim, frame in frames.items():
            if frame.name == ROWS and len(batch) + dim != 0:
                c.refuse(
                    f"{name!r} has its rows in dimension {len(batch) + dim} of {tuple(batch)}: rows come "
                    f"first",
                    "use .to_event(1) instead of a plate inside the plate of the rows",
                    part,
                    name,
                )


def check_weights(c: Case, part: str, nodes: Nodes) -> None:
    """Every density counts once: one that weighs less makes the ELBO no bound."""
    for name, site in nodes.items():
        fn, masked = site["fn"], site["mask"] is not None
        while hasattr(fn, "base_dist"):
            masked |= isinstance(fn, MaskedDistribution)
            fn = fn.base_dist
        if bool(torch.as_tensor(site["scale"] != 1.0).any()) or (masked and not delta(site)):
            c.refuse(
                f"{part}() weighs or masks {name!r} (poutine.scale, poutine.mask or .mask): the ELBO is then "
                f"no bound of the evidence",
                "leave it out: fit scales the rows of a minibatch itself",
                part,
                name,
            )


def parameter_names(c: Case, part: str, mend: str) -> list[str]:
    """The arguments of a program, each of which has a name; ``mend`` is an example of the signature."""
    names = []
    for parameter in inspect.signature(getattr(c.p, part)).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            c.refuse(
                f"the signature of {part}() hides its arguments in {str(parameter)!r}",
                f"name them, as in {mend}, and leave out decorators that hide them (config_enumerate: fit "
                f"sums discrete latents out by itself)",
                part if part in LINE else "model",
            )
        names.append(parameter.name)
    return names


def _near(name: str, names: Any) -> str:
    close = [k for k in names if k.lower() == name.lower()]
    close = close or difflib.get_close_matches(name, list(names), 1, 0.5)
    return f" (misspelt? it has {close[0]!r})" if close else ""

"""Rules about what depends on what: variables on their parents alone, no row on another."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ppl_gen.core import ProbabilisticModel, is_local
from ppl_gen.inference.elbo import delta
from ppl_gen.notation import Factorization
from ppl_gen.testing.case import Case, Nodes, identical, nearly_equal


def no_hidden_noise(c: Case) -> None:
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
                "leave out manual_seed and set_rng_seed; the verbs take seed=",
                part,
            )
        clamped = c.drawn if part == "model" else {k: n["value"] for k, n in c.run(part, values).items()}
        one, other = (c.scores(part, clamped, values, seed) for seed in (1, 2))
        for name in one:
            if not identical(one[name], other[name]):
                c.refuse(
                    f"{part}() is random beside its variables, or remembers earlier runs: with every "
                    f"variable fixed, the density of {name!r} still changes from run to run",
                    "draw all randomness with pyro.sample, under a name of the joint, and keep no count of "
                    "runs outside",
                    part,
                    name,
                )
    functions(c)


def functions(c: Case) -> None:
    """A deterministic variable of the joint is a function of its parents: fixed, they give it one value."""
    names = [name for name in c.joint if delta(c.sites[name])]
    if not names:
        return
    fixed = {name: value for name, value in c.drawn.items() if name not in names}
    noisy = copy.deepcopy(c.p).train()  # with dropout: of a function its noise would be part
    dropout = [name for name, m in noisy.named_modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    for p in (c.p, noisy):
        one, other = (c.run("model", clamped=fixed, seed=seed, p=p) for seed in (1, 2))
        for name in names:
            if not identical(one[name]["value"], other[name]["value"]):
                by = f" ({dropout[0]} drops units at random)" if p is noisy else ""
                c.refuse(
                    f"model() is random beside its variables: {name!r} is a function (pyro.deterministic), "
                    f"and with every variable above it fixed its value still changes from run to run{by}",
                    "leave the noise out, or draw it with pyro.sample under a name of the joint, a parent of "
                    f"{name!r}",
                    "model",
                    name,
                )


def parents(c: Case) -> None:
    """Each variable depends on its declared parents and on nothing else."""
    p = with_rows(c)
    first = c.sites if p is c.p else c.run("model", p=p)
    compare(
        c,
        "model",
        _with_potentials(c),
        c.values,
        [first, *(c.run("model", seed=s, p=p) for s in (1, 2, 3))],
        p,
    )


def _with_potentials(c: Case) -> Factorization:
    """The joint and the terms that it multiplies in: each with what it looks at."""
    line = Factorization(c.joint.line)
    line.update(c.potentials)
    return line


def with_rows(c: Case) -> ProbabilisticModel:
    """The model, after a fit to its own draw if it keeps rows: without any, all classes may be alike."""
    p: Any = c.p
    if not hasattr(p, "cross_validated"):
        return c.p
    with torch.no_grad():
        kept: ProbabilisticModel = p.cross_validated(
            **{k: v for k, v in c.drawn.items() if is_local(c.sites[k])}
        )
    return kept


def moved(p: ProbabilisticModel) -> ProbabilisticModel:
    """A copy with all parameters moved a little: weights that start at zero hide nothing then."""
    other = copy.deepcopy(p)
    with torch.no_grad():
        for w in other.parameters():
            w.add_(0.1 * torch.randn(w.shape, generator=torch.Generator().manual_seed(0)).to(w))
    return other


def compare(
    c: Case,
    part: str,
    line: Factorization,
    values: dict[str, Any],
    draws: list[Nodes],
    own: ProbabilisticModel | None = None,
) -> None:
    """Move one variable at a time: a density that moves with it depends on it.

    Done for the model as it is, and with all parameters `moved`.
    """
    own = own or c.p
    first, *others = [{name: node["value"].detach() for name, node in draw.items()} for draw in draws]
    first = {name: first[name] for name in line.keys() - c.potentials}
    real: dict[str, set[str]] = {name: set() for name in line}
    for p in (own, moved(own)):
        base = c.scores(part, first, values, p=p)
        for number, other in enumerate(others, 1):
            for name in [*(line.keys() - c.potentials), *sorted(line.given)]:
                if name in line:
                    after = c.scores(part, first | {name: other[name]}, values, p=p)
                else:
                    after = c.scores(part, first, values | {name: values[name].roll(number, 0)}, p=p)
                for child in line.keys() - {name}:
                    if not identical(base[child], after[child]):
                        real[child].add(name)
    for child, parents in line.items():
        does, bar, computed, declared, its = (
            ("multiplies in", "in its parentheses", "computed", "named in its parentheses", "which it names")
            if child in c.potentials
            else ("draws", "right of the bar", "drawn", "a declared parent", "its declared parent")
        )
        for parent in sorted(real[child] - parents):
            c.refuse(
                f"{part}() {does} {child!r} depending on {parent!r}, which is not {declared}",
                f"write {parent!r} {bar}, or compute {child!r} without it",
                part,
                child,
            )
        for parent in sorted(parents - real[child]):
            c.refuse(
                f"{part}() {does} {child!r} without looking at {parent!r}, {its}",
                f"use {parent!r} where {child!r} is {computed}, or do not write it {bar}",
                part,
                child,
            )


def rows_apart(c: Case) -> None:
    """Given the shared variables, rows are independent: a subset of rows has the subset's log densities."""
    compare_rows(c, "model", _with_potentials(c), c.values, c.drawn, c.sites)


def compare_rows(
    c: Case, part: str, line: Factorization, values: dict[str, Any], clamped: dict[str, Tensor], sites: Nodes
) -> None:
    """Leave every other row out: the densities of the rest are as before."""
    whole = c.scores(part, clamped, values, soft=True)
    for index in (torch.arange(1, c.values["n"], 2), torch.tensor([2])):
        some = c.scores(part, c.rows(index, clamped), c.rows(index, values), soft=True)
        _compare_rows(c, part, line, index, whole, some, sites)


def _compare_rows(
    c: Case,
    part: str,
    line: Factorization,
    index: Tensor,
    whole: dict[str, Tensor],
    some: dict[str, Tensor],
    sites: Nodes,
) -> None:
    for name in line:
        local = is_local(sites[name])
        if not local and part == "guide" and line[name]:
            continue  # an amortised q of a shared variable looks at all rows on purpose
        expected = whole[name].index_select(-1, index) if local else whole[name]
        if expected.shape != some[name].shape or not nearly_equal(expected, some[name]):
            what = "the density of a row" if local else f"the density of {name!r}, which all rows share,"
            c.refuse(
                f"in {part}() rows depend on one another or on their number: {what} changes when other rows "
                f"are left out",
                "compute a row from itself and the shared variables alone (no batch norm, x.mean(0) or n)",
                part,
                name,
            )

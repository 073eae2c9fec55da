"""Rules about closed forms: updates, marginals, merged shards and points of maximum likelihood."""

import inspect
from typing import Any

import torch
from torch import Tensor

from ppl_gen.core import ProbabilisticModel, dtype_of, is_local
from ppl_gen.errors import DataError
from ppl_gen.testing.case import Case, identical, tensors_of
from ppl_gen.testing.dependencies import compare, with_rows
from ppl_gen.testing.programs import check_names, check_shapes, parameter_names
from ppl_gen.testing.words import first_line


@torch.no_grad()
def conjugate(c: Case) -> None:
    """``updated`` is Bayes' rule, ``log_normalizer`` its evidence, and the prior stays as it was.

    The candidate's formula (Besag 1989): log p(data, θ) - log p(θ | data) is the log evidence at every θ.
    """
    p: Any = c.p
    if not hasattr(p, "updated"):
        return
    if not hasattr(p, "log_normalizer"):
        c.refuse("updated() has no log_normalizer() beside it", "define log_normalizer(self)", at="updated")
    names = parameter_names(c, "updated", "updated(self, x, y)")
    for name in names:
        if name not in c.joint.keys() | c.joint.given:
            c.refuse(
                f"updated() asks for {name!r}, which the joint neither generates nor is given",
                "name the arguments after variables of the joint",
                at="updated",
            )
    data, n = {name: (c.values | c.drawn)[name] for name in names}, c.values["n"]
    before = tensors_of(p)
    after = _updated(c, p, data)
    changed = after is p or any(not identical(v, before[name]) for name, v in tensors_of(p).items())
    if changed:
        c.refuse(
            "updated() changes the model in place",
            "work on a copy: after = copy.deepcopy(self), and return it",
            at="updated",
        )
    if type(after) is not type(p) or after.joint != p.joint:
        c.refuse(
            f"updated() returns a {type(after).__name__}, not the same model with other hyperparameters",
            "after = copy.deepcopy(self), set its hyperparameters, return it",
            at="updated",
        )
    globals_ = [name for name in c.joint if not is_local(c.sites[name])]
    evidence = float(after.log_normalizer() - p.log_normalizer())
    size = abs(evidence)

    def candidate(theta: dict[str, Tensor]) -> float:
        nonlocal size
        prior, posterior = (c.scores("model", c.drawn | theta, p=q) for q in (p, after))
        tells = c.joint.ancestors(data)  # what the data tell of: a bin that they lie in
        used = [name for name in c.joint if name in tells or name in globals_]
        log_joint = sum(prior[k].sum() for k in used)
        size = max(size, float(sum(prior[k].abs().sum() for k in used)))
        return float(log_joint - sum(posterior[k].sum() for k in globals_))

    runs = [c.run("model", seed=seed, p=after) for seed in range(5)]
    thetas = [{k: v["value"] for k, v in run.items() if k in globals_} for run in runs]
    candidates = [candidate(theta) for theta in thetas]
    tolerance = _tolerance(p, size)
    if not max(candidates) - min(candidates) <= tolerance:
        moved = {k: candidate(thetas[0] | {k: thetas[1][k]}) for k in globals_}
        wrong = [k for k in globals_ if not abs(moved[k] - candidates[0]) <= tolerance]
        c.refuse(
            f"updated() is not Bayes' rule: log p(data, θ) - log p(θ | data) must be one number for every θ, "
            f"and it is {candidates[0]:.8g} and {candidates[1]:.8g}",
            f"derive the posterior's hyperparameters again, first those of {(wrong or globals_)[0]}",
            variable=(wrong or globals_)[0],
            at="updated",
        )
    if not abs(candidates[0] - evidence) <= tolerance:
        c.refuse(
            f"log_normalizer() is wrong: after minus before updated() it gives {evidence:.8g} nats, the log "
            f"evidence is {candidates[0]:.8g}",
            "derive the normalising constant of the prior again",
            at="log_normalizer",
        )
    halves = p
    for index in torch.arange(n).split(n // 2 + 1):
        halves = _updated(c, halves, c.rows(index, data))
    if not abs(float(halves.log_normalizer() - after.log_normalizer())) <= tolerance:
        c.refuse(
            "updated() in two parts differs from all rows at once",
            "the posterior of the first rows is the prior of the next",
            at="updated",
        )


def _updated(c: Case, p: Any, data: dict[str, Tensor]) -> Any:
    try:
        with torch.no_grad():
            return p.updated(**data)
    except Exception as error:
        c.refuse(
            f"updated({', '.join(data)}) fails: {first_line(error)}",
            "return a copy of the model with the posterior's hyperparameters",
            cause=error,
            at="updated",
        )


@torch.no_grad()
def predictive(c: Case) -> None:
    """``predictive`` is one row with the parameters integrated out, as its line ``marginal`` says."""
    p: Any = c.p
    if not hasattr(p, "predictive") and not p.marginal:
        return
    if not (hasattr(p, "predictive") and p.marginal):
        has, lacks = ("a marginal line", "predictive()") if p.marginal else ("predictive()", "marginal line")
        c.refuse(f"there is {has} but no {lacks}", "declare both or neither", "predictive")
    line = c.read("predictive")
    nodes = c.run("predictive")
    check_names(c, "predictive", nodes, line)
    check_shapes(c, "predictive", nodes)
    if not hasattr(p, "updated"):
        own = with_rows(c)
        compare(c, "predictive", line, c.values, [c.run("predictive", seed=s, p=own) for s in range(4)], own)
        return
    names, n = parameter_names(c, "updated", "updated(self, x, y)"), c.values["n"]
    row_data = {name: (c.values | c.drawn)[name] for name in names}
    learned = _updated(c, p, row_data)  # under a prior that treats all classes alike, x may not depend on y
    draws = [c.run("predictive", seed=s, p=learned) for s in range(4)]
    compare(c, "predictive", line, c.values, draws, learned)
    scores = c.scores("predictive", {name: c.drawn[name] for name in line})
    rows = torch.stack([scores[name].expand(n) for name in line]).sum(0)
    for i in range(n):
        after = _updated(c, p, c.rows(torch.tensor([i]), row_data))
        evidence, found = float(after.log_normalizer() - p.log_normalizer()), float(rows[i])
        if not abs(found - evidence) <= _tolerance(p, evidence):
            c.refuse(
                f"predictive() is wrong: it gives row {i} {found:.8g} nats, and the log evidence of updating "
                f"on that row alone is {evidence:.8g}",
                "integrate the parameters out: a Normal-Gamma gives a Student t, a Dirichlet its mean",
                "predictive",
            )


@torch.no_grad()
def merged(c: Case) -> None:
    """What two learned from one prior, each from rows of its own, merges into what one learns from all."""
    p: Any = c.p
    if not (hasattr(p, "updated") and hasattr(p, "merged")):
        return
    data, n = _data(c), c.values["n"]
    parts = [_updated(c, p, c.rows(index, data)) for index in torch.arange(n).split(n // 2 + 1)]
    whole = tensors_of(_updated(c, p, data))
    for one, other in (parts, parts[::-1]):
        try:
            found = tensors_of(one.merged(other, p))
        except Exception as error:
            c.refuse(
                f"merged(other, prior) fails: {first_line(error)}",
                "return the model that has learned what both have, and the prior once",
                cause=error,
                at="merged",
            )
        for name, value in whole.items():
            if not torch.allclose(found[name], value, rtol=_tolerance(p, 0), atol=_tolerance(p, 0)):
                c.refuse(
                    f"merged() is wrong: two halves of the rows merge to another {name!r} than all rows give",
                    "add what both have learned; what the prior says stands in both, and counts once",
                    at="merged",
                )


@torch.no_grad()
def point(c: Case) -> None:
    """``point`` maximises the likelihood of the rows that a ``flat`` model was updated on, and of no others.

    Without smoothing, no step from it towards a draw of the posterior may raise the likelihood. Supports are
    convex, so that such a step stays inside.
    """
    p: Any = c.p
    if not hasattr(p, "point"):
        return
    if not hasattr(p, "flat"):
        c.refuse(
            "point() has no flat() beside it",
            "define flat(self): the limit of a prior worth no rows",
            at="point",
        )
    smoothing = inspect.signature(p.point).parameters.get("smoothing")
    if smoothing is None or smoothing.default is smoothing.empty:
        c.refuse("point() takes no smoothing with a default", "write point(self, smoothing=…)", at="point")
    many = c.values | ({} if c.joint.given else {"n": 64 * c.values["n"]})
    drawn = {name: site["value"] for name, site in c.run("model", many).items()} | c.data
    data = {name: (many | drawn)[name] for name in _data(c)}
    after = _updated(c, p, data)
    found, again = (_point(c, _updated(c, q.flat(), data)) for q in (p, after))
    if not all(bool(torch.isfinite(v).all()) for v in found.values()):
        return  # of a class without rows every parameter is as likely as any other
    globals_ = {name: v for name, v in drawn.items() if not is_local(c.sites[name])}
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    if shapes != {name: tuple(value.shape) for name, value in globals_.items()}:
        expected = ", ".join(f"{name} {tuple(value.shape)}" for name, value in globals_.items())
        c.refuse(
            f"point() gives {', '.join(f'{name} {shape}' for name, shape in shapes.items())}; the parameters "
            f"of the joint are {expected}",
            "return a value for every parameter, by name",
            at="point",
        )
    for name, value in found.items():
        if not torch.allclose(value, again[name], rtol=_tolerance(p, 0), atol=_tolerance(p, 0)):
            c.refuse(
                f"flat() is not flat: {name!r} of largest likelihood depends on what was learned before",
                "set what counts rows to zero: no prior counts, no prior rate",
                "model",
                name,
                at="flat",
            )

    def likelihood(theta: dict[str, Tensor]) -> float:
        scores = c.scores("model", drawn | theta, many, p=p)
        return float(sum(scores[name].sum() for name in data if name in scores))

    best = likelihood(found)
    for seed in range(16):
        theta = {k: v["value"] for k, v in c.run("model", many, seed=seed, p=after).items() if k in globals_}
        for step in (1.0, 0.1, 0.01, 0.001):
            gain = likelihood({k: v.lerp(theta[k], step) for k, v in found.items()}) - best
            if not gain <= _tolerance(p, best):
                c.refuse(
                    f"point() is not the maximum of the likelihood: elsewhere it is {gain:.3g} nats higher",
                    "derive the point again: frequencies, means, variances that divide by n",
                    at="point",
                )


def _data(c: Case) -> dict[str, Tensor]:
    names = parameter_names(c, "updated", "updated(self, x, y)")
    return {name: (c.values | c.drawn)[name] for name in names}


def _point(c: Case, counted: Any) -> dict[str, Tensor]:
    try:
        found: dict[str, Tensor] = counted.point(smoothing=0.0)
    except DataError:  # these rows determine no point
        return {"none": torch.tensor(torch.nan)}
    except Exception as error:
        c.refuse(
            f"point(smoothing=0.0) fails: {first_line(error)}",
            "return parameters by name",
            cause=error,
            at="point",
        )
    return found


@torch.no_grad()
def inverse(c: Case) -> None:
    """``inverted`` is the joint itself, its factors the other way round: both give every draw one density."""
    p: Any = c.p
    if not hasattr(p, "inverted") and not p.inverse:
        return
    if not (hasattr(p, "inverted") and p.inverse):
        has, lacks = ("an inverse line", "inverted()") if p.inverse else ("inverted()", "inverse line")
        c.refuse(f"there is {has} but no {lacks}", "declare both or neither", "inverted")
    line = c.read("inverted")
    nodes = c.run("inverted")
    check_names(c, "inverted", nodes, line)
    check_shapes(c, "inverted", nodes)
    if line.keys() != c.joint.keys():
        c.refuse("the inverse has other variables than the joint", "name them all in both lines", "inverted")
    compare(c, "inverted", line, c.values, [c.run("inverted", seed=s) for s in range(4)])
    totals = []
    for part in ("model", "inverted"):
        scores = c.scores(part, c.drawn)
        totals.append(sum(float(scores[name].sum()) for name in line))
    if not abs(totals[1] - totals[0]) <= _tolerance(p, totals[0]):
        c.refuse(
            f"inverted() is another joint: a draw of model() has log density {totals[0]:.8g} nats there and "
            f"{totals[1]:.8g} in inverted()",
            "derive p(x) and p(z | x) again: by Bayes' rule their product is the joint",
            "inverted",
        )


def _tolerance(p: ProbabilisticModel, size: float) -> float:
    """How far two ways to a number of this size may lie apart."""
    return (1e-8 if dtype_of(p) == torch.float64 else 1e-4) * max(1.0, abs(size))

"""Rules about closed forms: an update is Bayes' rule, and a marginal has the parameters integrated out."""

from typing import Any

import torch
from torch import Tensor

from ppl_gen.core import ProbabilisticModel, dtype_of, is_local
from ppl_gen.testing.case import Case, first_line, identical, tensors_of
from ppl_gen.testing.dependencies import compare
from ppl_gen.testing.programs import check_names, check_shapes, parameter_names


@torch.no_grad()
def conjugate(c: Case) -> None:
    """``updated`` is Bayes' rule, ``log_normalizer`` its evidence, and the prior stays as it was.

    The candidate's formula (Besag 1989): log p(data, θ) - log p(θ | data) is the log evidence at every θ.
    """
    p: Any = c.p
    if not hasattr(p, "updated"):
        return
    if not hasattr(p, "log_normalizer"):
        c.refuse("updated() has no log_normalizer() beside it", "define log_normalizer(self)")
    names = parameter_names(c, "updated", "updated(self, x, y)")
    for name in names:
        if name not in c.joint.keys() | c.joint.given:
            c.refuse(
                f"updated() asks for {name!r}, which the joint neither generates nor is given",
                "name the arguments after variables of the joint",
            )
    data, n = {name: (c.values | c.drawn)[name] for name in names}, c.values["n"]
    before = tensors_of(p)
    after = _updated(c, p, data)
    changed = after is p or any(not identical(v, before[name]) for name, v in tensors_of(p).items())
    if changed:
        c.refuse(
            "updated() changes the model in place",
            "work on a copy: after = copy.deepcopy(self), and return it",
        )
    if type(after) is not type(p) or after.joint != p.joint:
        c.refuse(
            f"updated() returns a {type(after).__name__}, not the same model with other hyperparameters",
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
    tolerance = _tolerance(p, size)
    if not max(candidates) - min(candidates) <= tolerance:
        c.refuse(
            f"updated() is not Bayes' rule: log p(data, θ) - log p(θ | data) must be one number for every θ, "
            f"and it is {candidates[0]:.8g} and {candidates[1]:.8g}",
            "derive the posterior's hyperparameters again: pseudo-counts, means, rates",
        )
    if not abs(candidates[0] - evidence) <= tolerance:
        c.refuse(
            f"log_normalizer() is wrong: after minus before updated() it gives {evidence:.8g} nats, the log "
            f"evidence is {candidates[0]:.8g}",
            "derive the normalising constant of the prior again",
        )
    halves = p
    for index in torch.arange(n).split(n // 2 + 1):
        halves = _updated(c, halves, c.rows(index, data))
    if not abs(float(halves.log_normalizer() - after.log_normalizer())) <= tolerance:
        c.refuse(
            "updated() in two parts differs from all rows at once",
            "the posterior of the first rows is the prior of the next",
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
        compare(c, "predictive", line, c.values, [c.run("predictive", seed=s) for s in range(4)])
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

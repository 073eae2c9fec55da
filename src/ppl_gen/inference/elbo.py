"""The evidence lower bound, E_q[log p(x, z) - log q(z)], as one reads it.

Equals Pyro's Trace_ELBO and TraceEnum_ELBO at a fixed seed. Discrete latents that the guide leaves out
are summed out; those that it samples with ``infer={"enumerate": "parallel"}`` are averaged over exactly,
by their probability under the guide. Where a row's class was seen, it is that class.
Reference: Blei, Kucukelbir and McAuliffe 2017, Variational inference.
"""

from contextlib import nullcontext
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ppl_gen.core import ROWS, ProbabilisticModel, Program, Values, arguments, is_local, run, score, variables
from ppl_gen.errors import Unexplained
from ppl_gen.inference.enumerated import parents_of, refuse_lost, refuse_stopped
from ppl_gen.inference.observed import Observed, enumerates, pin

Node = dict[str, Any]


class Terms(NamedTuple):
    """The factors of one draw: ``p`` and ``q`` hold the traced sites of the model and of the guide."""

    p: dict[str, Node]
    q: dict[str, Node]
    plates: int  # the number of batch dimensions that belong to plates; enumeration lies left of them


def terms(
    model: Program,
    guide: Program | None,
    values: Values,
    observed: Values,
    plates: int | None = None,
    prior: Program | None = None,
    seen: Values | None = None,
) -> Terms:
    """Draw the latents from the guide and trace both programs on them.

    ``prior``, yesterday's guide, takes the place of the model's factors of the global latents; ``seen``
    marks the cells of observed variables that are there.
    """
    guided = _guided(guide, values, observed, seen, plates)

    def replayed(**given: Any) -> Any:
        with poutine.replay(trace=guided), Observed(observed, seen):
            return model(**given)

    def enumerable(site: Node) -> dict[str, Any]:
        if site["type"] != "sample":
            return {}
        free = site["name"] not in q and not site["is_observed"]
        return {"enumerate": "parallel" if free and site["fn"].has_enumerate_support else None}

    given = arguments(model, values)
    if plates is None:  # enumeration must lie left of every plate, and only a run tells how many there are
        q = _drawn(guided, observed)
        plates = max(plate_depth(guided), plate_depth(poutine.trace(replayed).get_trace(**given)))
        if any(_wants_enumeration(site) for site in q.values()):
            guided = _guided(guide, values, observed, seen, plates)
    q = _drawn(guided, observed)
    left = 1 + plates + sum(map(enumerates, q.values()))
    owner = getattr(model, "__self__", None)
    program = poutine.trace(poutine.infer_config(replayed, enumerable))
    try:
        with poutine.enum(first_available_dim=-left):
            program.get_trace(**given)
    except Exception as error:
        names = [name for name, site in variables(program.trace).items() if enumerates(site)]
        if names and isinstance(owner, ProbabilisticModel):
            refuse_stopped(owner, names, lambda: poutine.trace(replayed).get_trace(**given), error)
        raise
    p = variables(program.trace)
    summed = {name: site["infer"]["_enumerate_dim"] for name, site in p.items() if enumerates(site)}
    if summed and isinstance(owner, ProbabilisticModel):
        dims = {name: (dim, p[name]["value"].shape[dim]) for name, dim in summed.items()}
        refuse_lost(
            owner,
            lambda fixed: variables(poutine.trace(pyro.condition(replayed, dict(fixed))).get_trace(**given)),
            p,
            parents_of(owner.joint, owner.potentials),
            dims,
        )
    for name, site in p.items():
        inner = [f.name for f in site["cond_indep_stack"] if f.vectorized and f.name != ROWS]
        if enumerates(site) and inner:
            raise Unexplained(
                f"{name!r} lies in the plate {inner[0]!r}: only variables of a row, or of no plate, are "
                f"summed out. Give the guide a factor q({name}), or pass {name}= as data."
            )
        if not (name in q or name in observed or site["is_observed"] or enumerates(site) or delta(site)):
            raise Unexplained(
                f"{name!r} is a latent variable that is neither observed, sampled by the guide, nor "
                f"finite enough to be summed out. Give the guide a factor q({name}), or pass {name}= as data."
            )
        if enumerates(site) and not is_local(site) and any(map(enumerates, q.values())):
            raise Unexplained(
                f"{name!r} is summed out for all rows together, so nothing of a row can be averaged over "
                f'apart: leave out infer={{"enumerate": "parallel"}} in the guide, or add a factor q({name})'
            )
    if prior is not None:
        with poutine.replay(trace=guided):
            yesterday = variables(run(prior, values))
        p = {name: site for name, site in p.items() if is_local(site) or name in observed}
        p |= {name: site for name, site in yesterday.items() if not is_local(site)}
    return Terms(p, q, plates)


def _guided(
    guide: Program | None, values: Values, observed: Values, seen: Values | None, plates: int | None
) -> poutine.Trace:
    """A run of the guide; with ``plates`` known, the variables that it wants enumerated are."""
    if guide is None:
        return poutine.Trace()
    with Observed(observed, seen, guide=True):
        if plates is None:
            return run(guide, values)
        with poutine.enum(first_available_dim=-1 - plates), poutine.infer_config(config_fn=_rows_only):
            return run(guide, values)


def _drawn(guided: poutine.Trace, observed: Values) -> dict[str, Node]:
    """The latent variables that the guide drew: not those whose value was seen in every row."""
    found = variables(guided)
    return {n: site for n, site in found.items() if n not in observed or "pinned" in site["infer"]}


def _wants_enumeration(site: Node) -> bool:
    return site["infer"].get("enumerate") == "parallel" and is_local(site)


def _rows_only(site: Node) -> dict[str, Any]:
    """A guide's variable that rows share cannot be averaged over row by row: it is drawn."""
    wanted = site["type"] == "sample" and _wants_enumeration(site)
    return {"enumerate": "parallel" if wanted else None} if site["type"] == "sample" else {}


def plate_depth(trace: poutine.Trace) -> int:
    """The largest number of batch dimensions that plates take in a trace."""
    stacks = (site["cond_indep_stack"] for site in trace.nodes.values() if site["type"] == "sample")
    return max((-f.dim for stack in stacks for f in stack if f.vectorized), default=0)


def delta(site: Node) -> bool:
    """Whether the site is a deterministic function of its parents."""
    return bool(site["infer"].get("_deterministic"))


def log_prob(site: Node, seen: Tensor | None = None) -> Tensor:
    """log p of a traced site, one number for each cell of its plates; over the ``seen`` cells alone.

    A class that is open in some rows has its value, drawn, enumerated or seen, in all of them.
    """
    value = score(site["fn"], site["value"], None if "pinned" in site["infer"] else seen)
    return pyro.distributions.util.scale_and_mask(value, site["scale"], site["mask"])


def elbo(
    model: Program,
    guide: Program | None,
    values: Values,
    observed: Values,
    scale: float = 1.0,
    plates: int | None = None,
    prior: Program | None = None,
    seen: Values | None = None,
) -> Tensor:
    """One draw's ELBO in nats, a scalar. ``scale`` weighs the rows: N / batch for a minibatch.

    Gradients flow through reparameterised draws; a guide with others adds the score-function term
    (Mohamed et al. 2020), whose value is zero. ``plates``, if known, saves the search for it;
    ``prior`` is as in `terms`; ``seen`` marks the cells of observed variables that are there.
    """
    return bound(terms(model, guide, values, observed, plates, prior, seen), scale, seen)


def bound(t: Terms, scale: float = 1.0, seen: Values | None = None) -> Tensor:
    """The ELBO of one draw's factors, as `elbo`."""
    p, q, plates = t
    rows, whole, rewards = row_weights(t, seen), torch.zeros(()), torch.zeros(())
    for site in p.values():
        if not is_local(site):
            whole = whole + sum_plates(log_prob(site), plates)
    for site in q.values():
        log_q = log_prob(site)
        if not is_local(site):
            whole = whole - log_q.sum()
        if not (site["fn"].has_rsample or delta(site) or enumerates(site)):
            rewards = rewards + log_q.sum()
    value = whole + scale * sum_plates(average(rows, q), plates)
    value = value.flatten().logsumexp(0) if value.numel() > 1 else value.reshape(())
    if rewards.requires_grad:
        value = value + value.detach() * (rewards - rewards.detach())
    return value


def row_weights(t: Terms, seen: Values | None = None) -> Tensor:
    """log p - log q of each row's own variables; those that the guide leaves out are summed out."""
    rows = torch.zeros(())
    local = {name: site for name, site in t.p.items() if is_local(site)}
    for name, site in local.items():
        rows = rows + sum_cells(site, (seen or {}).get(name))
    for name, site in local.items():
        if enumerates(site) and name not in t.q:
            allowed = pin(site)
            rows = rows if allowed is None else torch.where(allowed, rows, -torch.inf)
            rows = rows.logsumexp(site["infer"]["_enumerate_dim"], keepdim=True)
    for site in t.q.values():
        if is_local(site):
            rows = rows - sum_cells(site)
    return rows


def average(rows: Tensor, q: dict[str, Node]) -> Tensor:
    """The expectation of the rows' numbers over the variables that the guide enumerated."""
    dims: list[int] = []
    weights = torch.ones(())
    for site in filter(enumerates, q.values()):
        allowed, probability = pin(site), score(site["fn"], site["value"]).exp()
        if allowed is not None:  # in a row where it was seen nothing is left to chance
            _, seen = site["infer"]["pinned"]
            probability = torch.where(seen, allowed.to(probability.dtype), probability)
        weights, dims = weights * probability, [*dims, site["infer"]["_enumerate_dim"]]
    if not dims:
        return rows
    rows, weights = torch.broadcast_tensors(rows, weights)
    return (weights * rows.masked_fill(weights == 0, 0.0)).sum(dims, keepdim=True)  # 0 log 0 = 0


def log_weights(
    model: Program,
    guide: Program | None,
    values: Values,
    observed: Values,
    draws: int,
    prior: Program | None = None,
    seen: Values | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """log p(x, z) - log q(z) of draws of the guide: (draws, n) if rows have latents of their own alone.

    Otherwise (draws, 1), all rows together. The mean over the draws is the ELBO; arguments are as in `elbo`.
    With them come the latents drawn that rows share: name -> (draws, *shape). What the guide would
    enumerate it draws here: an average over its values is no importance weight.
    """
    first = terms(model, guide, values, observed, prior=prior, seen=seen)
    shared = [name for name, site in first.p.items() if not is_local(site) and name not in observed]
    apart = all(is_local(site) for site in (*first.p.values(), *first.q.values()))
    found: list[Tensor] = []
    drawn: list[dict[str, Tensor]] = []
    for _ in range(draws):
        tracer = poutine.trace()
        own = recorded(guide, tracer)
        if not apart:
            found.append(elbo(model, own, values, observed, 1.0, first.plates, prior, seen)[None])
        else:
            t = terms(model, own, values, observed, first.plates, prior, seen)
            found.append(row_weights(t, seen).reshape(-1))
        nodes = tracer.trace.nodes if guide is not None else {}
        drawn.append({name: nodes[name]["value"] for name in shared if name in nodes})
    return torch.stack(found), {name: torch.stack([d[name] for d in drawn]) for name in drawn[0]}


def recorded(guide: Program | None, tracer: Any = None) -> Program | None:
    """The guide with nothing enumerated, its draws left in ``tracer``, if there is one."""
    if guide is None:
        return None

    def program(**values: Any) -> Any:
        with tracer or nullcontext(), poutine.infer_config(config_fn=_nothing_enumerated):
            return guide(**arguments(guide, values))

    return program


def _nothing_enumerated(site: Node) -> dict[str, Any]:
    return {"enumerate": None} if site["type"] == "sample" else {}


def sum_cells(site: Node, seen: Tensor | None = None) -> Tensor:
    """log p of a local site, one number for each row: summed over the plates inside the plate of the rows."""
    value = log_prob(site, seen)
    for frame in site["cond_indep_stack"]:
        if frame.vectorized and frame.name != ROWS and -frame.dim <= value.dim():
            value = value.sum(frame.dim, keepdim=True)
    return value


def sum_plates(value: Tensor, plates: int) -> Tensor:
    """Sum over the plates' dimensions, which are the last ones; enumeration dimensions stay."""
    dims = tuple(range(-min(plates, value.dim()), 0))
    return value.sum(dims) if dims else value

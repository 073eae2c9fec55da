"""The evidence lower bound, E_q[log p(x, z) - log q(z)], as one reads it.

Equals Pyro's Trace_ELBO and TraceEnum_ELBO at a fixed seed. Discrete latents that the guide leaves out
are summed out. Reference: Blei, Kucukelbir and McAuliffe 2017, Variational inference.
"""

from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ppl_gen.core import ROWS, Program, Values, arguments, is_local, run, score, variables
from ppl_gen.errors import Unexplained

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
) -> Terms:
    """Draw the latents from the guide and trace both programs on them.

    ``prior``, yesterday's guide, takes the place of the model's factors of the global latents.
    """
    guided = run(guide, values) if guide is not None else poutine.Trace()
    q = {name: site for name, site in variables(guided).items() if name not in observed}

    def replayed(**given: Any) -> Any:
        with poutine.replay(trace=guided), pyro.condition(data=dict(observed)):
            return model(**given)

    def enumerable(site: Node) -> dict[str, Any]:
        if site["type"] != "sample":
            return {}
        free = site["name"] not in q and site["name"] not in observed and not site["is_observed"]
        return {"enumerate": "parallel" if free and site["fn"].has_enumerate_support else None}

    given = arguments(model, values)
    if plates is None:  # enumeration must lie left of every plate, and only a run tells how many there are
        plates = max(plate_depth(guided), plate_depth(poutine.trace(replayed).get_trace(**given)))
    with poutine.enum(first_available_dim=-1 - plates):
        trace = poutine.trace(poutine.infer_config(replayed, enumerable)).get_trace(**given)
    p = variables(trace)
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
    if prior is not None:
        with poutine.replay(trace=guided):
            yesterday = variables(run(prior, values))
        p = {name: site for name, site in p.items() if is_local(site) or name in observed}
        p |= {name: site for name, site in yesterday.items() if not is_local(site)}
    return Terms(p, q, plates)


def plate_depth(trace: poutine.Trace) -> int:
    """The largest number of batch dimensions that plates take in a trace."""
    stacks = (site["cond_indep_stack"] for site in trace.nodes.values() if site["type"] == "sample")
    return max((-f.dim for stack in stacks for f in stack if f.vectorized), default=0)


def enumerates(site: Node) -> bool:
    """Whether the site was enumerated, in the batch dimension ``site["infer"]["_enumerate_dim"]``."""
    return site["infer"].get("_enumerate_dim") is not None


def delta(site: Node) -> bool:
    """Whether the site is a deterministic function of its parents."""
    return bool(site["infer"].get("_deterministic"))


def log_prob(site: Node, seen: Tensor | None = None) -> Tensor:
    """log p of a traced site, one number for each cell of its plates; over the ``seen`` cells alone."""
    value = score(site["fn"], site["value"], seen)
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
    p, q, plates = terms(model, guide, values, observed, plates, prior)
    rows, whole = torch.zeros(()), torch.zeros(())
    summed_out = []  # the enumeration dimensions of local variables
    for name, site in p.items():
        if is_local(site):
            rows = rows + sum_cells(site, (seen or {}).get(name))
            summed_out += [site["infer"]["_enumerate_dim"]] if enumerates(site) else []
        else:
            whole = whole + sum_plates(log_prob(site), plates)
    for dim in summed_out:
        rows = rows.logsumexp(dim, keepdim=True)
    bound = (whole + scale * sum_plates(rows, plates)).flatten().logsumexp(0)

    rewards = torch.zeros(())
    for site in q.values():
        log_q = log_prob(site).sum()
        bound = bound - log_q * (scale if is_local(site) else 1.0)
        if not (site["fn"].has_rsample or delta(site)):
            rewards = rewards + log_q
    if rewards.requires_grad:
        bound = bound + bound.detach() * (rewards - rewards.detach())
    return bound


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
    With them come the latents drawn that rows share: name -> (draws, *shape).
    """
    first = terms(model, guide, values, observed, prior=prior)
    shared = [name for name, site in first.p.items() if not is_local(site) and name not in observed]
    apart = all(is_local(site) for site in (*first.p.values(), *first.q.values()))
    found: list[Tensor] = []
    drawn: list[dict[str, Tensor]] = []
    for _ in range(draws):
        tracer = poutine.trace()
        recorded = _recorded(guide, tracer)
        if not apart:
            found.append(elbo(model, recorded, values, observed, 1.0, first.plates, prior, seen)[None])
        else:
            p, q, _ = terms(model, recorded, values, observed, first.plates, prior)
            rows: Any = sum(sum_cells(site, (seen or {}).get(name)) for name, site in p.items())
            for site in p.values():
                rows = rows.logsumexp(site["infer"]["_enumerate_dim"], True) if enumerates(site) else rows
            found.append((rows - sum(sum_cells(site) for site in q.values())).reshape(-1))
        nodes = tracer.trace.nodes if guide is not None else {}
        drawn.append({name: nodes[name]["value"] for name in shared if name in nodes})
    return torch.stack(found), {name: torch.stack([d[name] for d in drawn]) for name in drawn[0]}


def _recorded(guide: Program | None, tracer: Any) -> Program | None:
    """The guide, with its draws left in ``tracer``."""
    if guide is None:
        return None

    def program(**values: Any) -> Any:
        with tracer:
            return guide(**arguments(guide, values))

    return program


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

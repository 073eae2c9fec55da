"""Rules about the ELBO: its gradient, its minibatches, its start."""

import copy
from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ppl_gen.core import ProbabilisticModel, arguments, dtype_of, is_local
from ppl_gen.errors import BrokenModel, Unexplained
from ppl_gen.inference.elbo import elbo
from ppl_gen.testing.case import Case, nearly_equal
from ppl_gen.testing.guides import hidden_variables
from ppl_gen.testing.words import explain, first_line


def gradients(c: Case) -> None:
    """The ELBO is finite and a gradient reaches every parameter."""
    if not c.guided:
        return
    observed = _observed(c)
    for seed in range(8):
        pyro.set_rng_seed(seed)
        value = _bound(c, lambda: elbo(c.p.model, c.p.guide, c.values | observed, observed))
        if not bool(torch.isfinite(value)):
            c.refuse(
                f"the ELBO is {value.item()} at the guide's start",
                "start the guide inside the prior's support, with scales of ordinary size",
                "guide",
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
                "use it in model() or guide() without .detach(), .data or .item(), or remove it",
                "guide",
            )
        if not bool(torch.isfinite(gradient).all()):
            c.refuse(
                f"the gradient of {name!r} is not finite at the start",
                "start the parameters at numbers of ordinary size",
                "guide",
            )


def minibatches(c: Case) -> None:
    """For one draw of the latents, the ELBOs of minibatches average to the ELBO of all rows."""
    shared_look = any(c.q[name] and not is_local(c.sites[name]) for name in c.q)
    summed = any(not is_local(c.sites[name]) for name in hidden_variables(c))
    if not c.guided or shared_look or summed:  # the log of a sum over all rows is no sum over rows
        return
    observed = _observed(c)
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
    if not nearly_equal(torch.tensor(average), torch.tensor(everything), dtype_of(c.p)):
        c.refuse(
            f"minibatches do not average to the whole: ELBO {average:.6g} against {everything:.6g} nats",
            "compute each row from itself and the shared variables alone",
        )


def start(c: Case) -> None:
    """``initialize`` takes data by name and leaves a finite ELBO."""
    if not c.guided or type(c.p).initialize is ProbabilisticModel.initialize:
        return
    observed = _observed(c)
    p = copy.deepcopy(c.p)
    rows = {k: v for k, v in c.values.items() if k != "n"}
    rows |= {k: v for k, v in observed.items() if is_local(c.sites[k])}
    kept = dict(vars(p))
    try:
        p.initialize(**rows)
        value = elbo(p.model, p.guide, c.values | observed, observed)
    except Exception as error:
        c.refuse(
            f"initialize({', '.join(rows)}) fails: {first_line(error)}",
            "take the data by name and ignore the rest: def initialize(self, x, **_)",
            "guide",
            cause=error,
            at="initialize",
        )
    for name, attribute in vars(p).items():
        if not name.startswith("_") and (name not in kept or attribute is not kept[name]):
            c.refuse(
                f"initialize() keeps {name!r} in a plain attribute, which save would lose",
                f'register_buffer("{name}", …) in __init__, and set it in initialize',
                "guide",
                at="initialize",
            )
    if not bool(torch.isfinite(value)):
        c.refuse(
            f"the ELBO is {value.item()} after initialize",
            "start with ordinary numbers",
            "guide",
            at="initialize",
        )


def _observed(c: Case) -> dict[str, Tensor]:
    """What a fit with this guide would be given: all that is neither guided nor summed out."""
    return {k: v for k, v in c.drawn.items() if k not in c.q and k not in hidden_variables(c)}


def _bound(c: Case, compute: Callable[[], Tensor]) -> Tensor:
    try:
        return compute()
    except Unexplained as error:
        c.refuse(f"unexplained: {error}", "give the guide a factor for it", cause=error)
    except BrokenModel:
        raise
    except Exception as error:
        explain(c, error, "model")

"""The last check: Pyro's own ELBO of the pair can be computed."""

import copy
import math
from collections.abc import Iterator

import pyro
from pyro.infer import Trace_ELBO, TraceEnum_ELBO
from pyro.infer.elbo import ELBO

from ppl_gen import places
from ppl_gen.linting.enumeration import depth
from ppl_gen.linting.findings import Finding
from ppl_gen.linting.pair import Pair


def computed(pair: Pair) -> Iterator[Finding]:
    """The ELBO that is asked for, or the usual one, runs to its end."""
    loss = pair.loss
    if pair.guide is None or pair.declared or not pair.works or "Jit" in type(loss).__name__:
        return
    if loss is None:
        summed = any(s.enumerated for _, run in pair.runs for s in run.samples.values())
        loss = TraceEnum_ELBO() if summed else Trace_ELBO()
    if not isinstance(loss, ELBO):
        return
    loss = copy.copy(loss)
    if loss.max_plate_nesting == math.inf:
        loss.max_plate_nesting = depth(pair)  # Pyro would guess, and say so
    try:
        pyro.set_rng_seed(0)
        loss.loss(pair.model, pair.guide, *pair.args, **pair.kwargs)
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        yield Finding(
            "elbo-stops",
            f"each program runs by itself, and {type(loss).__name__} of both stops: {said}",
            _mend(str(error)),
            place=str(places.of_error(error) or ""),
        )


def _mend(text: str) -> str:
    if "share common poutine.scale" in text:
        return (
            "a latent that is summed out counts once, and rows of a subsample many times: pass all "
            "rows, or let "
            "the guide draw it instead of summing it out"
        )
    if "conflict" in text or "history" in text:
        return (
            "a step looks further back than pyro.markov keeps: pyro.markov(range(T), history=2) for two steps"
        )
    return "compute it by hand, with the shapes: poutine.trace(model).get_trace(*args).format_shapes()"


CHECKS = (computed,)

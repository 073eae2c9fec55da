"""Checks of discrete latents: each is drawn by the guide or summed out, and summed out rightly."""

from collections.abc import Iterator
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.infer import TraceEnum_ELBO
from torch import Tensor

from ppl_gen.linting.findings import Finding
from ppl_gen.linting.pair import Pair
from ppl_gen.linting.recording import Site, record

VALUES = 8  # of a discrete latent that are tried one by one
DIMENSIONS = 20  # that sites summed out in parallel may take


def missing(pair: Pair) -> Iterator[Finding]:
    """A discrete latent that the guide does not draw is marked to be summed out."""
    if pair.guide is None or pair.declared or not pair.works:
        return
    for name, site in pair.latents.items():
        if name in pair.q.samples or site.enumerated or not (site.discrete and site.fn.has_enumerate_support):
            continue
        yield Finding(
            "missing-enumeration",
            f"the discrete {name!r} is neither drawn by the guide nor summed out: SVI draws it from "
            "its prior, "
            f"and learns nothing about it",
            f'sum it out: pyro.sample("{name}", …, infer={{"enumerate": "parallel"}}), or @config_enumerate '
            f"above the model, and TraceEnum_ELBO()",
            name,
            site.place,
        )


def automatic(pair: Pair) -> Iterator[Finding]:
    """An automatic guide is not asked for a discrete latent."""
    if not pair.automatic or pair.q.error is None:
        return
    for name, site in pair.alone.samples.items():
        if site.discrete and not site.observed and not site.deterministic and not site.enumerated:
            yield Finding(
                "autoguide-discrete",
                f"the automatic guide cannot draw {name!r}, which is discrete",
                f'sum it out (infer={{"enumerate": "parallel"}} and TraceEnum_ELBO()), and hide it from the '
                f'guide: AutoNormal(poutine.block(model, hide=["{name}"]))',
                name,
                site.place,
            )


def elbo(pair: Pair) -> Iterator[Finding]:
    """The ELBO sums out what is marked, and knows how many plates there are."""
    if pair.loss is None or not pair.works:
        return
    marked = [s for s in (*pair.p.samples.values(), *pair.q.samples.values()) if s.enumerated]
    marked = [s for s in marked if not s.observed and s.fn.has_enumerate_support]
    sums = isinstance(pair.loss, TraceEnum_ELBO)
    if marked and not sums:
        yield Finding(
            "wrong-elbo",
            f"{marked[0].name!r} is marked to be summed out, and {type(pair.loss).__name__} draws it instead",
            "fit with TraceEnum_ELBO()",
            marked[0].name,
            marked[0].place,
        )
    deep, said = depth(pair), getattr(pair.loss, "max_plate_nesting", None)
    if isinstance(said, int) and said < deep:
        yield Finding(
            "max-plate-nesting",
            f"{type(pair.loss).__name__}(max_plate_nesting={said}) leaves no room for the {deep} "
            "plates that "
            f"lie in one another: rows and summed-out values share a dimension",
            f"write max_plate_nesting={deep}, or leave it out",
        )


def sequential(pair: Pair) -> Iterator[Finding]:
    """The model sums out in parallel: Pyro cannot otherwise."""
    for name, site in pair.latents.items():
        if site.infer.get("enumerate") == "sequential" and name not in pair.q.samples:
            yield Finding(
                "sequential-enumeration",
                f'{name!r} is marked infer={{"enumerate": "sequential"}} in the model, which Pyro cannot do',
                'write infer={"enumerate": "parallel"}',
                name,
                site.place,
            )


def dimensions(pair: Pair) -> Iterator[Finding]:
    """Not too many sites are summed out, each in a dimension of its own."""
    if pair.declared:
        return
    marked = [
        s
        for s in pair.latents.values()
        if s.infer.get("enumerate") == "parallel"
        and "_markov_scope" not in s.infer
        and s.name not in pair.q.samples
    ]
    if len(marked) > DIMENSIONS:
        yield Finding(
            "too-many-dimensions",
            f"{len(marked)} sites, {marked[0].name!r} the first, are each summed out in a dimension of their "
            f"own: tensors get too many dimensions, and the work grows exponentially if they share a parent "
            f"or child",
            "draw rows at once in a `with pyro.plate(…)`; walk through time with pyro.markov(range(T))",
            marked[0].name,
            marked[0].place,
        )


def by_hand(pair: Pair) -> Iterator[Finding]:
    """Summing a discrete latent out gives what its values give one by one."""
    if not pair.works:
        return
    wanted = [s for n, s in pair.latents.items() if s.discrete and s.fn.has_enumerate_support]
    wanted = [s for s in wanted if s.infer.get("enumerate") == "parallel" or pair.declared]
    wanted = [s for s in wanted if "_markov_scope" not in s.infer]  # Pyro reuses its dimensions
    asked = pair.declared or pair.guide is not None
    wanted = [s for s in wanted if s.fn.event_dim == 0 and (asked or s.enumerated)]
    for site in wanted[:3]:
        found = _compared(pair, site)
        if found is not None:
            other, what, place = found
            yield Finding(
                "enumeration-shape",
                f"summing {site.name!r} out goes wrong at {other!r}: {what}",
                f"write the program so that {site.name!r} may have dimensions to the left of the "
                "plates: index "
                f"with Vindex(mu)[..., {site.name}, :], and use negative dimensions; no loop, reshape or "
                f".item() on it",
                other,
                place,
            )


def _compared(pair: Pair, site: Site) -> tuple[str, str, str] | None:
    values = {n: v for n, v in pair.p.values.items() if n != site.name}
    deep = depth(pair)

    def only(msg: Any) -> dict[str, Any]:
        return (
            {"enumerate": "parallel" if msg["name"] == site.name else None} if msg["type"] == "sample" else {}
        )

    def program(*args: Any, **kwargs: Any) -> Any:
        return poutine.infer_config(pair.model, config_fn=only)(*args, **kwargs)

    with poutine.enum(first_available_dim=-1 - deep), torch.no_grad(), pyro.validation_enabled(False):
        pyro.set_rng_seed(0)
        together = record(program, pair.args, pair.kwargs, values)
    if together.error is not None:
        said = str(together.error).strip().splitlines()[0]
        return site.name, f"the program stops ({said})", together.place or site.place
    place = together.samples[site.name].infer.get("_enumerate_dim") if site.name in together.samples else None
    support = site.fn.enumerate_support(expand=False).flatten()
    if place is None:
        return None
    for k, value in enumerate(support[:VALUES]):
        with torch.no_grad():
            apart = pair.run("model", {**values, site.name: value.expand(site.value.shape).clone()})
        for name, one in apart.samples.items():
            a, b = one.log_prob, together.samples[name].log_prob if name in together.samples else None
            if a is None or b is None:
                if (a is None) != (b is None):
                    return name, "its density cannot be computed for all values at once", one.place
                continue
            if not _agree(a, _slice(b, place, k)):
                shape = tuple(together.samples[name].fn.batch_shape)
                what = f"with {site.name} = {value.item():g} alone its density is another (shape {shape})"
                return name, what, one.place
    return None


def _slice(score: Tensor, place: int, k: int) -> Tensor:
    if score.dim() < -place:
        return score
    return score.select(place, k if score.shape[place] > 1 else 0)


def _agree(a: Tensor, b: Tensor) -> bool:
    try:
        shape = torch.broadcast_shapes(a.shape, b.shape)
    except RuntimeError:
        return False
    same = torch.allclose(a.expand(shape), b.to(a.dtype).expand(shape), rtol=1e-3, atol=1e-4, equal_nan=True)
    return same and torch.Size(shape).numel() == max(a.numel(), 1)


def depth(pair: Pair) -> int:
    """How many plates lie in one another at most."""
    return max(
        (-f.dim for _, run in pair.runs for s in run.samples.values() for f in s.vectorized.values()),
        default=0,
    )


CHECKS = (missing, automatic, elbo, sequential, dimensions, by_hand)

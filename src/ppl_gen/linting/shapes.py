"""Checks of shapes: every batch dimension has its plate, and no two arrays broadcast by accident."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ppl_gen.linting.findings import Finding
from ppl_gen.linting.pair import Pair, shape_of
from ppl_gen.linting.recording import Site

Where = tuple[str, Site]


def sites(pair: Pair) -> Iterator[Where]:
    """The sample sites of both programs that have densities of their own."""
    for part, run in pair.runs:
        for site in run.samples.values():
            if not site.factor and hasattr(site.fn, "batch_shape"):
                yield part, site


def broadcast(pair: Pair) -> Iterator[Finding]:
    """A value has the shape of its distribution: (n, 1) against (n,) makes (n, n) log densities."""
    for part, site in sites(pair):
        if not (site.deterministic or _drawn_elsewhere(pair, part, site)) and (joined := _crossed(site)):
            value, shape = shape_of(site.value), tuple(site.fn.shape())
            yield Finding(
                "broadcast",
                f"{site.name!r} in the {part} has a value of shape {value} under a distribution of shape "
                f"{shape}: they broadcast to {joined}, and every row is scored against every other",
                "give both one shape: y = y.squeeze(-1), or the mean .squeeze(-1); mind the (n, 1) that "
                "networks return",
                site.name,
                site.place,
            )


def missing_plate(pair: Pair) -> Iterator[Finding]:
    """Every batch dimension belongs to a plate."""
    for part, site in sites(pair):
        own = _drawn_elsewhere(pair, part, site)
        batch, plates = tuple(site.fn.batch_shape) if own else _densities(site), site.vectorized
        loose = _loose(batch, plates)
        if not loose or site.deterministic or (part == "guide" and pair.automatic):
            continue  # an automatic guide has the plates of its model
        rows = {len(v) for v in pair.tensors.values() if v.ndim} if not pair.declared else set()
        inside = [f.name for f in plates.values()]
        if inside or not ({batch[d] for d in loose} & rows or site.observed):
            yield Finding(
                "to-event",
                f"{site.name!r} in the {part} has batch shape {batch}, of which dimension {loose[0]} belongs "
                f"to no plate{f' (it is in {inside[0]!r})' if inside else ''}: .to_event is forgotten, or a "
                f"plate",
                f"if the cells belong to one draw: .to_event({len(loose)}); if they are repetitions: open a "
                f"pyro.plate for them",
                site.name,
                site.place,
            )
        else:
            yield Finding(
                "missing-plate",
                f"{site.name!r} in the {part} has {batch[loose[0]]} rows in no plate: Pyro takes them for "
                "one draw, cannot scale minibatches, and cannot sum anything out for each row",
                f'draw it inside `with pyro.plate("data", {batch[loose[0]]}):`, its size taken from the data',
                site.name,
                site.place,
            )


def factor_rows(pair: Pair) -> Iterator[Finding]:
    """A factor has one term for each place of its plates, and one term in all outside of plates."""
    for part, run in pair.runs:
        for site in run.samples.values():
            batch, plates = tuple(site.fn.batch_shape), site.vectorized
            loose = _loose(batch, plates) if site.factor else []
            if not loose:
                continue
            inside = ", ".join(repr(f.name) for f in plates.values())
            fix = (
                "give each place one term: .squeeze(-1) of a column (n, 1), .sum(-1) of several terms a place"
                if inside
                else "add the terms up by .sum(), or open the plate of the rows: with "
                f'pyro.plate("data", {batch[loose[0]]}): pyro.factor(…)'
            )
            yield Finding(
                "factor-rows",
                f"pyro.factor {site.name!r} in the {part} has terms of shape {batch}, of which dimension "
                f"{loose[0]} belongs to no plate{f' (it is in {inside})' if inside else ''}: Pyro's ELBOs "
                f"stop at it",
                fix,
                site.name,
                site.place,
            )


def plate_size(pair: Pair) -> Iterator[Finding]:
    """A plate has as many places as the values inside it have rows."""
    for part, site in sites(pair):
        if not site.observed or site.deterministic or not shape_of(site.value):
            continue
        value = shape_of(site.value)
        rows = value[: len(value) - len(site.fn.event_shape)]
        for dim, frame in site.vectorized.items():
            came = rows[dim] if -dim <= len(rows) else 1
            if came not in (1, frame.size):
                place = f"`pyro.plate({frame.name!r}, {frame.size})`"
                what = f"{site.name!r} in the {part} has {came} rows in the plate {place}"
                code, fix = "plate-size", "take the size from the data: len(x)"
                if frame.full_size != frame.size:
                    what += f", which holds a subsample of {frame.size} of {frame.full_size}"
                    code, fix = subsampled(frame.name, frame.full_size, frame.size, came)
                yield Finding(code, what, fix, site.name, site.place)


def subsampled(plate: str, size: int, taken: int, came: int) -> tuple[str, str]:
    """The finding's code and mend where ``came`` rows meet a plate that takes ``taken`` of ``size``."""
    if came == size:
        return (
            "minibatch-not-taken",
            f'take the plate\'s rows: with pyro.plate("{plate}", {size}, subsample_size={taken}) as '
            f"rows: … obs=y[rows]",
        )
    if came < size:
        return (
            "plate-size",
            f'a loader\'s minibatch says how many: pyro.plate("{plate}", {size}, subsample_size=len(y))',
        )
    return (
        "plate-size",
        f'the data have {came} rows: with pyro.plate("{plate}", len(y), subsample_size={taken}) as '
        f"rows: … obs=y[rows]",
    )


def repeated(pair: Pair) -> Iterator[Finding]:
    """No observed value is scored once for every place of a plate."""
    for part, site in sites(pair):
        value = shape_of(site.value)
        if not site.observed or site.deterministic or _cells(value) == 1:
            continue
        rows = value[: len(value) - len(site.fn.event_shape)]
        for dim, frame in site.vectorized.items():
            if frame.size > 1 and (-dim > len(rows) or rows[dim] == 1) and not _crossed(site):
                yield Finding(
                    "data-repeated",
                    f"{site.name!r} in the {part}: one value of shape {value} is scored for each of the "
                    f"{frame.size} places of the plate {frame.name!r}, so the data count {frame.size} times",
                    f"the rows belong to the plate {frame.name!r}, not to the event: leave out .to_event for "
                    f"them; or draw the site outside the plate",
                    site.name,
                    site.place,
                )


def guide_shape(pair: Pair) -> Iterator[Finding]:
    """What the guide draws has the shape that the model expects."""
    for name, site in pair.latents.items():
        drawn = pair.q.samples.get(name)
        if drawn is None or not hasattr(site.fn, "shape"):
            continue
        value, shape = shape_of(drawn.value), tuple(site.fn.shape())
        length = max(len(value), len(shape))
        if (1,) * (length - len(value)) + value != (1,) * (length - len(shape)) + shape:
            yield Finding(
                "guide-shape",
                f"the guide draws {name!r} of shape {value}, and the model of shape {shape}",
                f"give the guide's parameters of {name!r} the shape {shape}",
                name,
                drawn.place,
            )


def plates_differ(pair: Pair) -> Iterator[Finding]:
    """A latent lies in the same plates in both programs."""
    if pair.automatic:
        return
    for name, site in pair.latents.items():
        drawn = pair.q.samples.get(name)
        if drawn is None or drawn.infer.get("_deterministic"):
            continue
        mine, theirs = ({f.name: f for f in s.frames} for s in (site, drawn))
        for plate in sorted(mine.keys() ^ theirs.keys()):
            size = (mine | theirs)[plate].size
            where, other = ("model", "guide") if plate in mine else ("guide", "model")
            fix = f"open the same plate in both: the {other} needs `with pyro.plate({plate!r}, …)`"
            if where == "guide":
                fix = (
                    f"draw it outside of that plate in the guide, as the model does; if each of the {size} "
                    f"places has a {name!r} of its own, the model needs `with pyro.plate({plate!r}, …)`"
                )
            if size > 1:
                yield Finding(
                    "plates-differ",
                    f"{name!r} lies in the plate {plate!r} in the {where}, not in the {other}",
                    fix,
                    name,
                    drawn.place,
                )


def mask_shape(pair: Pair) -> Iterator[Finding]:
    """A mask has the shape of the rows that it hides."""
    for part, site in sites(pair):
        batch, mask = tuple(site.fn.batch_shape), shape_of(site.mask)
        if mask and (joined := _joined(mask, batch)) is not None and _cells(joined) > _cells(batch):
            yield Finding(
                "mask-shape",
                f"the mask of {site.name!r} in the {part} has shape {mask} and its rows {batch}: they "
                f"broadcast to {joined}, and rows count several times",
                f"give the mask the shape {batch}: mask.squeeze(-1), or one mask for each row",
                site.name,
                site.place,
            )


def _drawn_elsewhere(pair: Pair, part: str, site: Site) -> bool:
    """Whether the guide gave the model this value: its shape is the guide's, which other checks look at."""
    return part == "model" and not site.observed and site.name in pair.q.samples


def _loose(batch: tuple[int, ...], plates: Mapping[int, Any]) -> list[int]:
    """The dimensions with places that belong to no plate."""
    return [d for d in range(-len(batch), 0) if batch[d] > 1 and d not in plates]


def _densities(site: Site) -> tuple[int, ...]:
    """The shape of the site's log densities: one distribution scores every row of what it observes."""
    batch, value = tuple(site.fn.batch_shape), shape_of(site.value)
    rows = value[: len(value) - len(site.fn.event_shape)]
    try:
        return batch if _crossed(site) else tuple(torch.broadcast_shapes(batch, rows))
    except RuntimeError:
        return batch  # another check says that they do not fit


def _crossed(site: Site) -> tuple[int, ...] | None:
    """The shape to which value and distribution broadcast, if it has more cells than either."""
    value, shape = shape_of(site.value), tuple(site.fn.shape())
    joined = _joined(value, shape)
    larger = joined is not None and _cells(joined) > max(_cells(value), _cells(shape))
    return joined if larger else None


def _joined(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return tuple(torch.broadcast_shapes(a, b))
    except RuntimeError:
        return None


def _cells(shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel()


CHECKS = (
    broadcast,
    plates_differ,  # explains more than the two shapes do
    guide_shape,
    missing_plate,
    factor_rows,
    plate_size,
    repeated,
    mask_shape,
)

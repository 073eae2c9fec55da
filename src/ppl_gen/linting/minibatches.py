"""Checks of minibatches: all that is in one is of the same rows, and they stand for all rows."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ppl_gen.linting.effects import moved
from ppl_gen.linting.findings import Finding
from ppl_gen.linting.pair import Pair, shape_of
from ppl_gen.linting.recording import Run, Site


def explicit_subsample(pair: Pair) -> Iterator[Finding]:
    """The indices that a model hands to its plate are those that the guide's draws belong to."""
    for name, site in pair.p.plates.items():
        own = pair.alone.plates.get(name)
        if not site.given or own is None or name not in pair.q.plates:
            continue
        if shape_of(own.value) != shape_of(site.value) or not _same(own.value, site.value):
            cause = "an automatic guide draws a subsample of its own, and Pyro takes the guide's"
            fix = (
                f"AutoNormal(model, create_plates=lambda *args: "
                f'[pyro.plate("{name}", N, subsample=index)]), with the same index'
            )
            if not pair.automatic:
                cause = "the guide's plate draws other rows, and Pyro takes the guide's"
                fix = f'hand the guide\'s plate the same rows: pyro.plate("{name}", N, subsample=index)'
            yield Finding(
                "explicit-subsample",
                f"the model hands the plate {name!r} its rows (subsample=…), but {cause}: latents and data "
                f"are of different rows",
                fix,
                name,
                site.place,
            )


def unscaled(pair: Pair) -> Iterator[Finding]:
    """A minibatch stands for all the rows it was taken from."""
    for name, site in pair.p.samples.items():
        if not site.observed or site.deterministic or not isinstance(site.value, Tensor):
            continue
        frames, rows = site.vectorized, shape_of(site.value)
        if not frames or not rows or bool(torch.as_tensor(site.scale != 1).any()):
            continue
        for argument, whole in pair.tensors.items():
            total = len(whole) if whole.ndim else 0
            frame = frames.get(-1)
            if (
                frame is None
                or frame.size != rows[0]
                or not rows[0] < total
                or whole.ndim != site.value.dim()
            ):
                continue
            if _taken_from(site.value, whole) and not _rest_counts(pair, name, whole):
                yield Finding(
                    "unscaled-minibatch",
                    f"{name!r} observes {rows[0]} of the {total} rows of {argument!r}, and each counts once: "
                    f"priors weigh {total / rows[0]:.3g} times too much, and the posterior is too wide",
                    f'give the plate all rows and the minibatch: pyro.plate("{frame.name}", {total}, '
                    f"subsample=index)",
                    name,
                    site.place,
                )
                break


def _rest_counts(pair: Pair, name: str, whole: Any) -> bool:
    """Whether the rows of ``whole`` that a site does not observe count elsewhere.

    They are of another class, say, or the first of a series, on which those that follow depend.
    """
    rows = torch.as_tensor(whole)
    if len(rows) > 100_000:
        return False
    other = _left_out(pair.p.samples[name].value, rows)
    index = torch.arange(len(rows))
    if len(other) > 1:
        index[other] = index[other].roll(1)
        index[other[0]] = other[0]  # one of them is there twice, one no more: no sum over them stays
    elif other:
        differs = (rows != rows[other[0]]).reshape(len(rows), -1).any(1)
        index[other[0]] = int(differs.int().argmax())  # or it stays, if all rows are alike
    if torch.equal(rows[index], rows):
        return False
    after = pair.run("model", pair.p.values, arguments=pair.replaced(whole, whole[index.numpy()]))
    return after.error is None and bool(moved(pair.p, after))


def _left_out(part: Tensor, rows: Tensor) -> list[int]:
    """The rows that are not in ``part``: by their places, if it is a slice; else by what they hold."""
    width = rows.stride(0)
    if part.untyped_storage().data_ptr() == rows.untyped_storage().data_ptr() and width:
        start = (int(part.storage_offset()) - int(rows.storage_offset())) // width
        step = part.stride(0) // width
        mine = {start + step * i for i in range(len(part))}
        return [i for i in range(len(rows)) if i not in mine]
    held = {tuple(r) for r in part.reshape(len(part), -1).tolist()}
    return [i for i, r in enumerate(rows.reshape(len(rows), -1).tolist()) if tuple(r) not in held]


def same_minibatch(pair: Pair) -> Iterator[Finding]:
    """Another subsample of a plate brings other data, but where the rows that come are the minibatch.

    A plate of so many rows, of which some are drawn, scales by the ratio, whichever it drew. So a loader's
    minibatch is scaled rightly, and only what is indexed by the plate's own draw belongs to other rows.
    """
    random = {
        name: s
        for name, s in pair.alone.plates.items()
        if not s.given and s.fn.subsample_size not in (None, s.fn.size)
    }
    if not random or pair.alone.error is not None:
        return
    again = pair.run("model", seed=1)
    for name, site in pair.alone.samples.items():
        other = again.samples.get(name)
        inside = [f.name for f in site.frames if f.name in random]
        if not inside or other is None or not site.observed or not isinstance(site.value, Tensor):
            continue
        if site.value.shape == other.value.shape and torch.equal(site.value, other.value):
            if shape_of(site.value)[:1] != (random[inside[0]].fn.subsample_size,) and site.value.dim() == 1:
                continue  # told by its shape
            if len(site.value.unique()) < 2 or site.value.numel() < 8:
                continue  # rows that look alike tell nothing
            if _is_the_minibatch(pair, name, random[inside[0]]):
                yield from _other_rows(pair, again, name, inside[0])
                continue
            yield Finding(
                "minibatch-not-taken",
                f"{name!r} observes the same rows whatever subsample the plate {inside[0]!r} draws",
                f'take the plate\'s rows: with pyro.plate("{inside[0]}", …) as rows: … obs=y[rows]',
                name,
                site.place,
            )


def _is_the_minibatch(pair: Pair, name: str, plate: Site) -> bool:
    """Whether what came has the minibatch's rows alone: a loader's."""
    site = pair.alone.samples[name]
    rows = [torch.as_tensor(v) for v in pair.tensors.values() if v.ndim]
    if any(len(v) > plate.fn.subsample_size and _taken_from(site.value, v) for v in rows):
        return False
    return "conditioned" in site.infer or any(len(v) == plate.fn.subsample_size for v in rows)


def _other_rows(pair: Pair, again: Run, name: str, plate: str) -> Iterator[Finding]:
    """What a plate's own draw indexes does not belong to the minibatch that a loader brings."""
    size = pair.alone.plates[plate].fn.size
    values = {n: s.value for n, s in pair.alone.samples.items() if not s.observed}
    indices = {n: s.value for n, s in again.plates.items()}
    runs = [("model", moved(pair.alone, pair.run("model", {**values, **indices}), indices=False))]
    if pair.guide is not None:
        apart = pair.run("guide", {**pair.q.values, **indices})
        runs.append(("guide", moved(pair.q, apart, indices=False)))
    for part, sites in runs:
        for other in sorted(sites - {""}):
            yield Finding(
                "explicit-subsample",
                f"{name!r} observes the rows that come, and {other!r} in the {part} those that the plate "
                f"{plate!r} draws: its parameters are other rows'",
                f'pass the rows\' numbers along, and hand them to the plate: pyro.plate("{plate}", '
                f"{size}, subsample=index)",
                other,
            )
            return


def reach(pair: Pair) -> Iterator[Finding]:
    """A plate that draws subsamples draws them from all rows."""
    for name, site in pair.alone.plates.items():
        size, taken = site.fn.size, site.fn.subsample_size
        if site.given or taken in (None, size) or pair.declared:
            continue
        inside = [s for s in pair.alone.samples.values() if s.observed and name in {f.name for f in s.frames}]
        for argument, whole in pair.tensors.items():
            if whole.ndim and len(whole) > size and any(_taken_from(s.value, whole) for s in inside):
                yield Finding(
                    "plate-size",
                    f"the plate {name!r} draws its subsamples from {size} rows, and {argument!r} has "
                    f"{len(whole)}: the others are never seen",
                    f'write pyro.plate("{name}", len({argument}), subsample_size={taken})',
                    name,
                    site.place,
                )
                break


def _same(a: Any, b: Any) -> bool:
    return torch.equal(torch.as_tensor(a), torch.as_tensor(b))


def _taken_from(part: Any, whole: Any) -> bool:
    """Whether the rows of ``part`` are some of the rows of ``whole``, and not by chance."""
    part, whole = torch.as_tensor(part).detach(), torch.as_tensor(whole).detach()
    if part.shape[1:] != whole.shape[1:] or not part.dim() or not 1 < len(part) < len(whole):
        return False
    if part.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr():
        return True
    rows = {tuple(r) for r in whole.reshape(len(whole), -1)[:100_000].tolist()}
    if len(rows) < 0.5 * min(len(whole), 100_000):
        return False  # zeros and ones are in everything
    return all(tuple(r) in rows for r in part.reshape(len(part), -1)[:200].tolist())


CHECKS = (explicit_subsample, unscaled, same_minibatch, reach)

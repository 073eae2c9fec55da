"""Checks of plates: their sizes, their weights, and whether they are used at all."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppl_gen.linting.findings import Finding
from ppl_gen.linting.pair import Pair
from ppl_gen.linting.recording import Site

MANY = 100  # places of a plate that a loop walks one by one


def idle(pair: Pair) -> Iterator[Finding]:
    """Every plate of the model is entered."""
    entered = {f.name for s in pair.alone.statements for f in s.frames}
    for name, site in pair.alone.plates.items():
        if pair.alone.error is None and name not in entered:
            yield Finding(
                "plate-unused",
                f"the plate {name!r} holds no draw: it is made but not entered",
                f'write `with pyro.plate("{name}", …):` and indent what lies in it',
                name,
                site.place,
            )


def written_size(pair: Pair) -> Iterator[Finding]:
    """The size of a plate follows the data."""
    n = pair.rows
    if pair.declared or n < 3 or not pair.works:
        return

    def shorter(value: Any) -> Any:
        if isinstance(value, Tensor | np.ndarray) and value.ndim and len(value) == n:
            return value[:-1]
        return n - 1 if isinstance(value, int) and not isinstance(value, bool) and value == n else value

    less = pair.run("model", arguments=pair.changed(shorter))
    for name, site in pair.p.plates.items():
        now = less.plates.get(name)
        if now is None or site.given or site.fn.size != n or now.fn.size != n:
            continue
        if site.fn.subsample_size in (None, n):
            yield Finding(
                "size-in-model",
                f"the plate {name!r} has the size {n} written into the model: it stays {n} when the "
                "data have "
                f"{n - 1} rows",
                f'take it from the data: pyro.plate("{name}", len(x))',
                name,
                site.place,
                "warning",
            )


def scales(pair: Pair) -> Iterator[Finding]:
    """Each density counts as often as the plates say, in the model as in the guide."""
    for part, run in pair.runs:
        for name, site in run.samples.items():
            if site.deterministic:
                continue
            expected = 1.0
            for frame in site.frames:
                expected *= frame.full_size / frame.size if frame.vectorized and frame.full_size else 1.0
            scale = torch.as_tensor(site.scale)
            if expected != 1.0 and torch.allclose(scale.double(), torch.tensor(expected**2).double()):
                yield Finding(
                    "scaled-twice",
                    f"{name!r} in the {part} is scaled by {scale.item():g}: its plate scales its rows by "
                    f"{expected:g} already",
                    "leave out poutine.scale: pyro.plate scales a subsample itself",
                    name,
                    site.place,
                )
    for name, site in pair.latents.items():
        drawn = pair.q.samples.get(name)
        if (
            drawn is None
            or drawn.infer.get("_deterministic")
            or drawn.delta
            or site.infer.get("is_auxiliary")
        ):
            continue
        one, other = torch.as_tensor(site.scale).double(), torch.as_tensor(drawn.scale).double()
        if one.numel() == other.numel() == 1 and not torch.allclose(one, other):
            yield Finding(
                "scales-differ",
                f"{name!r} counts {one.item():g} times in the model and {other.item():g} times in the guide: "
                f"its KL divergence is none",
                "scale both alike: open the same plate, with the same subsample, in model and guide, or put "
                "both under poutine.scale",
                name,
                drawn.place,
            )


def long_loop(pair: Pair) -> Iterator[Finding]:
    """No loop walks through many rows one by one."""
    places: dict[str, list[Site]] = defaultdict(list)
    for site in pair.p.samples.values():
        for frame in site.frames:
            if not frame.vectorized:
                places[frame.name].append(site)
    for name, inside in places.items():
        counters = {f.counter for s in inside for f in s.frames if f.name == name}
        if len(counters) >= MANY:
            yield Finding(
                "plate-loop",
                f"the plate {name!r} is a loop over {len(counters)} places: thousands of times slower than "
                f"one draw for all, and nothing in it can be summed out for each row",
                f'write `with pyro.plate("{name}", n):` and draw all rows at once',
                name,
                inside[0].place,
                "warning",
            )


CHECKS = (
    idle,
    written_size,
    scales,
    long_loop,
)

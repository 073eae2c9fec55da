"""Checks of the programs as a whole: they run, repeat, and leave everything else alone."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ppl_gen.linting.enumeration import automatic
from ppl_gen.linting.findings import Finding
from ppl_gen.linting.pair import Pair, modules_of, states
from ppl_gen.linting.parameters import bad_start
from ppl_gen.linting.priors import reach
from ppl_gen.linting.recording import Run
from ppl_gen.linting.shapes import subsampled
from ppl_gen.linting.supports import guide_outside


def validation(pair: Pair) -> Iterator[Finding]:
    """Pyro checks arguments and values."""
    if not pair.validated:
        yield Finding(
            "validation-off",
            "validation is switched off for the whole process: wrong shapes, supports and nan pass "
            "in silence",
            "pyro.enable_validation(True); some libraries switch it off when they are imported",
            severity="warning",
        )


def signatures(pair: Pair) -> Iterator[Finding]:
    """Model and guide take the same arguments."""
    for part in ("model", "guide"):
        program = getattr(pair, part)
        if program is None or pair.declared:
            continue
        try:
            signature = inspect.signature(program.forward if isinstance(program, nn.Module) else program)
            signature.bind(*pair.args, **pair.kwargs)
        except ValueError:
            continue
        except TypeError as error:
            yield Finding(
                "signature",
                f"the {part} does not take the arguments of the fit: {error}",
                "SVI hands model and guide the same arguments: give both one signature",
            )


def runs(pair: Pair) -> Iterator[Finding]:
    """Both programs run to their ends."""
    causes = (signatures, bad_start, automatic, guide_outside, reach)
    if any(finding for cause in causes for finding in cause(pair)):
        return  # each stops a program, and is told by itself
    parts = [("guide", pair.q)] if pair.guide is not None else []
    for part, run in [*parts, ("model", pair.p if pair.q.error is None else pair.alone)]:
        if run.error is not None:
            yield _translated(pair, part, run)


def _translated(pair: Pair, part: str, run: Run) -> Finding:
    """What Python, torch or Pyro said, in words about the program."""
    text = str(run.error).strip() or type(run.error).__name__
    first = text.splitlines()[0][:200]
    last = next(reversed(run.samples), "")
    after = f"after drawing {last!r}" if last else "before its first draw"
    if shape := re.search(r"inside plate\('(.*?)'\) at site (\S+) dim (-\d+), (\d+) vs (\d+)", text):
        plate, site, _, size, came = shape.groups()
        entered = pair.alone.plates.get(plate)
        if entered is not None and entered.fn.size != entered.fn.subsample_size is not None:
            code, fix = subsampled(plate, entered.fn.size, entered.fn.subsample_size, int(came))
            what = f"{site!r} in the {part} has {came} rows in the plate {plate!r}, which takes {size} of "
            return Finding(code, f"{what}{entered.fn.size}", fix, site, run.place)
        if int(came) == pair.rows or not pair.rows or int(size) not in (pair.rows, pair.rows // 1):
            return Finding(
                "plate-size",
                f"{site!r} in the {part} has {came} rows in the plate {plate!r} of {size}",
                f'take the size from the data: pyro.plate("{plate}", len(x)); and inside a subsample '
                "take the "
                f"plate's rows of everything: x[rows]",
                site,
                run.place,
            )
        return Finding(
            "to-event",
            f"{site!r} in the {part} has a batch of {came} where the plate {plate!r} has {size} places: "
            f".to_event is forgotten",
            "give a row's cells to one draw: .to_event(1); batch dimensions belong to plates",
            site,
            run.place,
        )
    larger = [
        (n, s.fn) for n, s in pair.alone.plates.items() if pair.rows and s.fn.size > pair.rows and not s.given
    ]
    if larger and isinstance(run.error, IndexError):
        plate, fn = larger[0]
        return Finding(
            "plate-size",
            f"the plate {plate!r} draws rows from 0 to {fn.size - 1}, and the data have {pair.rows}: {first}",
            f'take the size from the data: pyro.plate("{plate}", len(x), '
            f"subsample_size={min(fn.subsample_size, pair.rows)}); "
            f"or if a loader took them from {fn.size} already, observe them as they are: "
            f"subsample_size=len(x), obs=x",
            plate,
            run.place,
        )
    if re.search(r"same dtype|scalar type|Float but found Double|Double but found Float", text):
        return Finding(
            "mixed-types",
            f"the {part} mixes floating-point types {after}: {first}",
            "convert the data once, x = x.float(); or the network: net.double()",
            last,
            run.place,
        )
    if "to satisfy the constraint" in text:
        found = re.search(r"parameter (\w+) .*?of distribution (\w+)", text, re.S)
        what = f"{found[1]} of {found[2]}" if found else "a parameter of a distribution"
        return Finding(
            "bad-argument",
            f"the {part} gives a distribution an argument out of its range {after}: {what}",
            "pass it through exp or softplus, or make it a parameter with a constraint; nan data do it too",
            last,
            run.place,
        )
    if "sequential pyro.plate" in text:
        return Finding(
            "autoguide-loop",
            "an automatic guide cannot draw latents inside a loop over a plate",
            "draw them at once: `with pyro.plate(…):` instead of `for … in pyro.plate(…):`",
            last,
            run.place,
        )
    if re.search(r"collide|at dims? -?\d+ .*already|at dim=-?\d+", text):
        return Finding(
            "plates-collide",
            f"two plates of the {part} claim one dimension {after}: {first}",
            "give each plate its own: pyro.plate(…, dim=-2) for the outer, dim=-1 for the inner",
            last,
            run.place,
        )
    if isinstance(run.error, TypeError | AttributeError) and re.search(r"numpy|ndarray", text):
        return Finding(
            "not-a-tensor",
            f"the {part} meets an array that is no tensor {after}: {first}",
            "convert the data once, before the fit: torch.as_tensor(x, dtype=torch.get_default_dtype())",
            last,
            run.place,
        )
    return Finding(
        "does-not-run",
        f"the {part} stops {after}: {type(run.error).__name__}: {first}",
        f"run it by hand, {part}(*args), and print the shapes: "
        f"poutine.trace({part}).get_trace(*args).format_shapes()",
        last,
        run.place,
    )


def noise(pair: Pair) -> Iterator[Finding]:
    """Nothing is random but the sites, and the program does not choose the seed."""
    if not pair.works:
        return
    dropped = any(
        isinstance(m, nn.modules.dropout._DropoutNd) and m.training
        for program in (pair.model, pair.guide)
        if program is not None
        for m in modules_of(program)
    )
    for part, run in pair.runs:
        if dropped or (part == "guide" and pair.automatic):
            continue
        one, ends = pair.run(part, run.values, seed=1), [states()]
        other = pair.run(part, run.values, seed=2)
        ends.append(states())
        if ends[0] == ends[1]:
            yield Finding(
                "sets-seed",
                f"the {part} sets the random seed: every step of the fit sees the same draws",
                "leave out manual_seed and set_rng_seed; seed once, before the fit",
            )
            continue
        for name, site in one.samples.items():
            a, b = site.log_prob, other.samples[name].log_prob if name in other.samples else None
            if a is not None and b is not None and not _same(a, b):
                yield Finding(
                    "hidden-noise",
                    f"the {part} is random beside its sites: with all of them fixed, the density of {name!r} "
                    f"still changes from run to run",
                    "draw all randomness with pyro.sample; torch.randn and numpy.random are invisible to "
                    "inference",
                    name,
                    site.place,
                )
                break


def changed_data(pair: Pair) -> Iterator[Finding]:
    """The programs leave their arguments as they are."""
    before = {name: torch.as_tensor(v).clone() for name, v in pair.tensors.items() if _plain(v)}
    for part in ("guide", "model"):
        if getattr(pair, part) is not None:
            pair.run(part)
    for name, value in before.items():
        if not _same(torch.as_tensor(pair.tensors[name]), value):
            yield Finding(
                "changes-data",
                f"a run changes the argument {name!r} in place: every step of the fit sees other data",
                f"work on a copy, {name} = {name}.clone(), and avoid x -= …, x[…] = … and methods "
                "that end in _",
                name,
            )


def inside(pair: Pair) -> Iterator[Finding]:
    """The data come from outside the model."""
    if pair.p.error is not None:
        return
    if pair.declared:
        for name, site in pair.bare.samples.items():
            if site.observed and not site.deterministic:
                yield Finding(
                    "data-in-model",
                    f"model() observes {name!r} by itself (obs=…)",
                    "leave out obs=; data are attached from outside, by fit",
                    name,
                    site.place,
                )
        return

    def rolled(value: Any) -> Any:
        if isinstance(value, Tensor) and value.dim():
            return value.roll(1, 0)
        return np.roll(value, 1, 0) if isinstance(value, np.ndarray) and value.ndim else value

    own = {_storage(v) for v in pair.tensors.values()}
    moved = pair.run("model", pair.q.values, arguments=pair.changed(rolled))
    for name, site in pair.p.samples.items():
        value, other = site.value, moved.samples.get(name)
        if not site.observed or site.deterministic or "conditioned" in site.infer or not _plain(value):
            continue
        if _storage(value) in own or value.dim() == 0 or other is None or not _same(value, other.value):
            continue
        if pair.tensors and len(value.unique(dim=0)) < 2:
            continue  # equal rows look alike wherever they come from
        yield Finding(
            "data-in-model",
            f"{name!r} observes a tensor that the model holds itself: it cannot be fitted to other data, nor "
            f"drawn from",
            f"make the data an argument, def model(x): … obs=x; or attach them from outside: "
            f'pyro.condition(model, data={{"{name}": x}})',
            name,
            site.place,
            "warning",
        )


def _storage(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.untyped_storage().data_ptr()
    return int(value.__array_interface__["data"][0]) if isinstance(value, np.ndarray) else 0


def _plain(value: Any) -> bool:
    return isinstance(value, Tensor) or (
        isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.number)
    )


def _same(a: Any, b: Any) -> bool:
    a, b = torch.as_tensor(a).detach().double(), torch.as_tensor(b).detach().double()
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-6, atol=0, equal_nan=True)


CHECKS = (validation, signatures, runs, noise, changed_data, inside)

"""Terms of pyro.factor that score the data: of such a density the total is one over the data too."""

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pyro
import torch
from pyro import poutine
from torch import Tensor

from ppl_gen.core import variables
from ppl_gen.normalisation.integrals import base_of
from ppl_gen.normalisation.lines import on_a_line
from ppl_gen.normalisation.sequences import Factors, followed, limited, wanders

CONFIGURATIONS = 1024  # of the data that are summed over one by one,
WITH_A_LATENT = 64  # or if each is an integral
DRAWS = 500
SOME_ROWS = 8  # of which the first is looked at by itself
SIZES = (-1000.0, -10.0, -1.0, 0.0, 0.5, 10.0, 1000.0)  # times the data

Program = partial[Any]
Found = tuple[float, float, str]  # a total, its error, and how it was found


def scored_arguments(program: Program) -> list[Any]:
    """The arguments, by place or name, with whose values factors change while all that is drawn is held."""
    trace = limited(program)
    base = _log_factors(program, trace)
    found = []
    for key, data in _arguments(program).items():
        logs = []
        for other in _others(data):
            with suppress(Exception):  # the program takes no such values
                logs.append(_log_factors(_with(program, {key: other}), trace))
        if any(log != base for log in logs):
            found.append(key)
    return [k for k in found if not isinstance(_arguments(program)[k], float)] or found  # those are settings


def over_data(program: Program, scored: list[Any]) -> Found | None:
    """The total over the latents and those arguments, if their space is known: few values, or a site's."""
    given = _arguments(program)
    if not all(isinstance(given[k], Tensor) for k in scored) or wanders(program):
        return None
    trace = poutine.trace(program).get_trace()
    sites = {k: site for k in scored if (site := _site(trace, given[k])) is not None}
    values = {k: v for k in scored if (v := _values(given[k], sites.get(k))) is not None}
    if sites.keys() | values.keys() != set(scored) or len(scored) - len(sites) > 1:
        return None  # of arguments that no site observes, more than one may be given
    if values.keys() == set(scored):
        size = math.prod(len(v) ** given[k].numel() for k, v in values.items())
        found = _summed(program, values, size)
        if found is not None:
            sums, error, how = found
            covariate = not sites and bool((sums - 1).abs().max() < 1e-3)  # one given each of its values
            return None if covariate else (float(sums.sum()), error, how)
    if len(sites) == len(scored) == 1 and (line := _line(program, scored[0], sites[scored[0]])) is not None:
        return *line, "quadrature"
    return _drawn(program, values, list(sites))


def first_row(program: Program, scored: list[Any]) -> Program | None:
    """The program on the first row of all its tables, if its density is a product over their rows."""
    given = _arguments(program)
    rows = {len(given[k]) if isinstance(given[k], Tensor) and given[k].dim() else 1 for k in scored}
    n = min(max(rows), SOME_ROWS)
    if len(rows) > 1 or n == 1:
        return None
    tables = {k: v for k, v in given.items() if isinstance(v, Tensor) and v.dim() and len(v) in rows}
    several, *single = (
        _with(program, {k: v[part] for k, v in tables.items()})
        for part in (slice(n), *(slice(i, i + 1) for i in range(n)))
    )
    trace = limited(several)
    parts = [_log_factors(one, trace, data=True) for one in single]
    whole = _log_factors(several, trace, data=True)
    return single[0] if math.isclose(whole, math.fsum(parts), rel_tol=1e-4, abs_tol=1e-4) else None


def passed(program: Program) -> bool:
    """Whether the program is given data, all of kinds that can be changed."""
    data = [
        v for v in _arguments(program).values() if not (v is None or callable(v) or isinstance(v, int | str))
    ]
    return bool(data) and all(_mapped(v, torch.clone) is not v for v in data)


def _summed(program: Program, values: dict[Any, Tensor], size: int) -> tuple[Tensor, float, str] | None:
    """The totals given each configuration of the data, exact or by quadrature."""
    if size > CONFIGURATIONS:
        return None
    given = _arguments(program)
    spaces = [itertools.product(v.tolist(), repeat=given[k].numel()) for k, v in values.items()]
    sums, errors, line = [], [1e-6], False
    for cells in itertools.product(*spaces):
        tensors = zip(values, cells, strict=True)
        one = _with(program, {k: torch.tensor(c).to(given[k].dtype).view_as(given[k]) for k, c in tensors})
        exact = None if line else followed(one, data=True).weight
        if exact is None:
            line, found = True, on_a_line(one, data=True) if size <= WITH_A_LATENT else None
            if found is None or not math.isfinite(math.fsum(found)):
                return None
            exact, error = found
            errors.append(error)
        sums.append(exact)
    return torch.tensor(sums).double(), math.fsum(errors), "quadrature" if line else "enumerated"


def _line(program: Program, key: Any, site: Any) -> tuple[float, float] | None:
    """The same of one number that a site observes, by quadrature, if the program draws nothing."""
    fn, shape = site["fn"], _arguments(program)[key].shape

    def redrawn() -> None:
        x = pyro.sample("(data)", fn)
        pyro.factor("(data) drawn", -fn.log_prob(x).sum())
        _with(program, {key: x.reshape(shape)})()

    found = on_a_line(redrawn, data=True, step=1 / 64)
    return found if found is not None and math.isfinite(math.fsum(found)) else None


def _drawn(program: Program, values: dict[Any, Tensor], observed: list[Any]) -> Found | None:
    """The same by importance sampling: data are drawn from their sites, or any of their values alike."""
    given, logs = _arguments(program), []
    for seed in range(DRAWS):
        torch.manual_seed(seed)
        old = poutine.trace(program).get_trace()
        log_q = float(old.log_prob_sum(lambda _, site: not site["is_observed"]))
        data = {}
        for key in observed:
            fn = _site(old, given[key])["fn"]
            data[key] = fn.sample().reshape(given[key].shape)
            log_q += float(fn.log_prob(data[key].reshape(fn.shape())).sum())
        for key in values.keys() - set(observed):
            data[key] = values[key][torch.randint(len(values[key]), given[key].shape)].to(given[key].dtype)
            log_q -= data[key].numel() * math.log(len(values[key]))
        new = poutine.trace(poutine.replay(_with(program, data), trace=old)).get_trace()
        logs.append(float(new.log_prob_sum()) - log_q)
    weights = torch.tensor(logs, dtype=torch.float64).exp()
    if not 0 < float(weights.max()) <= 0.1 * float(weights.sum()) < math.inf:
        return None
    return weights.mean().item(), (weights.std() / math.sqrt(DRAWS)).item(), "importance sampled"


def _log_factors(program: Program, trace: poutine.Trace, data: bool = False) -> float:
    """What factors add, and observed ``data`` if so, with what is drawn held."""
    with Factors(data) as factors:
        limited(poutine.replay(program, trace=trace))
    return factors.log


def _arguments(program: Program) -> dict[Any, Any]:
    return dict(enumerate(program.args)) | program.keywords


def _with(program: Program, values: dict[Any, Any]) -> Program:
    given = _arguments(program) | values
    return partial(program.func, *(given.pop(i) for i in range(len(program.args))), **given)


def _site(trace: poutine.Trace, data: Tensor) -> Any:
    """The site that observes an argument as it is; None if none does."""
    for site in variables(trace).values():
        value, fn = site["value"], site["fn"]
        if not site["is_observed"] or type(fn).__name__ == "Unit" or not isinstance(value, Tensor):
            continue
        if value.shape == data.shape == fn.shape() and torch.equal(value, data):
            return site
    return None


def _values(data: Tensor, site: Any) -> Tensor | None:
    """The values of each cell, if they are few: those of its site, else whole numbers from 0."""
    if site is not None:
        fn = base_of(site["fn"])
        finite = fn.has_enumerate_support and not fn.event_shape
        return fn.enumerate_support(expand=False).flatten() if finite else None
    whole = not data.is_floating_point() or bool(((data == 0) | (data == 1)).all())
    if not whole or not data.numel() or int(data.min()) < 0:
        return None
    return torch.arange(max(2, int(data.max()) + 1))


def _others(data: Any) -> Iterator[Any]:
    """Other values that an argument may have: larger and smaller ones, and whole numbers in its range."""
    for size in SIZES:
        yield _mapped(data, partial(_resized, size))
    for _ in SIZES:
        yield _mapped(data, _redrawn)


def _resized(size: float, t: Tensor) -> Tensor:
    return t * size if t.is_floating_point() else t.flip(0)


def _redrawn(t: Tensor) -> Tensor:
    return torch.randint(int(t.min()), max(2, int(t.max()) + 1), t.shape).to(t.dtype)


def _mapped(data: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The data with each table or list of numbers changed; what is no data, as a number of rows, is kept."""
    if isinstance(data, Tensor):
        return change(data) if data.numel() else data
    if isinstance(data, np.ndarray):
        return change(torch.as_tensor(data)).numpy() if data.size else data
    if isinstance(data, float):
        return change(torch.tensor([data])).item()
    if isinstance(data, dict):
        return {k: _mapped(v, change) for k, v in data.items()}
    if isinstance(data, list | tuple) and data:
        if all(isinstance(v, int | float) for v in data):
            return type(data)(change(torch.tensor(data)).tolist())
        return type(data)(_mapped(v, change) for v in data)
    return data

"""The total that terms of pyro.factor give a joint."""

import math
from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro import poutine
from torch.distributions import biject_to

from ppl_gen.core import variables
from ppl_gen.normalisation.conditionals import Total
from ppl_gen.normalisation.integrals import draw
from ppl_gen.normalisation.sequences import Factors, limited

AVERAGED = 500  # runs over which factors are averaged


def energy(program: Callable[[], Any], exact: float | None) -> Total:
    """The mean of the exponential of all factors over draws of the rest of the program."""
    how = "enumerated"
    value, error = (exact, 1e-6) if exact is not None else (math.nan, math.nan)
    if exact is None:
        how, found = "quadrature", _line(program)
        if found is None:
            how, found = "importance sampled", _averaged(program)
        value, error = found
    wrong = not abs(value - 1) <= 6 * error + 1e-3
    known = wrong or error < 0.1
    note = (
        "pyro.factor leaves the density unnormalised: divide by the total, or write a likelihood of data as "
        "pyro.sample(…, obs=)"
    )
    if any(s["is_observed"] for s in variables(limited(program)).values()):
        note += (
            "; but a factor that scores censored rows, the log of P(T > t), is their likelihood and no "
            "density of the data: it need not average to one, and is right as it is"
        )
    return Total("(factors)", value, error, how, (not wrong) if known else None, note if wrong else "")


def _averaged(program: Callable[[], Any]) -> tuple[float, float]:
    """The mean over draws of the program, which are those of its density without the factors; and its s.e."""
    logs = []
    for seed in range(AVERAGED):
        pyro.set_rng_seed(seed)
        factors = Factors()
        with factors:
            limited(program)
        logs.append(factors.log)
    weights = torch.tensor(logs, dtype=torch.float64).exp()
    return weights.mean().item(), (weights.std() / math.sqrt(AVERAGED)).item()


def _line(program: Callable[[], Any]) -> tuple[float, float] | None:
    """The same by quadrature, if the program draws one number and nothing else; and its error."""
    drawn = {n: s for n, s in variables(limited(program)).items() if not s["is_observed"]}
    if len(drawn) != 1:
        return None
    [(name, site)] = drawn.items()
    fn = site["fn"]
    if torch.Size(fn.shape()).numel() != 1 or fn.support.is_discrete or fn.event_shape:
        return None
    bijection = biject_to(fn.support)
    u = bijection.inv(draw(fn, 256)).double().flatten().sort().values
    middle, spread = u[128], u[192] - u[64]
    step = 1 / 16
    t = torch.arange(-4.5, 4.5, step, dtype=torch.float64)
    half_pi = math.pi / 2
    places = middle + spread * (half_pi * t.sinh()).sinh()
    slopes = spread * half_pi * t.cosh() * (half_pi * t.sinh()).cosh()
    terms = []
    for place, slope in zip(places, slopes, strict=True):
        value = bijection(place)
        factors = Factors()
        with factors, poutine.trace() as tracer, pyro.condition(data={name: value.expand(fn.shape())}):
            program()
        log = tracer.trace.nodes[name]["fn"].log_prob(value).sum() + factors.log
        log = log + bijection.log_abs_det_jacobian(place, value) + slope.log()
        terms.append(log.nan_to_num(-math.inf).exp())
    f = torch.stack(terms)
    return float(step * f.sum()), float(2 * step * (f[::2].sum() - f[1::2].sum()).abs() / 2) + 1e-9

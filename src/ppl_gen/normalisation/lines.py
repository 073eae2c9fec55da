"""Factors of a program that draws one number: by quadrature."""

import math
from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro import poutine
from torch.distributions import biject_to

from ppl_gen.core import variables
from ppl_gen.normalisation.integrals import draw
from ppl_gen.normalisation.sequences import Factors, limited


def on_a_line(
    program: Callable[[], Any], data: bool = False, step: float = 1 / 16
) -> tuple[float, float] | None:
    """The integral of the exponential of all factors by quadrature, and its error.

    Only of a program that draws one number and nothing else; if ``data``, times the density of what it
    observes.
    """
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
    t = torch.arange(-4.5, 4.5, step, dtype=torch.float64)
    half_pi = math.pi / 2
    places = middle + spread * (half_pi * t.sinh()).sinh()
    slopes = spread * half_pi * t.cosh() * (half_pi * t.sinh()).cosh()
    terms = []
    for place, slope in zip(places, slopes, strict=True):
        value = bijection(place)
        factors = Factors(data)
        with factors, poutine.trace() as tracer, pyro.condition(data={name: value.expand(fn.shape())}):
            program()
        log = torch.tensor(factors.log, dtype=torch.float64)
        if not data:  # else the number, which is now observed, is among what was added up
            log = log + tracer.trace.nodes[name]["fn"].log_prob(value).sum()
        log = log + bijection.log_abs_det_jacobian(place, value) + slope.log()
        terms.append(log.nan_to_num(-math.inf).exp())
    f = torch.stack(terms)
    return float(step * f.sum()), float(step * (f[::2].sum() - f[1::2].sum()).abs()) + 1e-9

"""The total that terms of pyro.factor give a joint."""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pyro
import torch

from ppl_gen.core import variables
from ppl_gen.normalisation.conditionals import Total
from ppl_gen.normalisation.lines import on_a_line
from ppl_gen.normalisation.scored import Found, first_row, over_data, passed, scored_arguments
from ppl_gen.normalisation.sequences import Factors, limited

SAMPLED = "importance sampled"
AVERAGED = 500  # runs over which factors are averaged

UNNORMALISED = (
    "pyro.factor leaves the density unnormalised: divide by the total, or write a likelihood of data as "
    "pyro.sample(…, obs=)"
)
NEAR = "draws of the data do not tell this total from one, nor do they show that it is one: work it out"
FIRST = "the first row alone has this total; "
OPEN = (
    "this is the total given the data as they are; over all values of {names}, scored by factors, it is "
    "not known: write a likelihood of data as pyro.sample(…, obs=), and divide an energy by its total"
)
CENSORED = (
    "; but a factor that scores censored rows, the log of P(T > t), is their likelihood and no density of "
    "the data: it need not average to one, and is right as it is"
)
PASS = "whether the factors score what is observed is not known: pass the data as arguments of the program"


def energy(program: Callable[[], Any], exact: float | None) -> Total:
    """The mean of the exponential of all factors over draws of the rest of the program, and over the data."""
    sees = any(s["is_observed"] and not _is_factor(s) for s in variables(limited(program)).values())
    scored = scored_arguments(program) if isinstance(program, partial) else []
    if scored and isinstance(program, partial):
        found = _tried(over_data, program, scored)
        row = _tried(first_row, program, scored)
        for total, note in ((found, ""), (row and _tried(over_data, row, scored), FIRST)):
            if total is not None and _wrong(total):
                return Total(
                    "(factors)", total[0], total[1], total[2], False, note + UNNORMALISED + CENSORED * sees
                )
        if found is not None:
            value, error, how = found
            known = how != SAMPLED
            return Total("(factors)", value, error, how, known or None, "" if known else NEAR)
    value, error, how = _given_data(program, exact)
    if scored:
        names = ", ".join(f"argument {k + 1}" if isinstance(k, int) else k for k in scored)
        return Total("(factors)", value, error, how, None, OPEN.format(names=names) + CENSORED * sees)
    if _wrong((value, error, how)):
        return Total("(factors)", value, error, how, False, UNNORMALISED + CENSORED * sees)
    if sees and not (isinstance(program, partial) and passed(program)):
        return Total("(factors)", value, error, how, None, PASS)
    return Total("(factors)", value, error, how, True if error < 0.1 else None)


def _tried(of: Callable[..., Any], program: partial[Any], scored: list[Any]) -> Any:
    """What it finds; None if the program takes no other data."""
    with suppress(Exception):
        return of(program, scored)
    return None


def _is_factor(site: dict[str, Any]) -> bool:
    return type(site["fn"]).__name__ == "Unit"


def _wrong(found: Found) -> bool:
    return not abs(found[0] - 1) <= 6 * found[1] + (1e-3 if found[2] == SAMPLED else 1e-4)


def _given_data(program: Callable[[], Any], exact: float | None) -> Found:
    if exact is not None:
        return exact, 1e-6, "enumerated"
    line = on_a_line(program)
    return (*line, "quadrature") if line is not None else (*_averaged(program), SAMPLED)


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

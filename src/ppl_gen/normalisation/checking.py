"""`check_normalised`: does the joint density sum or integrate to one?"""

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor, nn

from ppl_gen.arrays import as_tensor
from ppl_gen.checks import called
from ppl_gen.core import ProbabilisticModel, arguments, dtype_of, is_local, own_parameters, variables
from ppl_gen.errors import DataError, UnknownVariable
from ppl_gen.inference.bare import copied
from ppl_gen.isolation import isolated
from ppl_gen.normalisation.conditionals import Total, badness, of_site
from ppl_gen.normalisation.energies import energy
from ppl_gen.normalisation.improper import Proper
from ppl_gen.normalisation.lengths import given_length
from ppl_gen.normalisation.result import Normalisation
from ppl_gen.normalisation.sequences import LONGEST, Factors, ending, limited, wanders
from ppl_gen.notation import Factorization

SEEDS = (0, 1)  # draws of the parents at which each conditional is looked at
ROWS = 2  # of a declared model, whose rows are alike


def check_normalised(model: Any, /, *args: Any, **kwargs: Any) -> Normalisation:
    """Check that a joint density sums or integrates to one.

    A joint is normalised if each of its conditionals is, for all values of its parents. Each is checked at
    several draws of them: finite variables by enumeration, counts by summation, numbers by quadrature,
    vectors by importance sampling. Observed values that lie outside the support of their distribution, as
    grey pixels do under a Bernoulli, are scored by something that is no density of such values: its
    integral over them is reported. Terms of pyro.factor are averaged over the rest of the program; a density
    under poutine.scale is integrated with its power. Of a program that draws until it stops, the probability
    that it stops is the total of all sequences; one whose length follows the data gives every length the
    total one, and all lengths an infinite one, unless it stops after an end symbol.

    Args:
        model: a bare Pyro program, or a `ProbabilisticModel`.
        args, kwargs: the program's arguments; of a `ProbabilisticModel` the number of rows, what the joint is
            given, and if there are data, these by name.

    Raises:
        DataError, UnknownVariable: the arguments do not fit, or what is observed are no numbers.

    >>> import pyro.distributions as dist
    >>> from ppl_gen.models import PPCA
    >>> check_normalised(PPCA(features=3, latent=2)).ok
    True
    >>> def model(x):
    ...     with pyro.plate("data", len(x)):
    ...         pyro.sample("x", dist.Bernoulli(0.3 * torch.ones(4), validate_args=False).to_event(1), obs=x)
    >>> check_normalised(model, torch.rand(5, 4).round()).ok
    True
    >>> print(check_normalised(model, torch.full((5, 4), 0.5)))
    model: its density does not sum to one: look at x
      ! x  0.4721 ± 0.001, quadrature: Bernoulli scores 0.5, which is none of its values, as if it were a
      density over the unit interval: binarise the data, or take a density of such numbers, e.g.
      ContinuousBernoulli or Normal
    """
    if not (callable(model) or isinstance(model, ProbabilisticModel)) or isinstance(model, type):
        raise DataError(f"model: expected a Pyro program, got {called(model)}")
    name = getattr(model, "__name__", type(model).__name__)
    with isolated(0), Proper():
        if isinstance(model, ProbabilisticModel):
            program, values = _declared(model, args, kwargs)
            more = _against_data(program, values)
        else:
            bare, _ = copied(model, None)
            own_parameters(getattr(bare, "__self__", bare))
            _takes(name, bare, args, kwargs)
            program, more = partial(bare, *args, **kwargs), []
            _numbers(program)
            more += given_length(bare, args, kwargs)
        totals = _conditionals(program, {t.site for t in more})
        totals += more + _whole(program)
    return Normalisation(name, tuple(totals))


def _takes(name: str, program: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(program.forward if isinstance(program, nn.Module) else program)
        signature.bind(*args, **kwargs)
    except ValueError:
        return  # it tells no signature
    except TypeError as error:
        raise DataError(
            f"{name} does not take these arguments: {error}; pass those of the program, "
            f"check_normalised({name}, …)"
        ) from None


def _numbers(program: Callable[[], Any]) -> None:
    """What is observed are numbers."""
    for site, node in variables(limited(program)).items():
        if node["is_observed"] and isinstance(node["value"], str | bytes | list | tuple | dict):
            raise DataError(
                f"obs of {site!r}: expected a tensor of numbers, got {called(node['value'])}; "
                f"convert the data first, torch.as_tensor(…)"
            )


def _conditionals(program: Callable[[], Any], told: set[str]) -> list[Total]:
    """The worst total of each variable over several draws of its parents."""
    found: dict[str, Total] = {}
    for seed in SEEDS:
        pyro.set_rng_seed(seed)
        for name, node in variables(limited(program)).items():
            if name in told or (name in found and found[name].ok is False):
                continue
            total = of_site(name, node)
            if total is not None and (name not in found or badness(total) > badness(found[name])):
                found[name] = total
    return list(found.values())


def _whole(program: Callable[[], Any]) -> list[Total]:
    """What no conditional tells: terms of pyro.factor, and whether a program ends."""
    found = []
    factors = Factors()
    with factors:
        limited(program)
    endless = wanders(program)
    if not endless and not factors.names:
        return []
    end = ending(program)
    if endless:
        good: bool | None = abs(end.mass - 1) <= (1e-6 if end.how == "enumerated" else 1e-3)
        if not good and not end.settled:
            good = None
        note = ""
        if good is False:
            note = (
                "no end symbol: no run ends" if end.mass == 0 else "some runs never end: their mass is lost"
            )
        if good is None:
            note = f"runs still end after {LONGEST} draws; not known of the rest"
        found.append(Total("(length)", end.mass, end.error, end.how, good, note))
    if factors.names:
        found.append(energy(program, end.weight))
    return found


def _declared(
    model: ProbabilisticModel, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Callable[..., Any], dict[str, Tensor]]:
    """The model's program on a few rows, and the data given for what it generates."""
    if args:
        raise DataError("check_normalised: pass a declared model's data by name, e.g. n=8 or x=…")
    p = copy.deepcopy(model).eval()
    own_parameters(p)
    line = Factorization(p.joint)
    for name in kwargs:
        if name not in line.keys() | line.given | {"n"}:
            raise UnknownVariable(f"{name!r} is not a variable of {type(p).__name__}: {p.joint}")
    tensors = {k: as_tensor(k, v, dtype_of(p)) for k, v in kwargs.items() if k != "n"}
    inputs = {k: v for k, v in tensors.items() if k in line.given}
    for name in sorted(line.given - inputs.keys()):
        shape = p.given_shape(name)
        levels = p.given_levels(name)
        if levels:
            inputs[name] = torch.arange(ROWS) % levels
        elif shape is not None:
            inputs[name] = torch.randn(ROWS, *shape, dtype=dtype_of(p))
        else:
            raise DataError(f"check_normalised needs what {type(p).__name__} is given: pass {name}=…")

    def program(rows: int = ROWS) -> Any:
        given = {k: v[:rows] if v.dim() else v for k, v in inputs.items()}
        n = max((len(v) for v in given.values() if v.dim()), default=rows)
        return p.model(**arguments(p.model, {**given, "n": n}))

    return program, {k: v for k, v in tensors.items() if k in line}


def _against_data(program: Callable[..., Any], values: Mapping[str, Tensor]) -> list[Total]:
    """Totals of the variables whose data are no values of their distributions."""
    if not values:
        return []
    n = max(len(v) for v in values.values() if v.dim())
    with poutine.trace() as tracer, pyro.condition(data=dict(values)):
        program(n)
    found = []
    for name, node in variables(tracer.trace).items():
        if name in values and is_local(node):
            total = of_site(name, node)
            if total is not None and total.ok is False:
                found.append(total)
    return found

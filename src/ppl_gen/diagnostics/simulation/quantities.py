"""What is ranked: scalars of the latents and the data, of the truth and of draws of a posterior alike."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ppl_gen.core import ProbabilisticModel, Program, is_local, run, variables
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inference.elbo import log_prob, row_weights, terms
from ppl_gen.inference.guides import point
from ppl_gen.inference.nuts import Draws
from ppl_gen.inference.observed import Observed, enumerates
from ppl_gen.inference.relabelling import Components
from ppl_gen.inputs import Data
from ppl_gen.posterior import Posterior

Array = NDArray[Any]
Quantity = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Any]
LIKELIHOOD = "log likelihood"
ALIKE = 0.01  # in units of the posterior's variance
ROWS = 10  # whose own latents are ranked: the first


class Quantities(NamedTuple):
    """Scalars by name; called on draws of the latents.

    Attributes:
        p: the joint.
        latents: their names.
        places: component-indexed parameter -> its axis, of components that have no names of their own.
        own: functions of one draw of the latents, and of the data, by name.
        kept: which of all scalars: those that vary, and not along with an earlier one.
    """

    p: ProbabilisticModel
    latents: tuple[str, ...]
    places: Mapping[str, int]
    own: Mapping[str, Quantity]
    kept: tuple[int, ...] | None = None

    def __call__(self, draws: Mapping[str, Tensor], data: Data) -> dict[str, Array]:
        """Name -> (draws,), of latents (draws, *shape). Call it `isolated`."""
        found: dict[str, Array] = {}
        for name in self.latents:
            value = draws[name].detach()
            if name in self.places:  # ordered from small to large: what renaming cannot change
                value = value.sort(self.places[name]).values
            elif data.sites[name].local:
                value = value[:, :ROWS]
            array = value.numpy(force=True).astype(float)
            for index in np.ndindex(array.shape[1:]):
                found[f"{name}{list(index)}" if index else name] = array[(slice(None), *index)]
        found[LIKELIHOOD] = log_likelihood(self.p, draws, data).numpy(force=True).astype(float)
        each = [
            {name: v[i] for name, v in draws.items()} for i in range(len(found[LIKELIHOOD]) * bool(self.own))
        ]
        values = {**data.inputs, **data.observed}
        for name, function in self.own.items():
            rows = [_number(name, function(draw, values)) for draw in each]
            for index in np.ndindex(rows[0].shape):
                found[f"{name}{list(index)}" if index else name] = np.array([row[index] for row in rows])
        if self.kept is None:
            return found
        names = list(found)
        return {names[i]: found[names[i]] for i in self.kept}


def _number(name: str, value: Any) -> Array:
    array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value, dtype=float)
    if np.isnan(array).any():
        raise DataError(f"quantities: expected numbers from {name!r}, got nan")
    return array


def distinct(values: Mapping[str, Array], latents: Iterable[str]) -> tuple[int, ...]:
    """Which scalars to keep: all but those of latents that do not vary, or that go with an earlier one.

    Halves of a symmetric matrix do, and the probabilities of two classes.
    """
    names = set(latents)
    kept: list[int] = []
    seen: list[Array] = []
    for i, (name, value) in enumerate(values.items()):
        order = np.unique(np.round(value, 12), return_inverse=True)[1]
        ways = [order, order.max() - order]
        told = not order.max() or any(np.array_equal(before, way) for before in seen for way in ways)
        if name.partition("[")[0] not in names or not told:
            kept.append(i)
            seen.append(order)
    return tuple(kept)


def places(p: ProbabilisticModel, data: Data, truth: Mapping[str, Tensor]) -> Mapping[str, int]:
    """The parameters whose components have no names of their own, and their axes."""
    try:
        return Components("simulation_based_calibration", p, data).places(truth) or {}
    except Unanswerable:  # no mixture
        return {}


# The log likelihood -----------------------------------------------------------------------------------------


def log_likelihood(p: ProbabilisticModel, draws: Mapping[str, Tensor], data: Data) -> Tensor:
    """log p(data | latents) in nats, (draws,); what is finite and hidden is summed out."""
    each = [{name: v[i] for name, v in draws.items()} for i in range(len(next(iter(draws.values()))))]
    first, summed = _summed(p, each[0], data)
    if not summed and len(each) > 2:
        found = _vectorised(lambda draw: {"": _plain(p, draw, data)}, dict(draws), "error").get("")
        if found is not None and torch.allclose(found[0], first, rtol=1e-6):
            return found
    return torch.stack([first, *(_summed(p, draw, data)[0] for draw in each[1:])])


def _summed(p: ProbabilisticModel, draw: Mapping[str, Tensor], data: Data) -> tuple[Tensor, bool]:
    """Of one draw, and whether anything was summed out."""
    t = terms(p.model, point(draw), data.values, data.observed)
    rest = {k: v for k, v in t.p.items() if k in data.observed or enumerates(v)}
    shared = sum(log_prob(v).sum() for v in rest.values() if not is_local(v))
    value = row_weights(t._replace(p=rest, q={})).sum() + shared
    return value.reshape(()), any(enumerates(v) for v in rest.values())


def _plain(p: ProbabilisticModel, draw: Mapping[str, Tensor], data: Data) -> Tensor:
    found = variables(run(p.model, data.values, {**draw, **data.observed}))
    return torch.stack([log_prob(found[name]).sum() for name in data.observed]).sum()


# The posterior's draws --------------------------------------------------------------------------------------


def posterior_draws(posterior: Posterior, data: Data, draws: int) -> dict[str, Tensor]:
    """Latent -> (draws, *shape): independent draws, or those of chains, thinned. Call it `isolated`."""
    hidden = [name for name in data.sites if name not in data.observed]
    if isinstance(posterior.guide, Draws):
        return thinned(posterior.guide, draws)
    program = posterior.latents_of(data)

    def one(_: Any) -> dict[str, Tensor]:
        with Observed(data.observed, data.seen, guide=True):
            found = variables(run(program, data.values))
        return {name: found[name]["value"] for name in hidden if name in found}

    return at_once(one, draws) or _one_by_one(one, draws)


def _one_by_one(program: Program, draws: int) -> dict[str, Tensor]:
    drawn = [program(i) for i in range(draws)]
    return {name: torch.stack([d[name] for d in drawn]) for name in drawn[0]}


def at_once(program: Program, draws: int) -> dict[str, Tensor]:
    """All draws by one vectorised run; nothing where the program cannot be vectorised."""
    with _FreshNoise():
        found = _vectorised(program, torch.arange(draws), "different")
    return found if all(bool(v.isfinite().all()) for v in found.values()) else {}


def _vectorised(program: Program, over: Any, randomness: str) -> dict[str, Tensor]:
    """What vmap makes of the program; nothing where it cannot: then one draw comes after the other."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # they say which operation is slow
        try:
            found: dict[str, Tensor] = torch.vmap(program, randomness=randomness)(over)
        except Exception:  # vmap refuses by errors of many kinds
            return {}
    return found


class _FreshNoise(TorchFunctionMode):
    """Inside vmap, ``empty.normal_()`` gives fresh noise to every draw.

    In place it would give all the same, so vmap refuses it. The tensor is poisoned: a program that does not
    use what the call returns shows nan, and is then run draw by draw.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.Tensor.normal_ or len(args) != 1 or kwargs:
            return func(*args, **(kwargs or {}))
        noise = torch.randn(args[0].shape, dtype=args[0].dtype, device=args[0].device)
        args[0].fill_(torch.nan)
        return noise


def thinned(guide: Draws, draws: int) -> dict[str, Tensor]:
    """At most ``draws`` draws of the chains, evenly spaced, so far apart that they are nearly independent.

    Ranks among draws that hang together are too often extreme (Talts et al. 2018, section 5.1). Of draws
    worth ``e`` independent ones so many are kept that the variance of their mean is at most a hundredth of
    the posterior's above that of as many independent draws: all, if e is 100 or more.
    """
    from pyro.ops.stats import effective_sample_size

    values, total = guide.values, guide.chains * guide.draws
    worth = float(total)
    for value in values.values():
        flat = value.double().reshape(*value.shape[:2], -1)
        moving = flat[..., flat.std((0, 1)) > 0]
        if guide.draws > 3 and moving.shape[-1]:
            worth = min(worth, float(effective_sample_size(moving).nan_to_num(total).min()))
    spare = 1 / max(worth, 1.0) - ALIKE
    kept = max(1, min(draws, total, round(1 / spare) if spare > 0 else total))
    index = torch.arange(kept) * total // kept
    return {name: value.flatten(0, 1)[index] for name, value in values.items()}

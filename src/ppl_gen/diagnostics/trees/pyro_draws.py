"""What bare Pyro fitted, as programs that draw the latents: chains, an SVI, a guide, a fit of `fit_pyro`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.infer.autoguide import AutoGuide
from pyro.infer.mcmc.api import MCMC, StreamingMCMC
from torch import Tensor, nn

from ppl_gen.checks import called
from ppl_gen.core import ProbabilisticModel
from ppl_gen.diagnostics.trees.groups import DRAWS
from ppl_gen.diagnostics.trees.labels import Named
from ppl_gen.diagnostics.trees.subsamples import whole_plates
from ppl_gen.errors import DataError
from ppl_gen.inference.bare import PyroFit
from ppl_gen.inference.guides import point
from ppl_gen.inference.nuts import Draws
from ppl_gen.inference.recording_nuts import STATS
from ppl_gen.isolation import isolated

Program = Callable[..., Any]


class Drawer(NamedTuple):
    """A model on its arguments, and what draws its latents: a guide, or chains with their sampler's stats."""

    model: Program
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    guide: Program | None
    chains: Draws | None
    method: str
    name: str
    elbo: Any = None
    means: Mapping[str, Tensor] = {}  # what is known of a chain as a whole: (chains,)

    def run(self, program: Program) -> poutine.Trace:
        """Trace the ``program`` on the arguments."""
        return poutine.trace(program).get_trace(*self.args, **self.kwargs)

    def guides(self, draws: int | None) -> list[poutine.Trace]:
        """Traces of the latents alone, one for each draw, chain after chain."""
        if self.chains is not None:
            kept = self.chains.thinned(draws or self.chains.draws)
            return [poutine.trace(point(values)).get_trace() for values in kept]
        return [self.run(self.guide) for _ in range(draws or DRAWS)] if self.guide else []


def drawer(fitted: Any, model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], elbo: Any) -> Drawer:
    """Tell what was fitted."""
    if isinstance(fitted, PyroFit):
        if elbo is not None:
            raise DataError("elbo: this fit knows its own history")
        if model is None and not args and not kwargs:
            args, kwargs = fitted.arguments
        model = model or fitted.model
        return Drawer(model, args, kwargs, fitted.guide, None, str(fitted.method), _name(model), fitted.elbo)
    known = isinstance(fitted, MCMC | StreamingMCMC | pyro.infer.SVI)
    if isinstance(fitted, ProbabilisticModel | type) or not (known or callable(fitted)):
        raise DataError(
            f"posterior: expected what fit or fit_pyro returned, Pyro's MCMC after its run, its SVI, or a "
            f"guide; got {called(fitted)}"
        )
    if isinstance(fitted, StreamingMCMC):
        raise DataError("fitted: StreamingMCMC keeps no draws: run pyro.infer.MCMC")
    if model is None:
        raise DataError("model: expected the Pyro model after what was fitted: to_arviz(fitted, model, data)")
    if not callable(model) or isinstance(model, type):
        raise DataError(f"model: expected a Pyro program, got {called(model)}")
    if isinstance(fitted, MCMC):
        if elbo is not None:
            raise DataError("elbo: chains have none")
        if fitted._samples is None:
            raise DataError("fitted: this MCMC has no draws yet: run it, mcmc.run(…)")
        chains = Draws(fitted.get_samples(group_by_chain=True), _stats(fitted))
        sampler = type(fitted.kernel).__name__
        return Drawer(model, args, kwargs, None, chains, sampler, _name(model), means=_means(fitted))
    guide = fitted.guide if isinstance(fitted, pyro.infer.SVI) else fitted
    if isinstance(guide, AutoGuide) and guide.prototype_trace is None:
        raise DataError(f"fitted: this {type(guide).__name__} never ran: train it first, svi.step(…)")
    return Drawer(model, args, kwargs, guide, None, f"SVI with {_name(guide)}", _name(model), elbo)


def _name(program: Any) -> str:
    """What a program is called."""
    name = getattr(program, "name", None) if isinstance(program, nn.Module) else None
    return str(name or getattr(program, "__name__", type(program).__name__))


def _told(mcmc: MCMC, name: str) -> list[Any] | None:
    """What the kernel tells of every chain, if it does."""
    found = mcmc.diagnostics().get(name, {}) if all(mcmc._diagnostics) else {}
    each = [found.get(f"chain {i}") for i in range(mcmc.num_chains)]
    return None if None in each else each


def _stats(mcmc: MCMC) -> Named:
    """What the kernel tells of every draw: (chains, draws). Pyro's own tell which diverged."""
    stats, shape = {}, (mcmc.num_chains, mcmc.num_samples)
    if (divergent := _told(mcmc, "divergences")) is not None:
        stats["diverging"] = torch.zeros(shape, dtype=torch.bool)
        for chain, draws in enumerate(divergent):
            stats["diverging"][chain, draws] = True
    for name, kind in STATS.items():
        each = _told(mcmc, name)
        if each is not None and all(isinstance(told, list) and len(told) == shape[1] for told in each):
            stats[name] = torch.tensor(each, dtype=kind)
    return stats


def _means(mcmc: MCMC) -> Named:
    rates = _told(mcmc, "acceptance rate")
    return {} if rates is None else {"accepted": torch.tensor(rates, dtype=torch.float64)}


@contextmanager
def running(seed: int, *programs: Any) -> Iterator[Callable[[], None]]:
    """Run bare Pyro programs on the parameters in the global store, and leave them and it as they were.

    What it gives refuses, once they ran, parameters that the store did not have.
    """
    store, local = pyro.get_param_store(), pyro.settings.get("module_local_params")
    local = local or any(hasattr(program, "parameters_by_name") for program in programs)  # of fit_pyro
    before = store.get_state()
    known = set(before["params"])
    with isolated(seed), ExitStack() as stack:
        stack.enter_context(pyro.settings.context(module_local_params=local))
        stack.enter_context(whole_plates())
        store.set_state(before)
        for program in programs:
            for module in (program, getattr(program, "__self__", None)):
                if isinstance(module, nn.Module):
                    for part in module.modules():
                        stack.callback(setattr, part, "training", part.training)
                    module.eval()

        def refuse_untrained() -> None:
            if new := sorted(set(store.get_state()["params"]) - known):
                raise DataError(
                    f"pyro.param({new[0]!r}) is not in Pyro's param store, so it has its initial value. "
                    f"Train first, call before pyro.clear_param_store(), or pass what fit_pyro returned"
                )

        yield refuse_untrained

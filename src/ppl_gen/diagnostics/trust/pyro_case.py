"""What `fit_pyro` returned under examination: what of `diagnose` applies without a declared joint."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from torch import Tensor

from ppl_gen.diagnostics.trees.subsamples import whole_plates
from ppl_gen.diagnostics.trees.trees import to_arviz
from ppl_gen.diagnostics.trust.along import Along, inputs_of
from ppl_gen.diagnostics.trust.case import RUNS, Case
from ppl_gen.diagnostics.trust.data_checks import unmasked
from ppl_gen.diagnostics.trust.pyro_drawn import traces
from ppl_gen.diagnostics.trust.pyro_given import given_rows
from ppl_gen.errors import DataError, NonFinite
from ppl_gen.inference import PyroFit, fit_pyro
from ppl_gen.inference.elbo import Terms
from ppl_gen.isolation import isolated


@dataclass
class PyroCase(Case):
    """A case whose programs are called with the arguments of the fit."""

    posterior: Any
    fitted: PyroFit

    @classmethod
    def of(cls, found: PyroFit, seed: int, quality: Any) -> "PyroCase":
        """The pair, as the checks look at it."""
        args, kwargs = found.arguments
        seen = SimpleNamespace(
            guide=found.guide, method=found.method, evidence=None, yesterday=None, point=False,
            elbo=found.elbo, joint=SimpleNamespace(model=partial(_called, found.model, args, kwargs)),
        )  # fmt: skip
        return cls(seen, {}, seed, quality, found)

    @cached_property
    def data(self) -> Any:
        """Nothing: the data are in the program."""
        return SimpleNamespace(values={}, observed={}, n=0)

    @cached_property
    def runs(self) -> list[Terms]:
        """The factors of some draws of the guide."""
        with isolated(self.seed):
            return [Terms(*traces(self.fitted), 0) for _ in range(RUNS)]


def _called(model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    with whole_plates():
        return model(*args, **kwargs)


def continued(found: PyroFit, steps: int, seed: int, **settings: Any) -> tuple[float, float, Tensor] | None:
    """By how many nats so many more steps raise the bound, with what error, and its history meanwhile.

    The ``settings`` are of SVI, where they are to differ. None if none can be made.
    """
    method = replace(found.method, steps=steps, seed=found.method.seed + 1, compile=False, tolerance=None)
    method = replace(method, checkpoint=None, progress=False, **settings)
    args, kwargs = found.arguments
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            on = fit_pyro(found.model, found.guide, method, *args, **kwargs)
        except (NonFinite, DataError):
            return None
    (before, error), (after, its) = (each.estimate_elbo(200, seed) for each in (found, on))
    return after - before, float(np.hypot(error, its)), on.elbo


def replicated(found: PyroFit, draws: int, seed: int) -> dict[str, tuple[Any, Any, Any, Along | None, float]]:
    """Rows, and rows drawn anew: name -> density, (n, …), (n, draws, …), what its rows are given, and the
    share of the replicates' variance that is by the parameters: of p effective ones (Watanabe 2010), p / n of
    the rest.
    """
    groups = ["posterior_predictive", "observed_data", "log_likelihood"]
    tree = to_arviz(found, draws=draws, seed=seed, groups=groups)
    with isolated(seed):
        p, _ = traces(found)
    rows, given = {}, given_rows(found, seed)
    for name in map(str, tree["posterior_predictive"].data_vars):
        y, new = (np.array(tree[f"{group}/{name}"]) for group in ("observed_data", "posterior_predictive"))
        if y.ndim and new.shape[2:] == y.shape:
            along = inputs_of(given.get(name, {}), len(y))
            scored = tree["log_likelihood"].get(name)  # none where a latent that was summed out couples rows
            effective = np.nan if scored is None else np.array(scored)[0].var(0).sum() / y.size
            share = float(np.nan_to_num(effective / (1 + effective)))
            rows[name] = p[name]["fn"], *unmasked(p[name], y, np.moveaxis(new[0], 0, 1)), along, share
    return rows

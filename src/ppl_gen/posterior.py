"""What `fit` returns: a model, and what the data say about its latent variables."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from ppl_gen.checks import whole
from ppl_gen.core import ProbabilisticModel, Site, arguments, run, variables
from ppl_gen.errors import DataError, NoEvidence
from ppl_gen.inference.nuts import Draws
from ppl_gen.inference.svi import estimate_elbo
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """The posterior distribution that a method of inference found. Nothing in it changes after `fit`.

    Attributes:
        model: the fitted model: the same joint with updated hyperparameters (`Exact`) or trained
            parameters (`SVI`).
        prior: the model before these data.
        guide: the program that draws the latents; None if the updated model itself is the posterior.
        method: how it was found.
        elbo: the history of the evidence lower bound in nats, float64, one number for each step: one
            draw's estimate, which scatters about the bound. `estimate_elbo` averages.
        n: the number of rows of the last fit.
        shapes, dtypes: of the data of the last fit, by name.
        sites: the latent variables and the rows' variables, as one run of the model shows them.
        fingerprints: one hash for each data set that went in, in order.
        data: the data of the last fit (held in memory, never saved), or None after `load`.
        note: what happened on the way, if anything did.
    """

    model: ProbabilisticModel
    prior: ProbabilisticModel
    guide: Any
    method: Any
    elbo: Tensor
    n: int
    shapes: Mapping[str, tuple[int, ...]]
    sites: Mapping[str, Site]
    fingerprints: tuple[str, ...]
    evidence: float | None = None
    yesterday: Any = None
    data: Data | None = None
    note: str = ""
    dtypes: Mapping[str, torch.dtype] = field(default_factory=dict)
    _drawn: dict[tuple[int, int | None], dict[str, Tensor]] = field(default_factory=dict)

    @property
    def log_evidence(self) -> float:
        """The exact log evidence of all rows seen, in nats.

        Raises:
            NoEvidence: the method does not know it; the message says what bounds it.
        """
        if self.evidence is None:
            raise NoEvidence(
                f"the log evidence of {type(self.model).__name__} under {type(self.method).__name__} has no "
                f"closed form. posterior.elbo bounds it from below; Exact() knows it for conjugate models."
            )
        return self.evidence

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the latent variables that all rows share."""
        return tuple(name for name, site in self.sites.items() if not site.local)

    def draw(self, draws: int = 1000, seed: int | None = None) -> dict[str, Tensor]:
        """Draws of the parameters: name -> tensor of shape ``(draws, *shape)``.

        Args:
            draws: how many.
            seed: None draws anew at every call.
        """
        whole("draws", draws)
        if seed is not None and (draws, seed) in self._drawn:
            return self._drawn[draws, seed]
        if not self.parameters:
            return {}
        with isolated(seed):
            if isinstance(self.guide, Draws):
                stacked = self.guide.some(draws)
            else:
                drawn = [self._draw_once() for _ in range(draws)]
                stacked = {name: torch.stack([d[name] for d in drawn]) for name in drawn[0]}
        if seed is not None:
            self._drawn[draws, seed] = stacked
        return stacked

    def latents(self, **values: Any) -> Any:
        """The program that draws the latents: the guide, or the updated model's own parameters."""
        if self.guide is not None:
            return self.guide(**arguments(self.guide, values))
        with poutine.block(expose=list(self.parameters)):
            return self.model.model(**arguments(self.model.model, {**values, "n": 1}))

    def _draw_once(self) -> dict[str, Tensor]:
        values = self.zeros(1) if self.data is None else self.data.take(torch.arange(1)).values
        found = variables(run(self.latents, values))
        return {name: found[name]["value"] for name in self.parameters if name in found}

    def zeros(self, rows: int) -> dict[str, Any]:
        """``rows`` rows of zeros in the place of the data: what programs run on when there are none."""
        shapes = {name: (rows, *s[1:]) if s[:1] == (self.n,) else s for name, s in self.shapes.items()}
        return {name: torch.zeros(s, dtype=self.dtypes.get(name)) for name, s in shapes.items()} | {"n": rows}

    def estimate_elbo(self, draws: int = 100, seed: int = 0, **data: Any) -> tuple[float, float]:
        """The ELBO in nats and its Monte-Carlo standard error, averaged over ``draws`` of the guide.

        Without ``data`` it is the bound on the log evidence of the data that were fitted; with ``data``,
        of those data under the same guide. For an exact posterior every draw gives the log evidence.
        """
        whole("draws", draws)
        if isinstance(self.guide, Draws):
            raise NoEvidence(
                f"the draws of {type(self.method).__name__} have no density, so there is no ELBO. "
                f"Exact(), Laplace() or SVI() give one for the same model."
            )
        with isolated(seed):
            values = admit(self.model, data, missing=True) if data else self.fitted_data()
            joint = self.prior if self.guide is None else self.model
            return estimate_elbo(joint.model, self.latents, values, draws, self.yesterday)

    def fitted_data(self) -> Data:
        """The data of the last fit.

        Raises:
            DataError: they are not there (after `load`), or were changed in place since.
        """
        if self.data is None:
            raise DataError("the data of this posterior are not saved with it: pass them by name, x=…")
        if self.data.fingerprint() != self.fingerprints[-1]:
            raise DataError(
                "the data of this posterior were changed in place after the fit: pass them by name, x=…"
            )
        return self.data

    def __str__(self) -> str:
        rows = f"{self.n:,} row{'s' * (self.n != 1)} of {', '.join(self.shapes)}"
        last = f" (mean of the last {min(50, len(self.elbo))} steps)" if len(self.elbo) > 1 else ""
        evidence = (
            f"log evidence {self.evidence:,.3f} nats (exact)"
            if self.evidence is not None
            else "none: draws have no density"
            if isinstance(self.guide, Draws)
            else f"ELBO {self.elbo[-50:].mean():,.2f} nats{last}"
        )
        lines = [
            f"Posterior of {type(self.model).__name__} given {rows}",
            f"  joint   {self.model.joint}",
            f"  method  {self.method}",
            f"  bound   {evidence}",
        ]
        return "\n".join(lines + ([f"  note    {self.note}"] if self.note else []))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>{self.model.drawn(observed=tuple(self.shapes))}"

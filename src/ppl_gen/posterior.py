"""What `fit` returns: a model, and what the data say about its latent variables."""

import functools
import html
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ppl_gen.checks import whole
from ppl_gen.core import ProbabilisticModel, Program, Site, arguments, run, variables
from ppl_gen.errors import DataError, NoEvidence
from ppl_gen.inference.cross_validation import CrossValidation, note
from ppl_gen.inference.elbo import log_weights
from ppl_gen.inference.em import EM
from ppl_gen.inference.exact import Exact, knows_expectations
from ppl_gen.inference.guides import Point
from ppl_gen.inference.maximum_likelihood import MaximumLikelihood
from ppl_gen.inference.nuts import Draws
from ppl_gen.inference.variational_bayes import VariationalBayes
from ppl_gen.inputs import Data, admit, may_repeat
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.tables import Encoder


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
        columns: what a data frame, or the table of `ppl-gen fit`, called the columns of a variable; frames
            are matched with them by name.
        classes: where classes came by name, what the codes 0, 1, … of a variable stand for.
        encoder: of the columns of x in the table of `ppl-gen fit`: their families, and what codes stand for.
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
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    encoder: Encoder | None = None
    _drawn: dict[tuple[int, int | None], dict[str, Tensor]] = field(default_factory=dict)

    @property
    def log_evidence(self) -> float:
        """The exact log evidence of all rows seen, in nats.

        Raises:
            NoEvidence: the method does not know it; the message says what bounds it.
        """
        if self.point:
            raise NoEvidence(
                f"{type(self.method).__name__} finds a point, which has neither evidence nor a bound on it. "
                f"{self._instead()}"
            )
        if isinstance(self.method, CrossValidation):
            raise NoEvidence(
                f"{type(self.model).__name__} has no evidence: what cross-validation chooses has no prior to "
                f"integrate over, and each row's density is made of the rows themselves. Its score is "
                f"posterior.model.leave_one_out, the log likelihood of each row given the others."
            )
        if self.evidence is None:
            bound = "posterior.elbo bounds it from below. " if len(self.elbo) else ""
            raise NoEvidence(
                f"the log evidence of {type(self.model).__name__} under {type(self.method).__name__} has no "
                f"closed form. {bound}{self._instead()}"
            )
        return self.evidence

    def _instead(self) -> str:
        """In words, the methods that know the log evidence of such data, or a bound on it."""
        names = self.sites.keys() - self.shapes.keys()
        hidden = any(self.sites[name].local and self.sites[name].levels for name in names)
        if hidden or isinstance(self.method, EM | VariationalBayes):
            labels = ["VariationalBayes()"] * knows_expectations(self.model) + ["SVI()"]
            return f"Where labels are hidden, {' and '.join(labels)} bound{'s' * (len(labels) == 1)} it."
        exact = "Exact() knows it; " if hasattr(self.model, "updated") else ""
        return f"{exact}SVI() bounds it."

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the latent variables that all rows share."""
        return tuple(name for name, site in self.sites.items() if not site.local)

    @property
    def point(self) -> dict[str, Tensor]:
        """The parameters, if the method found a single value of each (as `MAP` does); else empty."""
        return self.guide.values if isinstance(self.guide, Point) else {}

    @property
    def joint(self) -> ProbabilisticModel:
        """The joint of the data fitted: the latents as they were before, all else as trained or chosen."""
        if isinstance(self.method, CrossValidation):
            model: Any = self.model
            chosen: ProbabilisticModel = model.before(self.prior)
            return chosen
        return self.prior if self.guide is None and self.parameters else self.model

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
        if self.point:
            return {name: value.repeat(draws, *[1] * value.dim()) for name, value in self.point.items()}
        with isolated(seed):
            if isinstance(self.guide, Draws):
                stacked = self.guide.some(draws)
            else:
                drawn = [self._draw_once() for _ in range(draws)]
                stacked = {name: torch.stack([d[name] for d in drawn]) for name in drawn[0]}
        if seed is not None:
            self._drawn[draws, seed] = stacked
        return stacked

    def latents_of(self, data: Data) -> Program:
        """The program that draws the latents of these rows."""
        if self.guide is not None or not self.model.inverse:
            return self.latents
        model: Any = self.model
        exact = pyro.condition(model.inverted, data={**data.observed, **data.gaps})

        def codes(**values: Any) -> Any:
            with poutine.block(hide=list(data.observed)):
                return exact(**arguments(model.inverted, values))

        return codes

    def latents(self, **values: Any) -> Any:
        """The program that draws the latents: the guide, or the updated model's own parameters."""
        if self.guide is not None:
            return self.guide(**arguments(self.guide, values))
        with poutine.block(expose=list(self.parameters)):
            return self.model.model(**arguments(self.model.model, {**values, "n": 1}))

    def _draw_once(self) -> dict[str, Tensor]:
        values = self.zeros(1) if self.data is None else self.data.take(slice(1)).values
        found = variables(run(self.latents, values))
        return {name: found[name]["value"] for name in self.parameters if name in found}

    def zeros(self, rows: int) -> dict[str, Any]:
        """``rows`` rows of zeros in the place of the data: what programs run on when there are none."""
        shapes = {name: (rows, *s[1:]) if s[:1] == (self.n,) else s for name, s in self.shapes.items()}
        return {name: torch.zeros(s, dtype=self.dtypes.get(name)) for name, s in shapes.items()} | {"n": rows}

    def shapes_of(self, n: int) -> dict[str, tuple[int, ...]]:
        """The shapes of data such as these of ``n`` rows."""
        rows = {name for name, site in self.sites.items() if site.local} | Factorization(
            self.model.joint
        ).given
        return {name: (n, *s[1:]) if name in rows else s for name, s in self.shapes.items()}

    def estimate_elbo(self, draws: int = 100, seed: int = 0, **data: Any) -> tuple[float, float]:
        """The ELBO in nats and its Monte-Carlo standard error, averaged over ``draws`` of the guide.

        Without ``data`` it is the bound on the log evidence of the data that were fitted; with ``data``,
        of those data under the same guide. For an exact posterior every draw gives the log evidence.
        """
        total = self.weighted(draws, seed, **data)[0].sum(1)
        return total.mean().item(), (total.std() / draws**0.5).item() if draws > 1 else math.nan

    def weighted(self, draws: int = 100, seed: int = 0, **data: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """log p(data, latents) - log q(latents) in nats for draws of the posterior, and the draws by name.

        Their mean is the ELBO, the log of the mean of their exponentials the importance-weighted log
        evidence. Shape (draws, n), one for each row, where rows have latents of their own alone; else
        (draws, 1), all rows together. The draws are of the parameters. Data are as in `estimate_elbo`.

        Raises:
            NoEvidence: draws or a point have no density.
        """
        whole("draws", draws)
        if isinstance(self.guide, Draws):
            raise NoEvidence(
                f"the draws of {type(self.method).__name__} have no density, so there is no ELBO, the bound "
                f"on the log evidence. {self._instead()}"
            )
        if self.point:
            raise NoEvidence(
                f"{self.guide.what} has no ELBO, the bound on the log evidence: log q of it is infinite. "
                f"{self._instead()}"
            )
        if isinstance(self.method, CrossValidation):
            raise NoEvidence(
                "there is no ELBO, since there is no evidence to bound: see posterior.model.leave_one_out"
            )
        with isolated(seed):
            values = admit(self.model, data, missing=True, like=self) if data else self.fitted_data()
            latents = self.latents_of(values)
            found = values.values, values.observed, draws, self.yesterday, values.seen
            return log_weights(self.joint.model, latents, *found)

    def fitted_data(self) -> Data:
        """The data of the last fit.

        Raises:
            DataError: they are not there (after `load`), or were changed in place since.
        """
        if self.data is None:
            names = ", ".join(f"{name}=…" for name in self.shapes)
            raise DataError(
                f"this posterior holds no data, since it was read from a file or its fit read them in "
                f"batches, and neither keeps any: pass them by name, {names}"
            )
        if self.data.fingerprint() != self.fingerprints[-1]:
            raise DataError(
                "the data of this posterior were changed in place after the fit: pass them by name, x=…"
            )
        return self.data

    def __str__(self) -> str:
        rows = f"{self.n:,} row{'s' * (self.n != 1)} of {', '.join(self.shapes)}"
        if self.evidence is not None:
            evidence = f"log evidence {self.evidence:,.3f} nats (exact)"
        elif self.point:
            height = f", log density {self.elbo[-1]:,.3f} nats" if len(self.elbo) else ""
            evidence = f"none ({self.guide.what}{height})"
        elif isinstance(self.method, CrossValidation):
            evidence = "none (cross-validated)"
        elif isinstance(self.guide, Draws):
            evidence = "none: draws have no density"
        elif isinstance(self.method, VariationalBayes):  # without draws
            evidence = f"ELBO {self.elbo[-1]:,.3f} nats"
        else:
            last = f" (mean of the last {min(50, len(self.elbo))} steps)" if len(self.elbo) > 1 else ""
            evidence = f"ELBO {self.elbo[-50:].mean():,.2f} nats{last}"
        lines = [
            f"Posterior of {type(self.model).__name__} given {rows}",
            f"  joint   {self.model.joint}",
            f"  method  {self.method}",
            f"  bound   {evidence}",
        ]
        return "\n".join(lines + ([f"  note    {self.note}"] if self.note else []))

    __repr__ = __str__

    def __add__(self, other: "Posterior") -> "Posterior":
        """The posterior given the rows of both; see `merge`."""
        if not isinstance(other, Posterior):
            return NotImplemented
        self._refuse_merging(other)
        model, guide, evidence = self.model, self.guide, None
        if isinstance(guide, Point):
            prior: Any = guide.counted.flat()
            guide = self.method.point(guide.counted.merged(other.guide.counted, prior))
        else:
            prior = self.prior
            model = model.merged(other.model, prior)
            if isinstance(self.method, Exact):
                evidence = float(model.log_normalizer() - prior.log_normalizer())
        n = self.n + other.n
        return replace(
            self,
            model=model,
            guide=guide,
            elbo=self.elbo if evidence is None else torch.tensor([evidence], dtype=torch.float64),
            n=n,
            shapes=self.shapes_of(n),
            fingerprints=self.fingerprints + other.fingerprints,
            evidence=evidence,
            data=None,
            note=note(model) if isinstance(self.method, CrossValidation) else self.note,
            _drawn={},
        )

    def _refuse_merging(self, other: "Posterior") -> None:
        mine, theirs = self.prior.state_dict(), other.prior.state_dict()
        same = type(self.model) is type(other.model) and self.method == other.method
        if (
            not same
            or not hasattr(self.model, "merged")
            or not isinstance(self.method, Exact | MaximumLikelihood | CrossValidation)
        ):
            raise DataError(
                f"merge: expected posteriors of one conjugate model by one method, got "
                f"{type(self.model).__name__} by {self.method} and {type(other.model).__name__} by "
                f"{other.method}"
            )
        if mine.keys() != theirs.keys() or not all(torch.equal(mine[name], theirs[name]) for name in mine):
            raise DataError(
                "merge: these posteriors have different priors, so what they share would count twice. Fit "
                "each shard from the same model, in one go: fit(model, method, batches)"
            )
        for what in ("classes", "columns"):
            if getattr(self, what) != getattr(other, what):
                raise DataError(
                    f"merge: expected posteriors of the same {what} in the same order, got "
                    f"{dict(getattr(self, what))} and {dict(getattr(other, what))}"
                )
        unique = not may_repeat(self.sites, self.shapes)
        if unique and set(self.fingerprints) & set(other.fingerprints):
            raise DataError("merge: both posteriors were given the same rows; they would be counted twice")

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>{self.model.drawn(observed=tuple(self.shapes))}"


def merge(*posteriors: Posterior) -> Posterior:
    """The posterior given the rows of all, of conjugate posteriors fitted on disjoint shards from one prior.

    Every worker fits its shard; the hyperparameters add up, and the evidence follows from them. ``a + b``
    is the same for two.

    Raises:
        DataError: their priors differ, or they share rows.

    >>> from ppl_gen import fit
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> nb = GaussianNaiveBayes(classes=2, features=1)
    >>> both = merge(fit(nb, x=[[0.], [1.]], y=[0, 0]), fit(nb, x=[[5.]], y=[1]))
    >>> round(both.log_evidence, 6)
    -13.829919
    """
    if not posteriors or not all(isinstance(p, Posterior) for p in posteriors):
        raise DataError("merge: expected posteriors, as fit returned them")
    return functools.reduce(operator.add, posteriors)

"""How good a guide is: what the draws of an approximate posterior say when the joint weighs them."""

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ppl_gen.checks import called, whole
from ppl_gen.diagnostics.choosing.moments import Moments, in_words, moments
from ppl_gen.diagnostics.trust.drawn import Drawn, drawn, fitted_rows
from ppl_gen.diagnostics.trust.pyro_drawn import pyro_drawn
from ppl_gen.diagnostics.trust.starts import Starts, restarted
from ppl_gen.errors import DataError, NoEvidence, Unanswerable
from ppl_gen.fit import fit
from ppl_gen.inference import NUTS, PyroFit
from ppl_gen.inference.evidence import log_mean_exp, log_mean_exp_error, pareto_k, pareto_smoothed
from ppl_gen.inference.nuts import Draws
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior

NEARLY = 0.9  # of the draws: so even are the weights of a guide that needs none
HANDFUL = 20  # effective draws: fewer know an sd to no better than 16 %
BOOTSTRAP = 200  # resamples behind the range of k-hat
SHORT = NUTS(draws=300, warmup=300, chains=2, progress=False)  # the budget of a comparison with NUTS
NEW_ROWS = (
    "these are not the rows of the last fit, which alone tell how far its posterior is from the right one; "
    "name those, in their order"
)
AFFORDABLE = 2_000_000  # cells of data times numbers drawn, beyond which even that is long


@dataclass(frozen=True, eq=False)
class GuideQuality:
    """How near the draws of a guide come to the posterior, by `guide_quality`. In nats where not said.

    Attributes:
        draws: how many.
        k_hat: of the importance weights; -inf where all are equal, as of an exact posterior. Where every row
            has weights of its own, the median row's.
        k_hat_range: where k-hat lies in nine of ten bootstrap resamples of the draws.
        threshold: min(1 - 1 / log10(draws), 0.7), up to which averages by these weights can be trusted.
        above: the share of the rows (or of the one joint weight) whose k-hat lies above it.
        effective: how many equally weighted draws the weights are worth; the median row's.
        elbo, elbo_error: the bound and its standard error.
        log_evidence, evidence_error: importance-weighted with smoothed weights; or exact, with error 0.
            Unless `trusted`, no more than a lower bound, whose error is too small.
        guide: means and sds of the parameters under the guide, of positive ones also of their logarithms
            ("log tau"), whose sds a few draws tell better. corrected: the same, weighted; None where rows
            alone have latents.
        reference: those of a short run of NUTS, if it was asked for. why: else, in words, why not.
        rows: k-hat of every row (n,), where each has weights of its own.
        starts: the bounds of other starts, if they were asked for.
        scored: the draws themselves.
    """

    draws: int
    k_hat: float
    k_hat_range: tuple[float, float]
    threshold: float
    above: float
    effective: float
    elbo: float
    elbo_error: float
    log_evidence: float
    evidence_error: float
    guide: Moments | None
    corrected: Moments | None
    reference: Moments | None
    why: str
    rows: Tensor | None
    scored: Drawn
    starts: Starts | None = None

    @property
    def exact(self) -> bool:
        """Whether all weights are equal: the draws come from the posterior itself."""
        return self.k_hat == -math.inf and self.above == 0

    @property
    def gap(self) -> float:
        """Log evidence less ELBO: the divergence KL(q || posterior) in nats; 0 if the posterior is exact."""
        return self.log_evidence - self.elbo

    @property
    def gap_error(self) -> float:
        """Standard error of the gap, as if the two parts were independent."""
        return math.hypot(self.evidence_error, self.elbo_error)

    @property
    def trusted(self) -> bool:
        """Whether weights can mend the guide, or need not: k-hat (the median row's) is within its threshold,
        and the draws are `enough`; or they are worth nearly as many of the posterior, whatever lies in the
        far tail.
        """
        return (self.k_hat <= self.threshold and self.enough) or self.effective > NEARLY * self.draws

    @property
    def enough(self) -> bool:
        """Whether k-hat can know the tail of the weights: more than a handful of draws have a share, and
        there are more of them than exp(gap), as many as it takes to meet the posterior (Chatterjee and
        Diaconis 2018, The sample size required in importance sampling).
        """
        return self.rows is not None or (self.effective >= HANDFUL and self.gap < math.log(self.draws))

    @property
    def undecided(self) -> bool:
        """Whether these draws leave open on which side of its threshold k-hat lies."""
        low, high = self.k_hat_range
        return low < self.threshold < high and self.effective <= NEARLY * self.draws

    def in_nats(self, value: float, error: float) -> str:
        """The log evidence or the gap in words; where weights are not to be trusted, a lower bound.

        Their mean is then that of few draws, which hardly ever lies above the evidence, and its standard
        error, by the same few, is far too small.
        """
        if self.trusted or self.rows is not None:
            return _nats(value, error)
        return f"{value:,.3f} nats or more (unreliable: k-hat {self.k_hat:.2f})"

    @property
    def best(self) -> tuple[Moments | None, str]:
        """The most trusted means and sds to compare the guide with, and what they are by."""
        if self.reference is not None:
            return self.reference, "NUTS"
        return (self.corrected, "weighted draws") if self.trusted else (None, "")

    def __str__(self) -> str:
        low, high = self.k_hat_range
        k_hat = "exact" if self.exact else f"{self.k_hat:.2f} ({low:.2f} to {high:.2f})"
        if self.rows is not None and not self.exact:
            k_hat = f"{self.k_hat:.2f} in the median row, above {self.threshold:.2f} in {self.above:.0%}"
        lines = [
            f"k-hat         {k_hat}, to be at most {self.threshold:.2f}",
            f"draws         {self.draws:,}, worth {self.effective:,.0f} of the posterior",
            f"ELBO          {_nats(self.elbo, self.elbo_error)}",
            f"log evidence  {self.in_nats(self.log_evidence, self.evidence_error)}",
            f"gap           {self.in_nats(self.gap, self.gap_error)}",
        ]
        best, by = self.best
        if best is not None and self.guide is not None:
            lines.append(f"parameters    {in_words(self.guide, best, by) or f'as by {by}, up to noise'}")
        lines += [f"NUTS          {self.why}"] if self.why else []
        return "\n".join([*lines, *([f"starts        {self.starts}"] if self.starts else [])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def not_fitted(came: Any) -> DataError:
    """The error for what is no posterior; of Pyro's own SVI, with the way to one."""
    way = (
        ": fit_pyro(model, guide, …) trains a bare pair" if type(came).__module__.startswith("pyro.") else ""
    )
    return DataError(f"posterior: expected what fit or fit_pyro returned, got {called(came)}{way}")


def guide_quality(
    posterior: Posterior | PyroFit,
    /,
    *,
    draws: int = 1000,
    seed: int = 0,
    nuts: bool | NUTS = False,
    restarts: int = 0,
    **data: Any,
) -> GuideQuality:
    """Judge a posterior by its own draws: how far the weights log p - log q of the joint are from equal.

    Their k-hat says whether averages over them can be trusted, how far the bound lies below the log
    evidence, and what they correct in means and sds. A posterior that misses a whole mode looks well here:
    no draw comes near it (Yao et al. 2018, Yes, but did it work?; Vehtari et al. 2024, Pareto smoothed
    importance sampling).

    Args:
        posterior: what `fit` returned, if it has a density: exact, variational, or Laplace's; or what
            `fit_pyro` returned, on the arguments of its fit.
        draws: of it.
        seed: decides them.
        nuts: compare means and sds with NUTS as well: True runs two chains of 300 draws after 300 of
            warm-up, where the data are small enough for that; or a method of your own settings.
        restarts: fits of EM, variational Bayes or SVI from other starts, whose bounds are compared: as long
            as so many fits. Of the rows of the last fit.
        data: the rows of the last fit, where the posterior holds them no more; others only of models without
            parameters, whose guide is given each row.

    Raises:
        NoEvidence: draws of NUTS, and points, have no density; or these are not the rows that were fitted.
        DataError: this is neither; or NUTS, other starts or other data are asked for of a bare Pyro program.

    >>> from ppl_gen import SVI, fit
    >>> from ppl_gen.models import LinearRegression
    >>> x, y = [[0.], [1.], [2.], [3.]], [1.1, 2.9, 5.1, 6.9]
    >>> found = guide_quality(fit(LinearRegression(features=1), x=x, y=y), draws=100)
    >>> found.exact, abs(found.gap) < 1e-9
    (True, True)
    """
    whole("draws", draws, least=50), whole("seed", seed, least=0), whole("restarts", restarts, least=0)
    if not isinstance(nuts, bool | NUTS):
        raise DataError(f"nuts: expected True, False or NUTS(…), got {called(nuts)}")
    if isinstance(posterior, PyroFit):
        for name, asked in {"nuts": nuts, "restarts": restarts, **data}.items():
            if name in data or asked:
                raise DataError(
                    f"{name}: does not apply to what fit_pyro returned, which knows its own arguments and no "
                    f"declared joint; write a ProbabilisticModel and fit that"
                )
        return _quality(pyro_drawn(posterior, draws, seed), seed, None)
    if not isinstance(posterior, Posterior):
        raise not_fitted(posterior)
    if posterior.parameters and not fitted_rows(posterior, data):
        raise NoEvidence(NEW_ROWS)
    found = drawn(posterior, draws, seed, data)
    quality = _quality(found, seed, evidence_of_last_rows(posterior) if not data else None)
    if nuts:
        reference, why = _by_nuts(posterior, nuts, seed, data, found.positive)
        quality = replace(quality, reference=reference, why=why)
    return replace(quality, starts=restarted(posterior, restarts, seed)) if restarts else quality


def evidence_of_last_rows(posterior: Posterior) -> float | None:
    """The exact log evidence of the rows of the last fit, given those before; None where it is unknown."""
    return None if posterior.evidence is None else float(posterior.elbo[-1])


def _quality(found: Drawn, seed: int, exact: float | None) -> GuideQuality:
    """Of the draws; ``exact`` is the log evidence where it is known."""
    weights = found.log_weights
    draws = len(weights)
    threshold = min(1 - 1 / math.log10(draws), 0.7)
    bad = ~torch.isfinite(weights)
    if bool(bad.any()):  # a draw outside the joint's support weighs nothing
        weights = torch.where(bad, -torch.inf, weights)
    k_hats = pareto_k(weights)
    with isolated(seed):
        index = torch.randint(draws, (draws, BOOTSTRAP))
    apart = found.apart
    k_hat = float(k_hats.median()) if apart else float(k_hats[0])
    again = pareto_k((weights.median(1).values if apart else weights[:, 0])[index])
    low, high = (float(v) for v in torch.quantile(again.double(), torch.tensor([0.05, 0.95]).double()))
    total = weights.sum(1)
    smooth = pareto_smoothed(weights)
    effective = (2 * smooth.logsumexp(0) - (2 * smooth).logsumexp(0)).exp()
    evidence = float(log_mean_exp(smooth).sum()) if exact is None else exact
    error = float(log_mean_exp_error(smooth).square().sum().sqrt()) if exact is None else 0.0
    latents = with_logs(found.latents, found.positive)
    guide = moments(latents) if latents else None
    corrected = moments(latents, smooth[:, 0].double().softmax(0)) if latents else None
    return GuideQuality(
        draws=draws,
        k_hat=k_hat,
        k_hat_range=(k_hat, k_hat) if k_hat == -math.inf or apart else (low, high),
        threshold=threshold,
        above=float((k_hats > threshold).double().mean()),
        effective=float(effective.median()),
        elbo=float(total.mean()),
        elbo_error=float(total.std() / draws**0.5),
        log_evidence=evidence,
        evidence_error=error,
        guide=guide,
        corrected=corrected,
        reference=None,
        why="",
        rows=k_hats if apart else None,
        scored=found,
    )


def _by_nuts(
    posterior: Posterior, nuts: bool | NUTS, seed: int, data: Mapping[str, Any], positive: tuple[str, ...]
) -> tuple[Moments | None, str]:
    method = nuts if isinstance(nuts, NUTS) else SHORT
    values = posterior.data if not data else None
    cells = sum(v.numel() for v in values.observed.values()) if values is not None else 0
    size = cells * sum(posterior.sites[name].event_shape.numel() for name in posterior.parameters)
    if nuts is True and size > AFFORDABLE:
        return None, f"left out: {size:,} cells times parameters are more than {AFFORDABLE:,}; pass NUTS(…)"
    rows = dict(data) if data else {**posterior.fitted_data().inputs, **posterior.fitted_data().gaps}
    try:
        found = fit(posterior.joint, method, **rows)
    except Unanswerable as error:
        return None, f"does not apply: {error}"
    guide = found.guide
    assert isinstance(guide, Draws)
    flat = {n: v.flatten(0, 1) for n, v in guide.values.items()}
    return moments(with_logs(flat, positive), chains=guide.chains), ""


def with_logs(latents: Mapping[str, Tensor], positive: tuple[str, ...]) -> dict[str, Tensor]:
    """The latents, and the logarithms of the ``positive`` ones among them."""
    return {**latents, **{f"log {name}": latents[name].log() for name in positive if name in latents}}


def _nats(value: float, error: float) -> str:
    return f"{value:,.3f} ± {error:.2g} nats" if error > 1e-9 * max(1.0, abs(value)) else f"{value:,.3f} nats"

"""The verb `log_evidence`: how probable a model finds data, all latents integrated out."""

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ppl_gen.ask import ask
from ppl_gen.checks import called
from ppl_gen.core import ProbabilisticModel
from ppl_gen.engine import Importance, LowerBound
from ppl_gen.errors import DataError, NoEvidence
from ppl_gen.fit import fit
from ppl_gen.inference import Exact
from ppl_gen.inference.evidence import log_mean_exp, log_mean_exp_error, multi_sample_bound, pareto_k
from ppl_gen.inference.exact import uncounted
from ppl_gen.inference.hidden import expects
from ppl_gen.inference.relabelling import namings
from ppl_gen.inputs import Data, admit
from ppl_gen.isolation import isolated
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior


@dataclass(frozen=True, eq=False)
class Evidence:
    """What `log_evidence` found, in nats.

    Attributes:
        total: log p of all rows together.
        standard_error: of the total, by Monte Carlo; None if it is exact.
        how: closed form, enumerated, importance sampled, or a lower bound.
        rows: log p of each row (n,), where rows are independent given the model; else None.
        row_errors: their standard errors.
        k_hat: of the importance weights, of each row or of all together; above 0.7 the figure is too low.
    """

    total: float
    standard_error: float | None
    how: str
    rows: Tensor | None = None
    row_errors: Tensor | None = None
    k_hat: Tensor | None = None

    def __float__(self) -> float:
        return self.total

    def __str__(self) -> str:
        error = "" if self.standard_error is None else f" ± {self.standard_error:.2g}"
        rows = "" if self.rows is None else f", {self.rows.mean():,.3f} a row"
        return f"log evidence {self.total:,.3f}{error} nats{rows} ({self.how})"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html.escape(str(self))


def log_evidence(
    of: ProbabilisticModel | Posterior, method: Importance | None = None, /, **data: Any
) -> Evidence:
    """The log evidence of data, per data set and, where rows are independent, per row.

    Exact where there is a closed form; enumerated where all that is hidden is finite; else weighted draws of
    the posterior's guide, with standard error and k-hat. A guide of a mixture names its components in one way
    of many; where they do not overlap it misses the rest of the evidence, and ``how`` says how much at most.

    Args:
        of: a posterior; or a model, whose parameters then need a conjugate prior, or be none.
        method: `Importance` (draws, seed); or `LowerBound`, whose ``k`` = 1 gives the ELBO and more the
            importance-weighted bound, also where the evidence is known exactly.
        data: the rows, by name; of a posterior by default those of its last fit.

    Raises:
        NoEvidence: a point, draws of NUTS, or a prior without closed form give none; says what does.

    >>> from ppl_gen import fit
    >>> from ppl_gen.models import PPCA, GaussianNaiveBayes
    >>> x = [[0.0, 0.2], [1.0, 0.9], [5.0, 5.3]]
    >>> log_evidence(GaussianNaiveBayes(classes=2, features=2), x=x, y=[0, 0, 1])
    log evidence -24.002 nats (closed form)
    >>> log_evidence(fit(PPCA(features=2, latent=1), x=x)).rows.shape
    torch.Size([3])
    """
    if not isinstance(of, ProbabilisticModel | Posterior):
        raise DataError(f"log_evidence: expected a ProbabilisticModel or a Posterior first, got {called(of)}")
    if not (method is None or isinstance(method, Importance)):
        raise DataError(f"method: expected Importance(…) or LowerBound(…), got {method!r}")
    posterior = of if isinstance(of, Posterior) else None
    p = posterior.joint if posterior else of
    assert isinstance(p, ProbabilisticModel)
    if not data and posterior is None:
        raise DataError(f"log_evidence of a model needs data named like the variables of {p.joint}")
    with isolated(0):
        known = posterior.fitted_data() if posterior is not None and not data else None
        values = known or admit(p, data, missing=True, like=posterior)
    shared = [name for name, site in values.sites.items() if not site.local and name not in values.observed]
    if posterior is not None and isinstance(method, LowerBound):
        return _weighted(posterior, method, data)
    if not shared:
        return _by_row(of, p, method, values)
    if posterior is not None and not data and posterior.evidence is not None:
        return Evidence(posterior.evidence, None, "closed form")
    if hasattr(p, "updated") and not uncounted(p, values) and not _in_part(p, values):
        everything = {**values.inputs, **values.observed, **values.gaps}
        return Evidence(fit(p, Exact(), **everything).log_evidence, None, "closed form")
    if posterior is None:
        raise NoEvidence(
            f"{type(p).__name__} is {p.joint}: {', '.join(shared)} would have to be integrated over the "
            f"prior, and few draws of it are near the data. Fit it first: log_evidence(fit(model, SVI(), …))."
        )
    return _weighted(posterior, method or Importance(), data)


def _in_part(p: ProbabilisticModel, values: Data) -> bool:
    """Whether some rows lack what the closed form needs of them: a class, or cells that depend on others."""
    labels = any(values.sites[name].levels for name in values.seen)
    return labels or (bool(values.seen) and expects(p))


def _by_row(
    of: ProbabilisticModel | Posterior, p: ProbabilisticModel, method: Importance | None, values: Data
) -> Evidence:
    """Nothing is shared by the rows: each has its own evidence, and they add up."""
    given = ", ".join(sorted(Factorization(p.joint).given))
    question = f"p({', '.join(values.observed)}{f' | {given}' if given else ''})"
    rows = {**values.observed, **values.gaps}
    answer = ask(of, question, method, **values.inputs)
    found = answer.log_prob(**{name: rows[name] for name in values.observed})
    error = answer.standard_error
    total = None if error is None else float(error.square().sum().sqrt())
    how = "closed form" if answer.how == "exact" else answer.how
    return Evidence(float(found.sum()), total, how, found, error, answer.k_hat)


def _weighted(posterior: Posterior, method: Importance, data: Mapping[str, Any]) -> Evidence:
    """By draws of the posterior, weighted by log p - log q."""
    weights, drawn = posterior.weighted(method.draws, method.seed, **data)
    if isinstance(method, LowerBound):
        value, error = multi_sample_bound(weights, method.k)
        how, k_hat = f"lower bound (K = {method.k:,}, {method.draws:,} draws)", None
    else:
        value, error, k_hat = log_mean_exp(weights), log_mean_exp_error(weights), pareto_k(weights)
        how = f"importance sampled ({method.draws:,} draws, k-hat {k_hat.median():.2f})"
        like = posterior
        values = admit(like.joint, data, missing=True, like=like) if data else like.fitted_data()
        ways = namings(posterior.joint, values, {name: v[0] for name, v in drawn.items()})
        if ways > 1:
            how += (
                f"; of {ways:,} namings of the components, the guide may know one: "
                f"up to {math.log(ways):.2f} nats too low"
            )
    total, spread = float(value.sum()), float(error.square().sum().sqrt())
    apart = weights.shape[1] > 1
    return Evidence(total, spread, how, value if apart else None, error if apart else None, k_hat)

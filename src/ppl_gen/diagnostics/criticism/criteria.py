"""What a fitted model is worth, in nats: log evidence, LOO, held-out rows, BIC; and how that was obtained."""

import math
import warnings
from typing import Any, NamedTuple

from torch import Tensor
from torch.distributions import biject_to

from ppl_gen.ask import ask
from ppl_gen.clusters import assignments
from ppl_gen.core import Conjugate
from ppl_gen.diagnostics.criticism.loo import smoothed
from ppl_gen.engine import Importance
from ppl_gen.errors import NoEvidence, Unanswerable, Unreliable
from ppl_gen.evidence import log_evidence
from ppl_gen.inference import EM, MaximumLikelihood, VariationalBayes
from ppl_gen.inputs import Data
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior

LABELLINGS = 1 << 12  # that are enumerated for an exact evidence
BAD = 0.1  # of the rows may have a high k-hat before their sum is not to be trusted


class Worth(NamedTuple):
    """One number, its standard error over rows or draws, what each row adds, and how it was obtained.

    ``sure`` is false where importance weights are too wild for the number to be trusted.
    """

    nats: float
    error: float
    rows: Tensor | None
    how: str
    sure: bool = True


def of_rows(rows: Tensor, how: str, sure: bool = True) -> Worth:
    """What the rows add up to; its error is that of a sum of so many independent numbers."""
    error = float(rows.std() * len(rows) ** 0.5) if len(rows) > 1 else math.nan
    return Worth(float(rows.sum()), error, rows, how, sure)


def evidence(posterior: Posterior, k: int, data: Data, enumerable: bool, draws: int, seed: int) -> Worth:
    """The log evidence of the data fitted, or the best that is known of it.

    Raises:
        Unanswerable: the method, or the model, has none.
    """
    p: Any = posterior.prior
    hidden = isinstance(p, Conjugate) and bool(p.hidden) and p.hidden not in data.observed
    if not posterior.parameters:
        raise Unanswerable(f"the parameters of {type(p).__name__} have no prior to be integrated over")
    if hidden and enumerable:
        return Worth(assignments(p, LABELLINGS, **values_of(data)).log_evidence, 0.0, None, "enumerated")
    more, orders = _log_orders(posterior, k, data) if hidden and p.exchangeable else (0.0, "")
    if isinstance(posterior.method, VariationalBayes):
        return Worth(float(posterior.elbo[-1]) + more, 0.0, None, f"variational bound{orders}")
    try:
        found = log_evidence(posterior, Importance(draws, seed))
    except NoEvidence as error:
        raise Unanswerable(str(error)) from None
    sure = found.k_hat is None or not bool((found.k_hat > 0.7).any())
    return Worth(found.total + more, found.standard_error or 0.0, None, f"{found.how}{orders}", sure)


def _log_orders(posterior: Posterior, k: int, data: Data) -> tuple[float, str]:
    """The log of the number of ways to name the components, of which those without rows are alike."""
    given = values_of(data)
    question = f"p({posterior.prior.hidden} | {', '.join(given)})"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Unreliable)  # whether half a row is there needs no digits
        counts = ask(posterior, question, **given).probs.sum(0)
    empty = int((counts < 0.5).sum())
    orders = f" + log {k}!" + (f"/{empty}!" if empty > 1 else "") if k > 1 else ""
    return math.lgamma(k + 1) - math.lgamma(empty + 1), orders


def loo(posterior: Posterior, draws: int, seed: int) -> Worth:
    """Leave-one-out log predictive density by Pareto-smoothed importance sampling; see `loo`.

    Raises:
        Unanswerable: there are no draws to reweight.
    """
    found = smoothed(posterior, None, draws, seed)[0]
    return of_rows(found.rows, found.how, len(found.unsure) <= BAD * len(found.rows))


def bic(posterior: Posterior, data: Data) -> Worth:
    """The log likelihood at its maximum, less half of log n for each free parameter (Schwarz 1978).

    Raises:
        Unanswerable: this is no maximum of a likelihood.
    """
    if not isinstance(posterior.method, MaximumLikelihood | EM) or getattr(posterior.method, "prior", False):
        raise Unanswerable("it takes the maximum of a likelihood, by EM() or MaximumLikelihood()")
    count = _dimension(posterior)
    total = float(log_likelihood(posterior, data).sum())
    how = f"{count} parameters, log likelihood {total:,.2f}"
    return Worth(total - count / 2 * math.log(data.n), 0.0, None, how)


def _dimension(posterior: Posterior) -> int:
    """The number of free parameters: of the point found, or of a linear Gaussian model."""
    if posterior.point:
        supports = {name: posterior.sites[name].support for name in posterior.point}
        free = (biject_to(supports[name]).inverse_shape(v.shape) for name, v in posterior.point.items())
        return sum(map(math.prod, free))
    p: Any = posterior.model
    if not hasattr(p, "linear"):
        raise Unanswerable(f"how many parameters of {type(p).__name__} are free is not known")
    count: int = p.linear().free_parameters(0 if p.known else p.noise.numel())
    return count


def log_likelihood(posterior: Posterior, data: Data) -> Tensor:
    """log p(row | what was fitted) of each row (n,); labels that only some rows have are summed out."""
    given = ", ".join(sorted(Factorization(posterior.model.joint).given))
    names = [
        n for n in data.observed if data.sites[n].local and not (data.sites[n].levels and n in data.seen)
    ]
    answer = ask(posterior, f"p({', '.join(names)}{f' | {given}' if given else ''})", **data.inputs)
    return answer.log_prob(**{name: data.gaps[name] for name in names})


def values_of(data: Data) -> dict[str, Any]:
    """The data by name, NaN where a cell is missing, as `fit` and `ask` take them."""
    return {**data.inputs, **data.observed, **data.gaps}

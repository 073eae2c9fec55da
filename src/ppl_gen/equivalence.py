"""The logistic regression that a naive Bayes equals."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ppl_gen.ask import ask
from ppl_gen.core import ProbabilisticModel, dtype_of
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inputs import describe
from ppl_gen.posterior import Posterior


class SoftmaxRegression(NamedTuple):
    """p(y | x) = softmax(x @ weights + intercepts).

    ``weights`` are (features, classes), ``intercepts`` (classes,). Those of the first class are zero: only
    differences between classes count.
    """

    weights: Tensor
    intercepts: Tensor

    def logits(self, x: Any) -> Tensor:
        """The classes' scores of the rows ``x`` (n, features): (n, classes)."""
        return torch.as_tensor(x, dtype=self.weights.dtype) @ self.weights + self.intercepts


def logistic_equivalent(of: ProbabilisticModel | Posterior, /, **parameters: Any) -> SoftmaxRegression:
    """The softmax regression that a naive Bayes with known parameters equals (Ng and Jordan 2002).

    Where the log odds of the classes are linear in x (a Gaussian whose variances the classes share,
    Bernoulli, multinomial, Poisson), weights are the log odds' slopes. They are found by asking the joint at
    one place (zero for counts, else amid the rows that the joint draws, where no digits are lost) and one
    step from it along each feature; those rows check that the log odds are linear indeed.

    Args:
        of: the model, or a posterior, whose parameters' means then stand for those not given.
        parameters: values of the parameters, by name.

    Raises:
        Unanswerable: the log odds are no linear function of x.
        DataError: a parameter of a model is not given.

    >>> from ppl_gen.models import BernoulliNaiveBayes
    >>> nb = BernoulliNaiveBayes(classes=2, features=1)
    >>> twin = logistic_equivalent(nb, pi=[0.5, 0.5], theta=[[0.2], [0.8]])
    >>> (twin.weights[0, 1] - twin.weights[0, 0]).exp()  # odds of 4 against odds of 1/4
    tensor(16.0000, dtype=torch.float64)
    """
    model = of.model if isinstance(of, Posterior) else of
    if not isinstance(model, ProbabilisticModel):
        raise DataError(f"of: expected a model or a posterior, got {type(of).__name__}")
    sites = describe(model, {})
    if not ("x" in sites and "y" in sites and sites["x"].event_dim == 1 and sites["y"].levels):
        raise Unanswerable(
            f"{type(model).__name__} is {model.joint}: it does not generate rows x of a class y"
        )
    names = [name for name, site in sites.items() if not site.local]
    if isinstance(of, Posterior):
        parameters = {n: ask(of, f"p({n})").mean for n in names if n not in parameters} | parameters
    absent = [name for name in names if name not in parameters]
    if absent:
        raise DataError(
            f"{absent[0]}: not given; a model needs all of {', '.join(names)}, or pass a posterior"
        )
    classes = sites["y"].levels
    joint = ask(model, f"p(x, y | {', '.join(names)})", **parameters)

    def scores(x: Tensor) -> Tensor:
        each = joint.log_prob(x=x.repeat(classes, 1), y=torch.arange(classes).repeat_interleave(len(x)))
        return each.unflatten(0, (classes, -1)).T

    rows = joint.sample(64, seed=0)["x"].to(dtype_of(model))
    counts = (rows == rows.round()).all(0)  # of each column
    centre, step = torch.where(counts, 0.0, rows.mean(0)), torch.where(counts, 1.0, rows.std(0))
    found = scores(torch.cat([centre[None], centre + step.diag()]))
    found = found - found[:, :1]  # what all classes have in common drops out
    weights = (found[1:] - found[0]) / step[:, None]
    twin = SoftmaxRegression(weights, found[0] - centre @ weights)
    truth = scores(rows)
    away = (rows - centre) @ weights
    off = (found[0] + away - (truth - truth[:, :1])).abs().amax()
    size = 1e-9 * (1 + truth.abs().amax() + away.abs().amax())
    digits = 16 * torch.finfo(rows.dtype).eps * (rows.abs() @ weights.abs()).amax()  # that x itself has lost
    if not bool(off <= size + digits):
        raise Unanswerable(
            f"the log odds of {type(model).__name__} are no linear function of x (they miss one by {off:.3g} "
            f"nats), so no logistic regression on x equals it. Classes with variances of their own bend them."
        )
    return twin

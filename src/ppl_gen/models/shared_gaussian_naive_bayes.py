"""Gaussian naive Bayes with one variance for each feature: the twin of logistic regression."""

import pyro
import pyro.distributions as dist
from torch import Tensor

from ppl_gen.distributions import Dirichlet, SharedNormalGamma
from ppl_gen.models.gaussian_naive_bayes import GaussianNaiveBayes


class SharedGaussianNaiveBayes(GaussianNaiveBayes):
    """Gaussian naive Bayes whose classes share the precision of each feature (Ng and Jordan 2002).

    ``tau`` (features,) are the precisions; all else is as in `GaussianNaiveBayes`. The squares of x cancel
    between classes: p(y | x, pi, tau, mu) is a softmax regression, see `logistic_equivalent`.

    >>> SharedGaussianNaiveBayes(classes=3, features=13).rate.shape
    torch.Size([13])
    """

    families = {
        "classes": (Dirichlet, ("concentration",)),
        "features": (SharedNormalGamma, ("loc", "strength", "shape", "rate")),
    }
    precisions = (1,)  # a precision for each feature

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        tau = pyro.sample("tau", dist.Gamma(self.shape, self.rate).to_event(1))
        with pyro.plate("classes", self.classes):
            mu = pyro.sample("mu", dist.Normal(self.loc, (self.strength * tau).rsqrt()).to_event(1))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(pi))
            return pyro.sample("x", dist.Normal(mu[y], tau.rsqrt()).to_event(1))

    def guide(self) -> None:
        pyro.sample("pi", dist.Dirichlet(self.q_concentration))
        pyro.sample("tau", dist.Gamma(self.q_shape, self.q_rate * self.spread**2).to_event(1))
        with pyro.plate("classes", self.classes):
            loc, scale = self.centre + self.spread * self.q_loc, self.spread * self.q_scale
            pyro.sample("mu", dist.Normal(loc, scale).to_event(1))

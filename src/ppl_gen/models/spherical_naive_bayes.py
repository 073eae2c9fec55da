"""Gaussian naive Bayes with one variance for each class: its features are equally wide."""

import pyro
import pyro.distributions as dist
from torch import Tensor

from ppl_gen.distributions import Dirichlet, SphericalNormalGamma
from ppl_gen.models.gaussian_naive_bayes import GaussianNaiveBayes


class SphericalNaiveBayes(GaussianNaiveBayes):
    """Gaussian naive Bayes whose features share one precision in each class: its classes are balls.

    ``tau`` (classes,) are the precisions; all else is as in `GaussianNaiveBayes`. The features are in units
    that compare. Reference: Murphy 2012, section 4.2.

    >>> SphericalNaiveBayes(classes=3, features=13).rate.shape
    torch.Size([3])
    """

    families = {
        "classes": (Dirichlet, ("concentration",)),
        "features": (SphericalNormalGamma, ("loc", "strength", "shape", "rate")),
    }
    precisions = (0,)  # a precision for each class

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("classes", self.classes):
            tau = pyro.sample("tau", dist.Gamma(self.shape, self.rate))
            scale = (self.strength * tau[:, None]).rsqrt()
            mu = pyro.sample("mu", dist.Normal(self.loc, scale).to_event(1))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(pi))
            return pyro.sample("x", dist.Normal(mu[y], tau[y][..., None].rsqrt()).to_event(1))

    def guide(self) -> None:
        pyro.sample("pi", dist.Dirichlet(self.q_concentration))
        with pyro.plate("classes", self.classes):
            pyro.sample("tau", dist.Gamma(self.q_shape, self.q_rate * self.spread.square().mean()))
            loc, scale = self.centre + self.spread * self.q_loc, self.spread * self.q_scale
            pyro.sample("mu", dist.Normal(loc, scale).to_event(1))

    def predictive(self, n: int, pi: Tensor | None = None) -> Tensor:
        """One row with the parameters integrated out: a multivariate Student t. ``pi`` may be given."""
        t = self.family("features").predictive()
        with pyro.plate("data", n):
            y = pyro.sample("y", self.family("classes").predictive(pi))
            return pyro.sample("x", dist.MultivariateStudentT(t.df[y], t.loc[y], t.scale_tril[y]))

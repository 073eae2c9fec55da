"""Linear discriminant analysis: multivariate Normal classes that share one covariance."""

import pyro
import pyro.distributions as dist
from torch import Tensor

from ppl_gen.models.quadratic_discriminant_analysis import QuadraticDiscriminantAnalysis


class LinearDiscriminantAnalysis(QuadraticDiscriminantAnalysis):
    """Linear discriminant analysis: the quadratic one with its covariances tied (Bishop 2006, section 4.2).

    ``sigma`` (features, features) is the lower Cholesky factor of the one covariance; all else is as in
    `QuadraticDiscriminantAnalysis`. The log odds of two classes are linear in x: the generative twin of
    logistic regression.

    >>> from ppl_gen import ask, fit
    >>> lda = LinearDiscriminantAnalysis(classes=2, features=2)
    >>> posterior = fit(lda, x=[[0., 1.], [1., 0.], [4., 5.], [5., 4.]], y=[0, 0, 1, 1])
    >>> ask(posterior, "p(y | x)", x=[4.5, float("nan")]).mode
    tensor(1)
    """

    tied = True

    def model(self, n: int) -> Tensor:
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        features = self.family("features")
        sigma = pyro.sample("sigma", features.covariances())
        with pyro.plate("classes", self.classes):
            mu = pyro.sample("mu", features.means(sigma))
        with pyro.plate("data", n):
            y = pyro.sample("y", dist.Categorical(pi))
            return pyro.sample("x", dist.MultivariateNormal(mu[y], scale_tril=sigma))

    def guide(self) -> None:
        pyro.sample("pi", dist.Dirichlet(self.q_concentration))
        sigma = pyro.sample("sigma", self._q_features().covariances())
        with pyro.plate("classes", self.classes):
            pyro.sample("mu", self._q_features().means(sigma))

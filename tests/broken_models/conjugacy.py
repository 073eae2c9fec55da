"""Mistakes of closed forms."""

import pyro
import pyro.distributions as dist
import torch

from ppl_gen.models import PPCA, GaussianNaiveBayes
from tests.broken_models.base import broken


@broken("not Bayes' rule", classes=2, features=3)
class WrongUpdate(GaussianNaiveBayes):
    """The update forgets half of the rate."""

    def updated(self, x, y):
        after = super().updated(x, y)
        after.rate = self.rate + 2 * (after.rate - self.rate)
        return after


@broken("not Bayes' rule", classes=2, features=3)
class SlightlyWrongUpdate(GaussianNaiveBayes):
    """A count is off by a ten thousandth."""

    def updated(self, x, y):
        after = super().updated(x, y)
        after.concentration = after.concentration + torch.tensor([1e-4, 0.0], dtype=torch.float64)
        return after


@broken("in place", classes=2, features=3)
class UpdatesInPlace(GaussianNaiveBayes):
    """The update changes the prior."""

    def updated(self, x, y):
        after = super().updated(x, y)
        self.concentration += torch.bincount(y, minlength=self.classes)
        return after


@broken("log_normalizer.. is wrong", classes=2, features=3)
class WrongNormalizer(GaussianNaiveBayes):
    """The evidence forgets the class counts."""

    def log_normalizer(self):
        return self.family("features").log_normalizer()


@broken("merged.. is wrong", classes=2, features=3)
class CountsThePriorTwice(GaussianNaiveBayes):
    """Merged shards keep the prior's rows of both."""

    def merged(self, other, prior):
        after = super().merged(other, prior)
        after.concentration = self.concentration + other.concentration
        return after


@broken("merged.*fails", classes=2, features=3)
class CannotMerge(GaussianNaiveBayes):
    """Merging calls what is not there."""

    def merged(self, other, prior):
        return self.fused(other)


@broken("flat.. is not flat", classes=2, features=3)
class RemembersItsPrior(GaussianNaiveBayes):
    """The flat prior keeps the pseudo-counts of the classes."""

    def flat(self):
        return self.having(features=self.family("features").flat())


@broken("not the maximum of the likelihood", classes=2, features=3)
class UnbiasedPoint(GaussianNaiveBayes):
    """Variances that divide by n - 1."""

    def point(self, smoothing=1e-9):
        found = super().point(smoothing)
        return found | {"tau": found["tau"] * (self.strength - 1) / self.strength}


@broken("parameters of the joint are", classes=2, features=3)
class HalfAPoint(GaussianNaiveBayes):
    """A point without the class probabilities."""

    def point(self, smoothing=1e-9):
        return {name: value for name, value in super().point(smoothing).items() if name != "pi"}


@broken("takes no smoothing", classes=2, features=3)
class PointWithoutSmoothing(GaussianNaiveBayes):
    """A point that cannot be smoothed."""

    def point(self):
        return super().point()


@broken("predictive.. is wrong", classes=2, features=3)
class WrongPredictive(GaussianNaiveBayes):
    """A Normal with the posterior's mean precision, instead of a Student t."""

    def predictive(self, n):
        with pyro.plate("data", n):
            y = pyro.sample("y", self.family("classes").predictive())
            scale = (self.rate / self.shape).sqrt()
            pyro.sample("x", dist.Normal(self.loc[y], scale[y]).to_event(1))


@broken("predictive.. draws 'x' depending on 'y'", classes=2, features=3)
class WrongMarginalLine(GaussianNaiveBayes):
    """The line of the predictive is not what its program does."""

    marginal = "p(y) p(x)"


@broken("no marginal line", classes=2, features=3)
class NoMarginalLine(GaussianNaiveBayes):
    """A predictive without its line."""

    marginal = ""


@broken("inverted.. is another joint", features=3, latent=2)
class WrongInverse(PPCA):
    """The codes forget the noise."""

    def inverted(self, n):
        linear = self.linear()
        with pyro.plate("data", n):
            x = pyro.sample("x", linear.rows())
            pyro.sample("z", linear._replace(variance=2 * linear.variance).codes(x))


@broken("no inverse line", features=3, latent=2)
class NoInverseLine(PPCA):
    """An inverse without its line."""

    inverse = ""


@broken("inverted.. draws 'z' depending on 'x'", features=3, latent=2)
class WrongInverseLine(PPCA):
    """The line of the inverse is not what its program does."""

    inverse = "p(x) p(z)"

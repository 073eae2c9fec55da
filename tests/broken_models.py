"""Models with one mistake each. ``BROKEN`` tells the word of check_model's message that names it."""

import random

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.nn import PyroParam
from torch import nn
from torch.distributions import constraints

from ppl_gen.core import ProbabilisticModel
from ppl_gen.models import VAE, GaussianMixture, GaussianNaiveBayes, LogisticRegression

ROWS = {"n": 8}
X = {"x": torch.linspace(-1, 1, 18).reshape(9, 2) ** 2}
BROKEN = []  # (the broken model, what it is given, a regular expression that names its mistake)


def broken(words, given=ROWS, **sizes):
    def keep(cls):
        BROKEN.append((cls, sizes, given, words))
        return cls

    return keep


class Code(VAE):
    """A VAE of five features; good."""

    def __init__(self):
        super().__init__(features=5, latent=2, hidden=(4,))

    def code(self):
        return pyro.sample("z", dist.Normal(self.zero, 1.0).to_event(1))

    def encode(self, n, x, name="z"):
        loc, log_scale = self.encoder(x).chunk(2, -1)
        with pyro.plate("data", n):
            return pyro.sample(name, dist.Normal(loc, log_scale.exp()).to_event(1))


class Centre(ProbabilisticModel):
    """Normal rows around a mean, with a precision; good."""

    joint = "p(tau) p(mu) p(x | mu, tau)"
    approximation = "q(tau) q(mu)"

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.tensor(0.5))
        self.scale = PyroParam(torch.tensor(0.5), constraints.positive)
        self.shape = PyroParam(torch.tensor(2.0), constraints.positive)
        self.register_buffer("one", torch.tensor(1.0))

    def shared(self):
        tau = pyro.sample("tau", dist.Gamma(2 * self.one, self.one))
        return tau, pyro.sample("mu", dist.Normal(0.0, self.one))

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, tau.rsqrt()))

    def guide(self):
        pyro.sample("tau", dist.Gamma(self.shape, self.one))
        pyro.sample("mu", dist.Normal(self.loc, self.scale))


# The lines


@broken("no joint line")
class NoJointLine(Code):
    """The joint is not declared."""

    joint = ""


@broken("cannot be read")
class UnreadableLine(Code):
    """A bracket is missing."""

    joint = "p(z) p(x | z"


@broken("cannot be read.*depends on itself")
class CircularLine(Code):
    """x from z from x."""

    joint = "p(z | x) p(x | z)"


@broken("no model")
class NoModel(ProbabilisticModel):
    """model() is not written."""

    joint = "p(x)"


@broken("never draws 'z'.*it draws 'code'")
class OtherName(Code):
    """The program calls the code by another name."""

    def model(self, n):
        with pyro.plate("data", n):
            z = pyro.sample("code", dist.Normal(self.zero, 1.0).to_event(1))
            pyro.sample("x", self.likelihood(self.decoder(z)))


@broken("never draws 'w'")
class NeverDrawn(Code):
    """The joint declares a variable that the program never draws."""

    joint = "p(z) p(w) p(x | z)"


@broken("draws 'noise', which the joint line does not have")
class Undeclared(Code):
    """The program draws a variable that the joint does not declare."""

    def model(self, n):
        with pyro.plate("data", n):
            z = self.code()
            noise = pyro.sample("noise", dist.Normal(0.0, 1.0))
            pyro.sample("x", self.likelihood(self.decoder(z + noise[:, None])))


# Dependencies


@broken("without looking at 'z'")
class IgnoresParent(Code):
    """x does not look at z."""

    def model(self, n):
        with pyro.plate("data", n):
            self.code()
            pyro.sample("x", self.likelihood(self.decoder(torch.ones(n, 2))))


@broken("without looking at 'z'")
class CollapsedParent(Code):
    """z enters x multiplied by zero: the program touches it, the density does not."""

    def model(self, n):
        with pyro.plate("data", n):
            pyro.sample("x", self.likelihood(self.decoder(0 * self.code())))


@broken("depending on 'mu', which is not a declared parent")
class HiddenParent(Centre):
    """x depends on mu, and the line does not say so."""

    joint = "p(tau) p(mu) p(x | tau)"


@broken("without looking at 'x'", X, classes=2, features=2)
class IgnoresInput(LogisticRegression):
    """The classifier does not look at its input."""

    def basis(self, x):
        return torch.ones(len(x), 3, dtype=x.dtype)


@broken("depending on 'tau', which is not a declared parent")
class BranchesOnParent(Centre):
    """A parent read by .item(), which tracing through tensors would not see."""

    joint = "p(tau) p(mu) p(x | mu)"

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, 1.0 + tau.item()))


# Signatures and data


@broken("data enter model.*'x'")
class DataInSignature(Code):
    """model(self, n, x=None), as older tutorials have it."""

    def model(self, n, x=None):
        with pyro.plate("data", n):
            pyro.sample("x", self.likelihood(self.decoder(self.code())), obs=x)


@broken("data are inside model.*'x' is observed")
class DataInside(Code):
    """The program observes its own data."""

    def model(self, n):
        with pyro.plate("data", n):
            pyro.sample("x", self.likelihood(self.decoder(self.code())), obs=torch.ones(n, 5))


@broken(r"signature model\(self, rows\)")
class OtherSignature(Code):
    """The number of rows by another name."""

    def model(self, rows):
        with pyro.plate("data", rows):
            pyro.sample("x", self.likelihood(self.decoder(self.code())))


@broken(r"signature model\(self, n\)", X, classes=2, features=2)
class NotGivenInput(LogisticRegression):
    """A discriminative model that is not given its input."""

    def model(self, n):
        pass


@broken("hides its arguments")
class StarSignature(Code):
    """Arguments without names."""

    def model(self, *args, **kwargs):
        pass


@broken(r"signature guide\(self, n\)")
class GuideNotGiven(Code):
    """The line gives x to the guide, the signature does not."""

    def guide(self, n):
        with pyro.plate("data", n):
            self.code()


# Plates and shapes


@broken('no variable lies in a plate "data"')
class NoPlate(Code):
    """The rows are an event dimension."""

    def model(self, n):
        z = pyro.sample("z", dist.Normal(torch.zeros(n, 2), 1.0).to_event(2))
        pyro.sample("x", dist.Bernoulli(logits=self.decoder(z)).to_event(2))


@broken('no variable lies in a plate "data".*found: rows')
class OtherPlate(Code):
    """The plate of the rows has another name."""

    def model(self, n):
        with pyro.plate("rows", n):
            pyro.sample("x", self.likelihood(self.decoder(self.code())))


@broken("size of its own, 5")
class HardCodedPlate(Code):
    """The plate has room for five rows, always."""

    def model(self, n):
        with pyro.plate("data", 5):
            pyro.sample("x", self.likelihood(self.decoder(self.code())))


@broken("size of its own, 8")
class LuckyPlate(Code):
    """The plate has room for eight rows, and eight is what it is first tried with."""

    def model(self, n):
        with pyro.plate("data", 8):
            pyro.sample("x", self.likelihood(self.decoder(self.code())))


@broken("subsample")
class OwnMinibatch(Code):
    """The program takes its own minibatches."""

    def model(self, n):
        with pyro.plate("data", n, subsample_size=4):
            pyro.sample("x", self.likelihood(self.decoder(self.code())))


@broken("weighs or masks")
class OwnScale(Code):
    """The program weighs its rows."""

    def model(self, n):
        with pyro.plate("data", n), poutine.scale(scale=1 / n):
            pyro.sample("x", self.likelihood(self.decoder(self.code())))


@broken("to_event is forgotten")
class NoToEvent(Code):
    """The features of a row are a batch dimension."""

    def model(self, n):
        with pyro.plate("data", n):
            pyro.sample("x", dist.Bernoulli(logits=self.decoder(self.code())))


@broken("to_event is forgotten", {"n": 5})
class NoToEventSquare(NoToEvent):
    """The same with as many rows as features, where Pyro notices nothing."""


@broken("to_event is forgotten")
class NoToEventShared(Centre):
    """A vector of means without a plate."""

    def model(self, n):
        tau = pyro.sample("tau", dist.Gamma(2.0, 1.0))
        mu = pyro.sample("mu", dist.Normal(torch.zeros(3), 1.0))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, tau.rsqrt()).to_event(1))


@broken("outside the plate")
class RowsOutsidePlate(Code):
    """x is drawn after the plate is closed."""

    def model(self, n):
        with pyro.plate("data", n):
            z = self.code()
        pyro.sample("x", dist.Bernoulli(logits=self.decoder(z)).to_event(2))


@broken("shapes that do not fit")
class WrongWidth(Code):
    """The decoder does not take codes of this width."""

    def model(self, n):
        with pyro.plate("data", n):
            pyro.sample("x", self.likelihood(self.decoder(self.code()[:, :1])))


@broken("out of its range.*scale")
class NegativeScale(Centre):
    """A scale that is not positive."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, -tau))


# The guide


@broken("guide.* never draws 'z'.*'Z'")
class MisspeltGuide(Code):
    """The guide's site has a capital letter."""

    def guide(self, n, x):
        self.encode(n, x, "Z")


@broken("speaks of 'u'")
class GuideOfAnother(Code):
    """The guide's line names a variable that the joint does not have."""

    approximation = "q(u | x)"


@broken("draws 'mu', which the approximation line does not name")
class GuideLineTooShort(Centre):
    """The guide draws more than its line says."""

    approximation = "q(tau)"


@broken("never draws 'tau'")
class GuideLineTooLong(Centre):
    """The guide draws less than its line says."""

    def guide(self):
        pyro.sample("mu", dist.Normal(self.loc, self.scale * self.shape))


@broken("draws 'mu' without looking at 'tau'")
class GuideLineUntrue(Centre):
    """The line declares a dependence that the guide lacks."""

    approximation = "q(tau) q(mu | tau)"


@broken("draws 'x', which the approximation line does not name: an observed")
class GuideDrawsData(Centre):
    """The guide draws the data too."""

    def guide(self):
        super().guide()
        pyro.sample("x", dist.Normal(0.0, 1.0))


@broken("draws 'extra', which the approximation line does not have")
class GuideDrawsMore(Centre):
    """The guide draws a variable that the joint does not have."""

    def guide(self):
        super().guide()
        pyro.sample("extra", dist.Normal(0.0, 1.0))


@broken("outside the plate")
class GuideOutsidePlate(Code):
    """The guide draws the codes of the rows outside the plate."""

    def guide(self, n, x):
        loc, log_scale = self.encoder(x).chunk(2, -1)
        pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(2))


@broken("to_event is forgotten")
class GuideNoToEvent(Code):
    """The guide's codes have a batch dimension of their own."""

    def guide(self, n, x):
        loc, log_scale = self.encoder(x).chunk(2, -1)
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()))


@broken("KL-breaking guide site 'tau'.*wider")
class NormalForGamma(Centre):
    """A Normal guide for a positive precision."""

    def guide(self):
        pyro.sample("tau", dist.Normal(1.0 + self.shape, 0.01))
        pyro.sample("mu", dist.Normal(self.loc, self.scale))


@broken("KL-breaking guide site 'mu'.*Delta")
class DeltaForNormal(Centre):
    """A point for a continuous latent."""

    def guide(self):
        pyro.sample("tau", dist.Gamma(self.shape, self.scale))
        pyro.sample("mu", dist.Delta(self.loc))


@broken("KL-breaking guide site 'mu'.*discrete")
class CountsForNormal(Centre):
    """A discrete guide for a continuous latent."""

    def guide(self):
        pyro.sample("tau", dist.Gamma(self.shape, self.scale))
        pyro.sample("mu", dist.Poisson(self.loc.exp()))


@broken("unexplained")
class Unexplained(Code):
    """A second code that nobody explains."""

    joint = "p(z) p(w | z) p(x | w)"

    def model(self, n):
        with pyro.plate("data", n):
            w = pyro.sample("w", dist.Normal(self.code(), 1.0).to_event(1))
            pyro.sample("x", self.likelihood(self.decoder(w)))


@broken("unexplained")
class UnexplainedParameter(Centre):
    """A parameter that the guide forgot."""

    approximation = "q(mu)"

    def guide(self):
        pyro.sample("mu", dist.Normal(self.loc, self.scale * self.shape))


# Parameters and state


@broken("pyro.param.*global store")
class GlobalParameter(Code):
    """A parameter in Pyro's global store."""

    def guide(self, n, x):
        loc, _ = self.encoder(x).chunk(2, -1)
        scale = pyro.param("scale", torch.tensor(1.0), constraint=constraints.positive)
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(loc, scale).to_event(1))


@broken("no gradient reaches the parameter 'unused'")
class IdleParameter(Code):
    """A parameter that nothing uses."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(3))


@broken("no gradient reaches the parameter 'encoder")
class DetachedEncoder(Code):
    """No gradient gets into the encoder."""

    def guide(self, n, x):
        loc, log_scale = self.encoder(x).detach().chunk(2, -1)
        with pyro.plate("data", n):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))


@broken("changes the model's own 'one'")
class CountsItsRuns(Centre):
    """A buffer that grows with every run."""

    def model(self, n):
        self.one += 1
        super().model(n)


@broken("changes the default dtype")
class ChangesDtype(Centre):
    """The program changes the precision of the whole process."""

    def model(self, n):
        torch.set_default_dtype(torch.float64)
        super().model(n)


@broken("changes the validation")
class DisablesValidation(Centre):
    """The program switches off validation for the whole process."""

    def model(self, n):
        pyro.enable_validation(False)
        super().model(n)


@broken("sets the random seed")
class Reseeds(Centre):
    """The program chooses the seed."""

    def model(self, n):
        torch.manual_seed(0)
        super().model(n)


@broken("random beside its variables")
class HiddenNoise(Centre):
    """Noise that has no name."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu + 0.1 * torch.randn(()), tau.rsqrt()))


@broken("random numbers")
class PythonNoise(Centre):
    """Noise from Python's own generator."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu + 0.1 * random.random(), tau.rsqrt()))


@broken("cannot be copied")
class KeepsGraph(Centre):
    """An attribute computed from a parameter, which no copy can have."""

    def __init__(self):
        super().__init__()
        self.twice = 2 * self.loc


# Densities


class Grey(dist.Bernoulli):
    """Draws grey levels and scores them as if they were bits."""

    def sample(self, sample_shape=()):
        return self.mean.expand(self.shape(sample_shape)).clone()


@broken("drawn outside the support")
class GreyPixels(Code):
    """Grey pixels under a Bernoulli."""

    def model(self, n):
        with pyro.plate("data", n):
            pyro.sample("x", Grey(logits=self.decoder(self.code()), validate_args=False).to_event(1))


@broken("scored outside its support")
class UncheckedPixels(Code):
    """The likelihood takes any numbers for bits."""

    def model(self, n):
        with pyro.plate("data", n):
            bits = dist.Bernoulli(logits=self.decoder(self.code()), validate_args=False)
            pyro.sample("x", bits.to_event(1))


class Infinite(dist.Normal):
    """A density that is infinite everywhere."""

    def log_prob(self, value):
        return super().log_prob(value) / 0.0


@broken("not finite at the model's own draw")
class InfiniteDensity(Centre):
    """log p(x) is infinite."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", Infinite(mu, tau.rsqrt()))


class Narrow(dist.Normal):
    """Draws with half the scale that it scores with."""

    def rsample(self, sample_shape=()):
        return self.loc + (super().rsample(torch.Size(sample_shape)) - self.loc) / 2

    def sample(self, sample_shape=()):
        return self.rsample(sample_shape).detach()


@broken("sampler and density of 'x' disagree")
class SamplerDisagrees(Centre):
    """Draws and density have different scales."""

    def model(self, n):
        tau, mu = self.shared()
        with pyro.plate("data", n):
            pyro.sample("x", Narrow(mu, tau.rsqrt()))


class Unnormalised(dist.Categorical):
    """Scores twice the probability."""

    def log_prob(self, value):
        return super().log_prob(value) + 0.7


@broken("does not sum to one", components=2, features=2)
class DoesNotSumToOne(GaussianMixture):
    """The components' probabilities sum to two."""

    def model(self, n):
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("components", self.components):
            tau = pyro.sample("tau", dist.Gamma(self.shape, self.rate).to_event(1))
            mu = pyro.sample("mu", dist.Normal(self.loc, (self.strength * tau).rsqrt()).to_event(1))
        with pyro.plate("data", n):
            z = pyro.sample("z", Unnormalised(pi))
            pyro.sample("x", dist.Normal(mu[z], tau[z].rsqrt()).to_event(1))


@broken("does not broadcast|shapes that do not fit", components=2, features=2)
class NotEnumerable(GaussianMixture):
    """The component is looked up row by row: summing it out gets the wrong rows."""

    def model(self, n):
        pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
        with pyro.plate("components", self.components):
            tau = pyro.sample("tau", dist.Gamma(self.shape, self.rate).to_event(1))
            mu = pyro.sample("mu", dist.Normal(self.loc, (self.strength * tau).rsqrt()).to_event(1))
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Categorical(pi))
            rows = z.flatten()[torch.arange(n) % z.numel()]
            pyro.sample("x", dist.Normal(mu[rows], tau[rows].rsqrt()).to_event(1))


# Rows


@broken("rows depend on one another")
class CentresRows(Code):
    """The guide subtracts the mean over the rows."""

    def guide(self, n, x):
        self.encode(n, x - x.mean(0))


@broken("rows depend on one another", X, classes=2, features=2)
class StandardisesRows(LogisticRegression):
    """The model subtracts the mean over the rows."""

    def basis(self, x):
        return super().basis(x - x.mean(0))


@broken("normalises over the batch")
class BatchNorm(VAE):
    """Batch normalisation in the encoder."""

    def __init__(self):
        super().__init__(5, 2, encoder=nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 4)))


@broken("rows depend on one another or on their number")
class TemperedPrior(Centre):
    """The prior's width follows the number of rows."""

    def model(self, n):
        tau = pyro.sample("tau", dist.Gamma(2.0, 1.0))
        mu = pyro.sample("mu", dist.Normal(0.0, torch.tensor(1.0 / n)))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, tau.rsqrt()))


@broken("ELBO is", components=2, features=2)
class BadStart(GaussianMixture):
    """The guide starts where no density is finite."""

    def initialize(self, x, **_):
        self.centre = torch.full_like(self.centre, 1e200)


@broken("initialize.* fails", components=2, features=2)
class StartWithoutData(GaussianMixture):
    """initialize does not take the data by name."""

    def initialize(self, rows):
        pass


# Conjugate models


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

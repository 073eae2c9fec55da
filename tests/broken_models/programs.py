"""Mistakes in what is written: lines, signatures, plates."""

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine

from ppl_gen.core import ProbabilisticModel
from ppl_gen.models import LogisticRegression
from tests.broken_models.base import Centre, Code, X, broken

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
            z = pyro.sample("code", self.prior())
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

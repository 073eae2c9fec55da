"""One small case of each conjugate naive Bayes: a model with a plain prior, and rows drawn from it."""

import pyro
import torch

from ppl_gen import ask
from ppl_gen.distributions import Categorical
from ppl_gen.isolation import isolated
from ppl_gen.models import (
    BernoulliNaiveBayes,
    CategoricalNaiveBayes,
    GaussianNaiveBayes,
    MixedNaiveBayes,
    MultinomialNaiveBayes,
    PoissonNaiveBayes,
    SharedGaussianNaiveBayes,
)

COLUMNS = {
    "age": "gaussian",
    "smoker": "bernoulli",
    "colour": Categorical(4),
    "visits": "poisson",
    "size": "gaussian",
    "shape": Categorical(2),
}
NORMAL = {"loc": 0.3, "strength": 0.5, "shape": 2.0, "rate": 0.7}
MODELS = {
    "gaussian": lambda: GaussianNaiveBayes(3, 4, concentration=2.0, **NORMAL),
    "shared": lambda: SharedGaussianNaiveBayes(3, 4, concentration=2.0, **NORMAL),
    "bernoulli": lambda: BernoulliNaiveBayes(3, 4, concentration=2.0, ones=1.5, zeros=0.7),
    "poisson": lambda: PoissonNaiveBayes(3, 4, concentration=2.0, shape=1.5, rate=0.4),
    "multinomial": lambda: MultinomialNaiveBayes(
        3, 4, concentration=2.0, pseudocount=0.8, shape=3.0, rate=0.3
    ),
    "categorical": lambda: CategoricalNaiveBayes(
        3, 4, levels=[3, 2, 5, 2], concentration=2.0, pseudocount=0.8
    ),
    "mixed": lambda: MixedNaiveBayes(3, COLUMNS, concentration=2.0, priors={"gaussian": NORMAL}),
}
NAMES = list(MODELS)


def draw(model, n, seed=0):
    """Rows of the joint: x (n, features) and y (n,)."""
    with isolated(seed):
        trace = pyro.poutine.trace(model.model).get_trace(n=n)
    return trace.nodes["x"]["value"], trace.nodes["y"]["value"]


def parameters(model, n=1, seed=0):
    """One draw of the parameters, by name."""
    with isolated(seed):
        nodes = pyro.poutine.trace(model.model).get_trace(n=n).nodes
    return {
        name: site["value"]
        for name, site in nodes.items()
        if site["type"] == "sample" and name not in ("x", "y", "data", "classes")
    }


def gaps(x, share=0.3, seed=0):
    """The same rows with some cells missing."""
    hidden = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < share
    return torch.where(hidden, torch.nan, x)


def given(model, question, values):
    """Ask with all parameters given: "p(y | x" becomes "p(y | x, pi, theta)"."""
    return ask(model, f"{question}, {', '.join(values)})", **values)

"""check_model passes what is right and names what is wrong."""

import linecache
import random
import re

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import nn
from torch.distributions import Distribution

from ppl_gen.core import ProbabilisticModel
from ppl_gen.distributions import Bernoulli, BetaBinomial, Binomial, Categorical, Gaussian
from ppl_gen.errors import BrokenModel, DataError, UnknownVariable
from ppl_gen.models import VAE, GaussianMixture, GaussianNaiveBayes, LogisticRegression
from ppl_gen.testing import check_model
from ppl_gen.testing.contract import CONTRACT
from ppl_gen.testing.examination import CHECKS, Examination
from tests.broken_models.base import Centre, Code
from tests.broken_models.catalogue import BROKEN
from tests.broken_models.densities import Halves
from tests.broken_models.dependencies import Generator
from tests.broken_models.state import ChangesDtype, DisablesValidation, GlobalParameter, Reseeds
from tests.sound_models import SOUND
from tests.thinned import thinned


@pytest.mark.parametrize(
    ("cls", "sizes", "given", "words"), thinned(BROKEN, 2), ids=[cls.__name__ for cls, *_ in BROKEN]
)
def test_names_the_mistake(cls, sizes, given, words):
    with pytest.raises(BrokenModel, match=f"(?s){words}") as caught:
        check_model(cls(**sizes), **given)
    message = str(caught.value)
    assert message.startswith(f"{cls.__name__}: ")
    assert "\n    breaks  " in message
    assert "\n    mend    " in message
    assert "\n    where   " in message


@pytest.mark.slow
def test_every_check_is_missed_when_it_is_left_out(monkeypatch):
    """Without a check, a broken model that it catches slips through, or is told of another mistake."""
    caught = {}
    for cls, sizes, given, words in BROKEN:
        examination = Examination(cls(**sizes), given)
        for check in CHECKS:
            try:
                examination.check(check)
            except BrokenModel:
                caught.setdefault(check, []).append((cls, sizes, given, words))
                break
    # what depends on the rows is seen by rows_apart before minibatches has a second look
    assert caught.keys() >= set(CHECKS) - {"given", "minibatches"}
    backed_up = {"explained"}  # the ELBO of the check of gradients says the same, later
    for rule in CONTRACT:
        left = tuple(other for other in CONTRACT if other is not rule)
        monkeypatch.setattr("ppl_gen.testing.contract.CONTRACT", left)
        slipped = False
        for cls, sizes, given, words in caught.get(rule.__name__, []):
            try:
                check_model(cls(**sizes), **given)
                slipped = True
            except Exception as error:
                slipped |= not (isinstance(error, BrokenModel) and re.search(f"(?s){words}", str(error)))
            if slipped:
                break
        assert slipped or rule.__name__ not in caught.keys() - backed_up, rule.__name__


def test_every_broken_model_says_what_is_wrong_with_it():
    assert len(BROKEN) == len({cls for cls, *_ in BROKEN}) >= 120
    assert all(cls.__doc__ and "\n" not in cls.__doc__ for cls, *_ in BROKEN)


X = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

GOOD = {
    "the broken models' own starting points": [(Code(), {"n": 8}), (Centre(), {"n": 8})],
    "naive Bayes": [
        (GaussianNaiveBayes(classes=3, features=4), {"n": 8}),
        (GaussianNaiveBayes(classes=2, features=1), {}),
        (GaussianNaiveBayes(classes=4, features=2, strength=2.0, shape=[3.0, 1.0], rate=0.5), {"n": 30}),
    ],
    "mixture": [
        (GaussianMixture(components=2, features=2), {"n": 9}),
        (GaussianMixture(components=4, features=1, shape=2.0, rate=1.0), {}),
    ],
    "regression": [
        (LogisticRegression(classes=3, features=2), {"x": X}),
        (LogisticRegression(classes=2, features=2, scale=0.1), {"x": X.numpy()}),
    ],
    "VAE": [
        (VAE(features=5, latent=2), {}),
        (VAE(features=64, latent=2), {"n": 16}),
        (VAE(features=8, latent=8), {"n": 8}),
        (VAE(features=5, latent=1, hidden=(8, 4), dropout=0.5), {"n": 8}),
        (VAE(features=5, latent=2, likelihood=Binomial(levels=5)), {"n": 7}),
        (VAE(features=5, latent=2, likelihood=BetaBinomial(levels=5)), {"n": 8}),
        (VAE(features=5, latent=2, likelihood=Categorical(levels=4)), {"n": 8}),
        (VAE(features=5, latent=2, likelihood=Gaussian()), {"n": 8}),
        (VAE(features=5, latent=2, likelihood=Bernoulli(), hidden=()), {"n": 8}),
        (VAE(features=5, latent=2).double(), {"n": 8}),
    ],
}


@pytest.mark.parametrize(
    ("model", "given"),
    [pair for pairs in GOOD.values() for pair in pairs],
    ids=lambda v: repr(v).splitlines()[0] if isinstance(v, nn.Module) else "",
)
def test_passes_what_is_right(model, given):
    assert check_model(model, **given) is None


class Silent(Code):
    """A decoder whose last weights start at zero: x depends on z only once it is trained."""

    def __init__(self):
        super().__init__()
        nn.init.zeros_(self.decoder[-1].weight)


class ThroughDeterministic(Centre):
    """A named function of the parents needs no factor of its own."""

    def model(self, n):
        tau, mu = self.shared()
        scale = pyro.deterministic("scale", tau.rsqrt())
        with pyro.plate("data", n):
            pyro.sample("x", dist.Normal(mu, scale))


class Counts(ProbabilisticModel):
    """Discrete rows of every kind, no guide, no parameters."""

    joint = "p(k) p(c | k) p(b | k) p(h | k)"

    def model(self, n):
        k = pyro.sample("k", dist.Beta(2.0, 2.0))
        with pyro.plate("data", n):
            pyro.sample("c", dist.Poisson(5 * k))
            pyro.sample("b", dist.Geometric(k))
            pyro.sample("h", dist.OneHotCategorical(torch.stack([k, 1 - k])))


class Regression(ProbabilisticModel):
    """A generative regression: its rows' x is data although y depends on it."""

    joint = "p(w) p(x) p(y | x, w)"
    approximation = "q(w)"

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(()))

    def model(self, n):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("data", n):
            x = pyro.sample("x", dist.Normal(0.0, 1.0))
            pyro.sample("y", dist.Normal(w * x, 1.0))

    def guide(self):
        pyro.sample("w", dist.Normal(self.loc, 1.0))


class Enumerated(GaussianMixture):
    """Pyro's own words for summing z out."""

    def __init__(self):
        super().__init__(components=2, features=2)

    def model(self, n):
        with poutine.infer_config(
            config_fn=lambda site: {"enumerate": "parallel"} if site["name"] == "z" else {}
        ):
            return super().model(n)


class HeavyTails(ProbabilisticModel):
    """Densities that a careless integral gets wrong."""

    joint = "p(a) p(b) p(c) p(d) p(e) p(f) p(g) p(x | a)"
    approximation = "q(a) q(b) q(c) q(d) q(e) q(f) q(g)"

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(()))

    def model(self, n):
        a = pyro.sample("a", dist.Cauchy(0.0, 1.0))
        pyro.sample("b", dist.StudentT(0.5))
        pyro.sample("c", dist.HalfCauchy(3.0))
        pyro.sample("d", dist.Gamma(0.01, 1.0))
        pyro.sample("e", dist.Beta(0.05, 20.0))
        pyro.sample("f", dist.Pareto(1.0, 0.5))
        two = dist.Categorical(torch.tensor([0.95, 0.05]))
        pyro.sample("g", dist.MixtureSameFamily(two, dist.Normal(torch.zeros(2), torch.tensor([10.0, 1e-4]))))
        with pyro.plate("data", n):
            pyro.sample("x", dist.Laplace(a, 2.0))

    def guide(self):
        pyro.sample("a", dist.Normal(self.loc, 1.0))
        pyro.sample("b", dist.Normal(self.loc, 1.0))
        pyro.sample("c", dist.LogNormal(self.loc, 1.0))
        pyro.sample("d", dist.LogNormal(self.loc, 1.0))
        logistic = [dist.transforms.SigmoidTransform()]
        pyro.sample("e", dist.TransformedDistribution(dist.Normal(self.loc, 1.0), logistic))
        pyro.sample("f", dist.Pareto(1.0, self.loc.exp()))
        pyro.sample("g", dist.Normal(self.loc, 1.0))


@pytest.mark.parametrize(
    "cls", [Silent, ThroughDeterministic, Counts, Enumerated, HeavyTails, Halves, Generator]
)
def test_passes_unusual_models(cls):
    check_model(cls())


@pytest.mark.parametrize("name", SOUND)
def test_leaves_sound_models_of_students_in_peace(name):
    model, given = SOUND[name]
    check_model(model, **given)


def test_quotes_the_factor_and_the_line_that_draws_it():
    broken = {cls.__name__: cls for cls, *_ in BROKEN}
    with pytest.raises(BrokenModel) as caught:
        check_model(broken["IgnoresParent"]())
    _, breaks, where, _ = str(caught.value).splitlines()
    assert breaks == "    breaks  p(x | z)  of  p(z) p(x | z)"
    assert re.fullmatch(
        r"    where   dependencies.py:\d+: pyro.sample\(\"x\", self.likelihood\(.*\)\)", where
    )


def test_a_cell_of_a_notebook_is_named_as_one():
    source = """
class Deaf(Code):
    def model(self, n):
        with pyro.plate("data", n):
            self.code()
            pyro.sample("x", self.likelihood(self.decoder(torch.ones(n, 2))))
"""
    file = "/tmp/ipykernel_17/42.py"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    names = {"Code": Code, "pyro": pyro, "torch": torch, "__name__": "__main__"}
    exec(compile(source, file, "exec"), names)
    with pytest.raises(BrokenModel, match=r'where   line 6 of the cell: pyro.sample\("x", '):
        check_model(names["Deaf"]())


def test_a_variable_can_be_called_data():
    with pytest.raises(BrokenModel, match=r"check_model\(model, x=…\)"):
        check_model(Regression(), n=8)
    check_model(Regression(), n=9, x=X[:, 0])


def everything():
    torch_state, numpy_state = torch.get_rng_state().numpy().tobytes(), str(np.random.get_state())
    return (
        torch_state,
        numpy_state,
        random.getstate(),
        torch.get_default_dtype(),
        Distribution._validate_args,
        pyro.settings.get(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        sorted(pyro.get_param_store().keys()),
    )


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("cls", [Code, ChangesDtype, DisablesValidation, GlobalParameter, Reseeds])
def test_leaves_no_trace(cls, grad):
    model = cls()
    state = {name: v.clone() for name, v in model.state_dict().items()}
    pyro.get_param_store().setdefault("mine", torch.ones(()))
    try:
        with torch.set_grad_enabled(grad):
            before = everything()
            if cls is Code:
                check_model(model, n=8)
            else:
                with pytest.raises(BrokenModel):
                    check_model(model, n=8)
            assert everything() == before
    finally:
        pyro.clear_param_store()
    assert model.training
    assert all(torch.equal(v, state[name]) for name, v in model.state_dict().items())
    assert all(w.grad is None for w in model.parameters())


def test_does_not_depend_on_the_seed():
    messages = set()
    for seed in (0, 1):
        torch.manual_seed(seed)
        with pytest.raises(BrokenModel) as caught:
            check_model(*[cls(**sizes) for cls, sizes, *_ in BROKEN if cls.__name__ == "WrongUpdate"], n=8)
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_the_cause_is_kept():
    broken = {cls.__name__: cls for cls, *_ in BROKEN}
    for name in ("NoToEvent", "WrongWidth", "NegativeScale", "UnreadableLine"):
        with pytest.raises(BrokenModel) as caught:
            check_model(broken[name](), n=8)
        assert caught.value.__cause__ is not None


def test_the_callers_own_mistakes_are_not_the_models():
    with pytest.raises(DataError, match="pass x=…"):
        check_model(LogisticRegression(classes=2, features=2), n=8)
    with pytest.raises(UnknownVariable, match="'rows'"):
        check_model(Code(), rows=8)
    with pytest.raises(DataError, match="n: expected a whole number from 4"):
        check_model(Code(), n=2)
    with pytest.raises(DataError, match="ProbabilisticModel"):
        check_model(nn.Linear(1, 1))
    with pytest.raises(DataError, match=r"got the class Code; make one: Code\(…\)"):
        check_model(Code)


def test_a_line_that_cannot_be_read_is_shown_as_it_is():
    class Unreadable(Code):
        joint = "p(z) p(x | z"

    shown = Unreadable()._repr_html_()
    assert "p(z) p(x | z" in shown
    assert "expected a product of factors" in shown


@pytest.mark.parametrize("seed", range(3))
def test_no_false_alarm_of_the_integral(seed):
    """What is a density integrates to one, or is left alone; a wrong constant is seen wherever it can be."""
    from ppl_gen.testing.densities import total

    torch.manual_seed(seed)
    tiny = torch.tensor([1e-3, 0.1, 1.0, 50.0], dtype=torch.float64)
    two = dist.Categorical(torch.tensor([0.5, 0.5]))
    told = []
    for fn in (
        dist.Normal(1e6, 1e-3),
        dist.Normal(tiny, tiny),
        dist.Gamma(tiny, tiny),
        dist.InverseGamma(tiny, 1.0),
        dist.Beta(tiny, tiny.flip(0)),
        dist.Kumaraswamy(tiny, tiny.flip(0)),
        dist.LogNormal(0.0, torch.tensor([0.01, 5.0, 300.0])),
        dist.StudentT(tiny, 0.0, 1.0),
        dist.Cauchy(torch.tensor([0.0, 1e5]), torch.tensor([1e-5, 1.0])),
        dist.Uniform(torch.tensor([0.0, 1e6]), torch.tensor([1e-3, 1e6 + 1])),
        dist.Laplace(0.0, tiny),
        dist.Weibull(1.0, tiny),
        dist.VonMises(0.0, tiny),
        dist.Gumbel(0.0, tiny),
        dist.AsymmetricLaplace(0.0, 1.0, tiny),
        dist.Stable(1.5, 0.0),
        dist.MixtureSameFamily(two, dist.Normal(torch.tensor([-100.0, 100.0]), 0.01)),
        dist.MixtureSameFamily(two, dist.Normal(torch.zeros(2), torch.tensor([1.0, 1e-4]))),
    ):
        with pyro.validation_enabled(False):
            sums, tolerance = total(fn)
        assert ((sums - 1).abs() <= tolerance).all(), (fn, sums)
        told.append(len(sums))
    assert told[1] == 4
    assert told[2] >= 2
    assert told[8] == 2


@pytest.mark.parametrize("seed", range(3))
def test_no_false_alarm_of_the_statistical_rule(seed):
    """The rule's own coin is fair for torch's distributions, extreme ones too."""
    from ppl_gen.testing.densities import chain

    torch.manual_seed(seed)
    tiny = torch.tensor([1e-3, 0.1, 50.0], dtype=torch.float64)
    for fn in (
        dist.Gamma(tiny, 1.0),
        dist.Beta(tiny, tiny),
        dist.Dirichlet(tiny),
        dist.LogNormal(0.0, 5.0),
        dist.StudentT(torch.tensor(0.5), 0.0, 1.0),
        dist.Uniform(0.0, 1e-3),
        dist.Binomial(16, 0.01),
        dist.Poisson(1000.0),
        dist.Bernoulli(0.999),
        dist.LKJCholesky(3, 1.0),
        dist.Cauchy(0.0, 1.0),
    ):
        pyro.enable_validation(False)
        try:
            for difference in chain(fn, 1024):
                up, down = int((difference > 0).sum()), int((difference < 0).sum())
                assert abs(up - down) / 2 <= (max(up + down, 1) * 17.5 / 2) ** 0.5, fn  # log(2 * 22 / 1e-6)
        finally:
            pyro.enable_validation(True)

"""Where a fit computes. Without a GPU, torch's device without numbers ("meta") tells what does not follow."""

import copy

import pytest
import torch
from torch import nn

from ppl_gen import NUTS, SVI, LowerBound, ask, fit, load, save
from ppl_gen.checks import unseen
from ppl_gen.core import initialize
from ppl_gen.data import iris
from ppl_gen.errors import DataError, NotCompiled
from ppl_gen.inference import devices
from ppl_gen.inference.guides import make_guide
from ppl_gen.inference.objective import Objective
from ppl_gen.inference.unconstrained import Unconstrained
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated
from ppl_gen.models import (
    PPCA,
    VAE,
    BernoulliNaiveBayes,
    CategoricalNaiveBayes,
    ConditionalVAE,
    FullGaussianMixture,
    GaussianMixture,
    GaussianNaiveBayes,
    GaussianRegression,
    LinearDiscriminantAnalysis,
    LinearRegression,
    LogisticRegression,
    MultinomialNaiveBayes,
    PoissonNaiveBayes,
    QuadraticDiscriminantAnalysis,
    SemiSupervisedVAE,
)

DATA = iris().standardized()
X, Y, BITS = DATA.x, DATA.y, (DATA.x > 0).double()
GAPS = torch.where(torch.eye(150, 4, dtype=torch.bool), torch.nan, X)
OPEN = torch.where(torch.arange(150) % 7 == 0, torch.nan, Y.double())
SIZES = {"classes": 3, "features": 4}
CASES = {
    "logistic": (LogisticRegression(**SIZES), {"x": X, "y": Y}),
    "naive Bayes": (GaussianNaiveBayes(**SIZES), {"x": X, "y": Y}),
    "naive Bayes, missing cells": (GaussianNaiveBayes(**SIZES), {"x": GAPS, "y": OPEN}),
    "Bernoulli": (BernoulliNaiveBayes(**SIZES), {"x": BITS, "y": Y}),
    "Poisson": (PoissonNaiveBayes(**SIZES), {"x": BITS, "y": Y}),
    "multinomial": (MultinomialNaiveBayes(**SIZES), {"x": 1 + BITS, "y": Y}),
    "categorical": (CategoricalNaiveBayes(**SIZES, levels=2), {"x": BITS, "y": Y}),
    "lda": (LinearDiscriminantAnalysis(**SIZES), {"x": X, "y": Y}),
    "qda": (QuadraticDiscriminantAnalysis(**SIZES), {"x": X, "y": Y}),
    "mixture": (GaussianMixture(components=3, features=4), {"x": X}),
    "full mixture": (FullGaussianMixture(components=3, features=4), {"x": X}),
    "linear regression": (LinearRegression(features=3), {"x": X[:, :3], "y": X[:, 3]}),
    "Gaussian regression": (GaussianRegression(features=3), {"x": X[:, :3], "y": X[:, 3]}),
    "PPCA": (PPCA(features=4, latent=2), {"x": GAPS}),
    "VAE": (VAE(features=4, latent=2, hidden=(8,)), {"x": BITS}),
    "conditional VAE": (ConditionalVAE(features=4, latent=2, classes=3, hidden=(8,)), {"x": BITS, "y": Y}),
    "semi-supervised": (SemiSupervisedVAE(**SIZES, latent=2, hidden=(8,)), {"x": BITS, "y": OPEN}),
}
META = torch.device("meta")


@pytest.fixture
def no_numbers(monkeypatch):
    """Operators that have no rule for shapes alone, and decisions by numbers that are not there."""
    truth = torch.Tensor.__bool__
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda self: not self.is_meta and truth(self))
    real = torch._sample_dirichlet
    monkeypatch.setattr(torch, "_sample_dirichlet", lambda x: torch.empty_like(x) if x.is_meta else real(x))


def to_meta(module):
    for part in module.modules():
        for values, made in ((part._parameters, nn.Parameter), (part._buffers, lambda v: v)):
            values.update({k: made(v.detach().to(META)) for k, v in values.items() if v is not None})


def step_elsewhere(model, values, guide=None):
    """The bound with parameters and data on "meta": a tensor left on the CPU raises."""
    with isolated(0, grad=True):
        data, p = admit(model, values, missing=True), copy.deepcopy(model)
        initialize(p, data.gaps)
        guide = copy.deepcopy(make_guide(guide, p, data.values, data.observed), {id(p): p})
        objective = Objective(p, guide, None, 1)
        objective.check(data)
        with META, unseen():  # there are no numbers to look at
            to_meta(objective.modules)
            _, value = objective.climbed(devices.moved(data, META), 2.0)
    return value.device


@pytest.mark.parametrize("name", CASES)
def test_every_tensor_of_a_step_is_made_on_the_device(name, no_numbers):
    model, values = CASES[name]
    assert step_elsewhere(model, values) == META


@pytest.mark.parametrize("guide", ["mean_field", "full_rank", "flow"])
@pytest.mark.parametrize("name", ["logistic", "naive Bayes", "mixture", "Gaussian regression"])
def test_every_guide_follows(name, guide, no_numbers):
    model, values = CASES[name]
    assert step_elsewhere(model, values, guide) == META


def test_a_tensor_that_stays_behind_is_noticed(no_numbers):
    model, values = CASES["logistic"]
    model = copy.deepcopy(model)
    scale = model.scale
    del model.scale
    model.__dict__["scale"] = scale.clone()  # no buffer: it is not moved
    with pytest.raises((RuntimeError, ValueError), match=r"device|meta"):
        step_elsewhere(model, values)


@pytest.mark.parametrize("name", ["logistic", "naive Bayes", "linear regression"])
def test_the_density_of_nuts_follows(name, no_numbers):
    model, values = CASES[name]
    with isolated(0, grad=True):
        target = Unconstrained(model, None, admit(model, values, missing=True), None, "NUTS")
        with META:
            to_meta(target.p)
            target.data = devices.moved(target.data, META)
            u = target.start.to(META).requires_grad_()
            value = target(u)
            (gradient,) = torch.autograd.grad(value, u)
    assert (value.device, gradient.device) == (META, META)


@pytest.mark.parametrize("method", [SVI, NUTS])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(method):
    model, values = CASES["logistic"]
    with pytest.raises(DataError, match=r"device: expected one that this machine has \(cpu.*got 'cuda:99'"):
        fit(model, method(device="cuda:99"), **values)
    for wrong in ("gpu", 3.5, "meta"):
        with pytest.raises(DataError, match="device: expected None"):
            method(device=wrong)
    if not torch.cuda.is_available():
        with pytest.raises(DataError, match=r"has \(cpu.*got 'cuda'"):
            fit(model, method(device="cuda"), **values)
    with pytest.raises(DataError, match="precision: expected None or"):
        SVI(precision="float8")


def test_the_cpu_by_name_changes_nothing():
    model, values = CASES["logistic"]
    found = fit(model, SVI(steps=5, device="cpu"), **values)
    assert torch.equal(found.elbo, fit(model, SVI(steps=5), **values).elbo)


def test_layers_in_bfloat16_and_all_else_as_it_was():
    model, values = CASES["VAE"]
    exact = fit(model, SVI(steps=300, seed=1), **values)
    coarse = fit(model, SVI(steps=300, seed=1, precision="bfloat16"), **values)
    assert {w.dtype for w in coarse.model.parameters()} == {torch.float32}
    assert coarse.elbo.dtype == torch.float64
    assert all("forward" not in module.__dict__ for module in coarse.model.modules())
    assert not torch.equal(coarse.elbo, exact.elbo)
    # Eight bits of mantissa: a first bound of some hundred nats moves by less than 2 in a hundred.
    torch.testing.assert_close(coarse.elbo[0], exact.elbo[0], rtol=0.02, atol=0)
    assert exact.elbo[-50:].mean() - exact.elbo[:5].mean() > 50  # it has climbed, and the other as high
    torch.testing.assert_close(coarse.elbo[-50:].mean(), exact.elbo[-50:].mean(), rtol=0.05, atol=0)


def test_the_modules_are_as_they_were_after_an_error():
    model = copy.deepcopy(CASES["VAE"][0])
    with pytest.raises(ValueError, match="stop"), devices.computing([model], torch.device("cpu"), "bfloat16"):
        raise ValueError("stop")
    assert all("forward" not in module.__dict__ for module in model.modules())


gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@gpu
@pytest.mark.parametrize("name", CASES)
def test_the_bound_on_the_gpu_is_that_on_the_cpu(name, tmp_path):
    """The draws differ, so bounds are compared within their Monte-Carlo error."""
    model, values = CASES[name]
    with pytest.warns(NotCompiled):
        there = fit(model, SVI(steps=400, device="cuda", compile=True), **values)
    here = fit(model, SVI(steps=400), **values)
    assert {v.device.type for v in there.model.state_dict().values()} == {"cpu"}
    (a, s), (b, t) = (posterior.estimate_elbo(200) for posterior in (there, here))
    assert abs(a - b) < 5.5 * (s * s + t * t) ** 0.5 + 0.02 * abs(b)
    save(there, tmp_path / "a.pplgen")
    load(tmp_path / "a.pplgen")


@gpu
def test_a_density_on_the_gpu_is_that_on_the_cpu():
    """float64, the same parameters and draws: equal to rounding."""
    model, values = CASES["logistic"]
    with isolated(0):
        target = Unconstrained(model, None, admit(model, values, missing=True), None, "NUTS")
        here = target(target.start)
        with devices.computing([target.p], torch.device("cuda"), None):
            target.data = devices.moved(target.data, torch.device("cuda"))
            torch.testing.assert_close(target(target.start.cuda()).cpu(), here, rtol=1e-10, atol=1e-10)
    draws = fit(model, NUTS(draws=20, warmup=20, chains=1, device="cuda"), **values)
    assert ask(draws, "p(w)").sample(3).device.type == "cpu"


@gpu
def test_bfloat16_on_the_gpu():
    model, values = CASES["VAE"]
    found = fit(model, SVI(steps=300, device="cuda", precision="bfloat16"), **values)
    assert found.elbo[-50:].mean() - found.elbo[:5].mean() > 50
    assert torch.isfinite(ask(found, "p(x)", LowerBound()).log_prob(x=BITS[:5])).all()

"""Exact inference against closed forms, sequential predictives and the ELBO."""

import numpy as np
import pytest
import torch

from ppl_gen import Exact, ask, fit
from ppl_gen.data import gaussian_classes, iris, wine
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.models import GaussianNaiveBayes, GaussianRegression, LogisticRegression


def by_hand(nb, x, y):
    """Normal-Gamma and Dirichlet updates written with loops (Murphy 2007, equations 85-89)."""
    loc, strength = np.zeros((nb.classes, nb.features)), np.zeros((nb.classes, nb.features))
    shape, rate = np.zeros_like(loc), np.zeros_like(loc)
    counts = np.array([float(c) for c in nb.concentration])
    for k in range(nb.classes):
        rows = x[y == k]
        counts[k] += len(rows)
        for j in range(nb.features):
            m0, k0, a0, b0 = (float(t[k, j]) for t in (nb.loc, nb.strength, nb.shape, nb.rate))
            cells = rows[:, j][~np.isnan(rows[:, j])]
            n = len(cells)
            mean = cells.mean() if n else 0.0
            loc[k, j] = (k0 * m0 + n * mean) / (k0 + n)
            strength[k, j] = k0 + n
            shape[k, j] = a0 + n / 2
            rate[k, j] = b0 + ((cells - mean) ** 2).sum() / 2 + k0 * n * (mean - m0) ** 2 / (2 * (k0 + n))
    return counts, loc, strength, shape, rate


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("data", [iris(), wine(), gaussian_classes(50, classes=4, features=3, seed=1)])
def test_hyperparameters_equal_the_closed_form(data, gaps):
    x = data.x.clone()
    if gaps:
        x[torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.2] = torch.nan
    nb = GaussianNaiveBayes(len(data.classes), len(data.features), loc=0.3, strength=0.5, shape=2.0, rate=0.7)
    after = fit(nb, x=x, y=data.y).model
    for name, expected in zip(
        ("concentration", "loc", "strength", "shape", "rate"),
        by_hand(nb, x.numpy(), data.y.numpy()),
        strict=True,
    ):
        torch.testing.assert_close(getattr(after, name), torch.tensor(expected), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("gaps", [False, True])
def test_log_evidence_is_the_product_of_sequential_predictives(gaps):
    data = wine().standardized()[torch.arange(0, 178, 5)]
    x = data.x.clone()
    if gaps:
        x[torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.2] = torch.nan
    posterior = GaussianNaiveBayes(classes=3, features=13)
    total = 0.0
    for row, label in zip(x, data.y, strict=True):
        total += ask(posterior, "p(x, y)").log_prob(x=row, y=int(label)).item()
        posterior = fit(posterior, x=row[None], y=label[None])
    whole = fit(GaussianNaiveBayes(classes=3, features=13), x=x, y=data.y)
    assert whole.log_evidence == pytest.approx(total, rel=1e-9)
    assert posterior.log_evidence == pytest.approx(total, rel=1e-9)  # it kept count on the way


def test_elbo_under_the_exact_posterior_is_the_log_evidence_on_every_draw():
    data = iris()
    posterior = fit(GaussianNaiveBayes(classes=3, features=4), x=data.x, y=data.y)
    for seed in range(5):
        value, _ = posterior.estimate_elbo(draws=1, seed=seed)
        assert value == pytest.approx(posterior.log_evidence, rel=1e-10)
    prior = fit(GaussianNaiveBayes(classes=3, features=4), x=data.x[:1], y=data.y[:1])
    wrong, _ = prior.estimate_elbo(draws=1, x=data.x, y=data.y)
    assert abs(wrong - posterior.log_evidence) > 1  # another posterior does fail


def test_chunks_and_continuing_change_nothing():
    data = iris()
    nb = GaussianNaiveBayes(classes=3, features=4)
    whole = fit(nb, Exact(), x=data.x, y=data.y)
    chunked = fit(nb, Exact(chunk=7), x=data.x, y=data.y)
    first = fit(nb, x=data.x[:70], y=data.y[:70])
    second = fit(first, x=data.x[70:], y=data.y[70:])
    for other in (chunked, second):
        assert other.log_evidence == pytest.approx(whole.log_evidence, rel=1e-10)
        for name, tensor in whole.model.named_buffers():
            torch.testing.assert_close(getattr(other.model, name), tensor, rtol=1e-10, atol=1e-12)
    with pytest.raises(DataError, match="counted twice"):
        fit(second, x=data.x[:70], y=data.y[:70])


@pytest.mark.parametrize("offset", [1e6, -1e8])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_offsets_and_scales_cost_no_digits(offset, scale):
    data = iris()
    x = data.x.double() * scale
    here, there = (
        GaussianNaiveBayes(classes=3, features=4, loc=loc, rate=1e-30) for loc in (0.0, offset * scale)
    )
    near, far = fit(here, x=x, y=data.y).model, fit(there, x=x + offset * scale, y=data.y).model
    lost = (
        abs(offset) * 2.3e-16
    )  # the digits that the shifted data themselves no longer hold, in units of scale
    torch.testing.assert_close(far.rate, near.rate, rtol=1e-9 + 20 * lost, atol=0)


def test_what_has_no_closed_form_is_refused():
    with pytest.raises(Unanswerable, match="no closed form"):
        fit(LogisticRegression(classes=2, features=1), Exact(), x=[[0.0], [1.0]], y=[0, 1])
    with pytest.raises(Unanswerable, match="needs every row's y"):
        fit(GaussianNaiveBayes(classes=2, features=1), Exact(), x=[[0.0], [1.0]])


@pytest.mark.parametrize("chunk", [7, 1000])
def test_weights_count_rows(chunk):
    """A row of weight 2 is two rows, of weight 0 none; fractions raise the likelihood to a power."""
    data, weights = iris(), torch.arange(150) % 3
    nb = GaussianNaiveBayes(classes=3, features=4)
    copies = torch.arange(150).repeat_interleave(weights)
    found = fit(nb, Exact(chunk=chunk, weights=weights), x=data.x, y=data.y)
    whole = fit(nb, x=data.x[copies], y=data.y[copies])
    assert found.log_evidence == pytest.approx(whole.log_evidence, rel=1e-10)
    for name, tensor in whole.model.named_buffers():
        torch.testing.assert_close(getattr(found.model, name), tensor, rtol=1e-10, atol=1e-10)
    assert found.method == Exact(chunk=chunk)
    assert found.method.weights is None
    halves = fit(nb, Exact(weights=[0.5] * 300), x=data.x.repeat(2, 1), y=data.y.repeat(2))
    assert halves.log_evidence == pytest.approx(fit(nb, x=data.x, y=data.y).log_evidence, rel=1e-10)


@pytest.mark.parametrize("weights", [[1.0], [[1.0, 1.0]], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")], "ab"])
def test_weights_that_do_not_fit_are_refused(weights):
    nb = GaussianNaiveBayes(classes=2, features=1)
    with pytest.raises(DataError, match="weights: expected"):
        fit(nb, Exact(weights=weights), x=[[0.0], [1.0]], y=[0, 1])
    twin = GaussianRegression(features=1)
    with pytest.raises(DataError, match="weights: expected rows that have a class"):
        fit(twin, Exact(weights=[1.0, 1.0]), x=[[0.0], [1.0]], y=[0.0, 1.0])

"""Kernel naive Bayes against scikit-learn's kernel densities, and the promises that every model keeps."""

import math

import numpy as np
import pyro
import pytest
import torch
from pyro import distributions as dist
from sklearn.neighbors import KernelDensity as SklearnKernelDensity

from ppl_gen import (
    NUTS,
    SVI,
    CrossValidation,
    Exact,
    MaximumLikelihood,
    ask,
    check_model,
    explain,
    fit,
    load,
    merge,
    save,
    to_arviz,
)
from ppl_gen.data import breast_cancer, iris, wine
from ppl_gen.distributions import KernelDensity, Values
from ppl_gen.errors import BrokenModel, DataError, NoEvidence, Unanswerable
from ppl_gen.models import GaussianNaiveBayes, KernelNaiveBayes

HOW = "at cross-validated bandwidths"


def example(seed=0, n=40, **options):
    """A model, and rows of three classes and four features."""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    x = torch.randn(n, 4, generator=g, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.1, 1.0]) + y[:, None]
    return KernelNaiveBayes(3, 4, concentration=2.0, **options), x, y


def without(x, share=0.3):
    """Some cells missing, none of the first three rows'."""
    hidden = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < share
    return torch.where(hidden & (torch.arange(len(x)) > 2)[:, None], torch.nan, x)


@pytest.mark.parametrize("sharing", ["each", "feature", "one"])
@pytest.mark.parametrize("data", [iris(), wine(), breast_cancer()], ids=lambda d: d.name)
def test_probabilities_equal_those_of_scikit_learns_kernel_densities(data, sharing):
    classes, features = len(data.classes), len(data.features)
    posterior = fit(KernelNaiveBayes(classes, features, bandwidth=sharing), x=data.x[::2], y=data.y[::2])
    x, rows, new = data.x.numpy(), data.x[::2].numpy(), data.x[1::2]
    logs = np.zeros((len(new), classes))
    for k in range(classes):
        own = rows[data.y[::2].numpy() == k]
        logs[:, k] = math.log((len(own) + 1) / (len(rows) + classes))
        for j in range(features):
            h = float(posterior.model.bandwidth[k, j])
            theirs = SklearnKernelDensity(bandwidth=h, rtol=0, atol=0).fit(own[:, [j]])
            logs[:, k] += theirs.score_samples(x[1::2, [j]])
    answer = ask(posterior, "p(y | x)", x=new)
    torch.testing.assert_close(answer.probs, torch.tensor(logs).softmax(1), rtol=1e-8, atol=1e-8)
    joint = ask(posterior, "p(x, y)").log_prob(x=new, y=data.y[1::2])
    torch.testing.assert_close(joint, torch.tensor(logs)[range(len(new)), data.y[1::2]], rtol=1e-8, atol=0)
    assert answer.how == f"enumerated, {HOW}"


@pytest.mark.parametrize(("data", "least"), [(iris(), 0.9), (wine(), 0.9), (breast_cancer(), 0.9)])
def test_predicts_held_out_rows(data, least):
    order = torch.randperm(len(data.y), generator=torch.Generator().manual_seed(0))
    train, test = order[::2], order[1::2]
    model = KernelNaiveBayes(len(data.classes), len(data.features))
    before = (ask(model, "p(y | x)", x=data.x[test]).mode == data.y[test]).double().mean()
    posterior = fit(model, x=data.x[train], y=data.y[train])
    found = (ask(posterior, "p(y | x)", x=data.x[test]).mode == data.y[test]).double().mean()
    assert before < least < found


def test_two_peaks_that_no_gaussian_has():
    g = torch.Generator().manual_seed(0)
    inner, sign = torch.randn(400, generator=g).double(), torch.randint(0, 2, (400,), generator=g) * 2 - 1
    x = torch.cat([0.3 * inner[:200], 3 * sign[200:] + 0.3 * inner[200:]])[:, None]
    y = torch.cat([torch.zeros(200), torch.ones(200)]).long()
    kernel, gauss = (fit(m, x=x[::2], y=y[::2]) for m in (KernelNaiveBayes(2, 1), GaussianNaiveBayes(2, 1)))
    scores = [ask(p, "p(x, y)").log_prob(x=x[1::2], y=y[1::2]).mean() for p in (kernel, gauss)]
    assert scores[0] > scores[1] + 0.3


# The contract -------------------------------------------------------------------------------------------


def test_keeps_the_contract_with_and_without_rows():
    model, x, y = example()
    check_model(model, n=8)
    check_model(KernelNaiveBayes(2, 1, bandwidth=0.5), n=8)
    check_model(fit(model, x=x, y=y).model, n=8)


class Unnormalised(KernelDensity):
    def log_prob(self, value):
        return super().log_prob(value) + 0.1


class Wide(KernelDensity):
    def sample(self, sample_shape=()):
        return 1.5 * super().sample(sample_shape)


@pytest.mark.parametrize(("density", "says"), [(Unnormalised, "does not sum to one"), (Wide, "disagree")])
def test_broken_variants_are_refused(density, says):
    class Broken(KernelNaiveBayes):
        def model(self, n):
            pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
            with pyro.plate("data", n):
                y = pyro.sample("y", dist.Categorical(pi))
                cells = density(
                    Values(self.values, self.counts),
                    self.bandwidth,
                    y.expand(torch.broadcast_shapes(y.shape, (n,))),
                )
                return pyro.sample("x", cells.to_event(1))

    class Deaf(KernelNaiveBayes):
        def model(self, n):
            pi = pyro.sample("pi", dist.Dirichlet(self.concentration))
            with pyro.plate("data", n):
                y = pyro.sample("y", dist.Categorical(pi))
                cells = KernelDensity(Values(self.values, self.counts), self.bandwidth, torch.zeros_like(y))
                return pyro.sample("x", cells.to_event(1))

    _, x, y = example()
    kept = {"x": x, "y": y}
    with pytest.raises(BrokenModel, match=says):
        check_model(Broken(3, 4).cross_validated(**kept), n=8)
    with pytest.raises(BrokenModel, match="'x' without looking at 'y'"):
        check_model(Deaf(3, 4).cross_validated(**kept), n=8)


def test_the_marginal_is_the_joint_with_pi_integrated_out():
    model, x, y = example()
    posterior = fit(model, x=x, y=y)
    counts = torch.bincount(y).double() + 2.0
    classes = ask(posterior, "p(y)")
    torch.testing.assert_close(classes.probs, counts / counts.sum(), rtol=1e-12, atol=0)
    assert classes.how == "exact"
    assert torch.equal(posterior.model.concentration, counts)
    pi = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    every = torch.stack([ask(posterior, "p(x | y)", y=k).log_prob(x=x) for k in range(3)], 1)
    shifted = ask(posterior, "p(y | x, pi)", x=x, pi=pi)
    torch.testing.assert_close(shifted.probs, (every + pi.log()).softmax(1), rtol=1e-10, atol=1e-12)
    mean = ask(posterior, "p(x | y)", y=1).mean
    torch.testing.assert_close(mean, x[y == 1].mean(0), rtol=1e-12, atol=0)


# Missing cells ------------------------------------------------------------------------------------------


def test_a_missing_cell_is_a_column_left_out():
    model, x, y = example()
    keep = [0, 2, 3]
    gappy = torch.full_like(x, torch.nan)
    gappy[:, keep] = x[:, keep]
    less = fit(KernelNaiveBayes(3, 3, concentration=2.0), x=x[:, keep], y=y)
    full, queried = fit(model, x=gappy, y=y), fit(model, x=x, y=y)
    torch.testing.assert_close(full.model.bandwidth[:, keep], less.model.bandwidth, rtol=1e-10, atol=0)
    assert full.model.leave_one_out == pytest.approx(float(less.model.leave_one_out), rel=1e-12)
    for question, values in {"p(x)": {}, "p(x, y)": {"y": y}}.items():
        expected = ask(less, question).log_prob(x=x[:, keep], **values)
        for posterior in (full, queried):
            found = ask(posterior, question).log_prob(x=gappy, **values)
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    expected = ask(less, "p(y | x)", x=x[:, keep]).probs
    torch.testing.assert_close(ask(queried, "p(y | x)", x=gappy).probs, expected, rtol=1e-10, atol=1e-10)


def test_each_row_may_miss_cells_of_its_own():
    model, x, y = example()
    gappy = without(x)
    posterior = fit(model, x=gappy, y=y)
    for k in range(3):
        for j in range(4):
            rows = gappy[y == k, j]
            alone = fit(
                KernelNaiveBayes(1, 1), x=rows[~rows.isnan(), None], y=[0] * int((~rows.isnan()).sum())
            )
            # the floors come from all classes, and none is reached here
            torch.testing.assert_close(
                posterior.model.bandwidth[k, j], alone.model.bandwidth[0, 0], rtol=1e-6, atol=0
            )
    logs = ask(posterior, "p(y)").probs.log().repeat(len(x), 1)
    for j in range(4):
        cells = torch.full_like(x, torch.nan)
        cells[:, j] = gappy[:, j]
        logs += torch.stack([ask(posterior, "p(x | y)", y=k).log_prob(x=cells) for k in range(3)], 1)
    found = ask(posterior, "p(y | x)", x=gappy).probs
    torch.testing.assert_close(found, logs.softmax(1), rtol=1e-10, atol=1e-12)


def test_a_class_without_values_has_the_normal_of_its_hyperparameters():
    model = KernelNaiveBayes(2, 1, loc=[[1.0], [2.0]], scale=[[3.0], [4.0]])
    posterior = fit(model, x=[[0.0], [1.0]], y=[0, 0])
    found = ask(posterior, "p(x | y)", y=1).log_prob(x=[[5.0]])
    assert found.item() == pytest.approx(float(dist.Normal(2.0, 4.0).log_prob(torch.tensor(5.0))), rel=1e-6)
    before = ask(model, "p(x | y)", y=0)
    assert before.log_prob(x=[[5.0]]).item() == pytest.approx(
        -0.5 * 16 / 9 - math.log(3) - 0.9189385332, rel=1e-9
    )
    assert before.how == "exact"


# Use ----------------------------------------------------------------------------------------------------


def test_it_says_what_it_knows_of_the_evidence():
    model, x, y = example()
    posterior = fit(model, x=x, y=y)
    total = 0.0
    for k in range(3):
        for j in range(4):
            cells, h = x[y == k, j], posterior.model.bandwidth[k, j]
            logs = dist.Normal(cells, h).log_prob(cells[:, None]).fill_diagonal_(-torch.inf)
            total += float((logs.logsumexp(1) - math.log(len(cells) - 1)).sum())
    assert float(posterior.model.leave_one_out) == pytest.approx(total, rel=1e-10)
    assert posterior.method == CrossValidation()
    assert f"leave-one-out log likelihood {total:,.3f} nats" in str(posterior)
    with pytest.raises(NoEvidence, match=r"has no evidence: .*posterior\.model\.leave_one_out"):
        _ = posterior.log_evidence
    with pytest.raises(NoEvidence, match="no evidence to bound"):
        posterior.estimate_elbo()


@pytest.mark.parametrize("options", [{}, {"bandwidth": "one"}, {"bandwidth": [[0.3, 1.0, 0.02, 0.3]]}])
def test_more_rows_and_shards_are_as_all_at_once(options):
    model, x, y = example(**options)
    x = without(x)
    whole = fit(model, x=x, y=y)
    continued = fit(fit(model, x=x[:15], y=y[:15]), x=x[15:], y=y[15:])
    shards = merge(fit(model, x=x[:15], y=y[:15]), fit(model, x=x[15:], y=y[15:]))
    for other in (continued, shards):
        for name, value in whole.model.named_buffers():
            assert torch.equal(dict(other.model.named_buffers())[name], value), name
        assert other.note == whole.note
    assert shards.n == 40
    answer = ask(shards, "p(y | x)", x=x)
    assert torch.equal(answer.probs, ask(whole, "p(y | x)", x=x).probs)
    assert answer.how.endswith("given bandwidths" if isinstance(options.get("bandwidth"), list) else HOW)
    assert not bool(model.counts.any())  # the prior stays as it was
    with pytest.raises(DataError, match="counted twice"):
        fit(whole, x=x, y=y)


def test_saved_and_loaded_it_answers_the_same(tmp_path):
    model, x, y = example()
    posterior = fit(model, x=x, y=y)
    save(posterior, tmp_path / "kernel.pplgen")
    again = load(tmp_path / "kernel.pplgen")
    for question in ("p(y | x)", "p(x)"):
        answers = [ask(p, question, **({"x": x} if "|" in question else {})) for p in (again, posterior)]
        found = [a.probs if "|" in question else a.log_prob(x=x) for a in answers]
        assert torch.equal(*found)
        assert answers[0].how == answers[1].how
    assert again.note == posterior.note
    more = [fit(p, x=x[:5] + 0.01, y=y[:5]).model.bandwidth for p in (again, posterior)]
    assert torch.equal(*more)


def test_draws_explanations_and_arviz():
    model, x, y = example()
    posterior = fit(model, x=x, y=y)
    rows = ask(posterior, "p(x, y)").sample(6, seed=0)
    assert rows["x"].shape == (6, 4)
    fit(posterior, x=rows["x"], y=rows["y"])
    told = explain(posterior, x[0])
    odds = ask(posterior, "p(y | x)", x=x[0]).probs.log().sort().values
    assert told.total == pytest.approx(float(odds[2] - odds[1]), rel=1e-9)
    assert len(told.features) == 5  # and the prior; nothing is told together
    tree = to_arviz(posterior, draws=20)
    assert tree["log_likelihood"].attrs["how"] == f"exact; x: {HOW}"
    counts = torch.bincount(y).double()
    pi = torch.tensor(tree["posterior"]["pi"].values)[0]
    log_prior = dist.Dirichlet(model.concentration).log_prob(pi)
    torch.testing.assert_close(torch.tensor(tree["log_prior"]["pi"].values)[0], log_prior)
    ones = torch.tensor(tree["log_likelihood"]["x"].values)[0, 0]
    own = torch.stack([ask(posterior, "p(x | y)", y=int(k)).log_prob(x=r) for r, k in zip(x, y, strict=True)])
    torch.testing.assert_close(ones, own)
    exact = dist.Dirichlet(model.concentration + counts)
    assert abs(float(pi.mean(0)[0] - exact.mean[0])) < 6 * float(exact.variance[0].sqrt()) / math.sqrt(20)


def test_what_does_not_fit_is_refused():
    model, x, y = example()
    for method in (Exact(), MaximumLikelihood(), SVI(), NUTS()):
        with pytest.raises(Unanswerable, match=r"keeps the rows themselves.*CrossValidation\(\)"):
            fit(model, method, x=x, y=y)
    with pytest.raises(
        Unanswerable, match=r"declares nothing to choose by cross-validation.*Exact\(\) or SVI"
    ):
        fit(GaussianNaiveBayes(3, 4), CrossValidation(), x=x, y=y)
    with pytest.raises(Unanswerable, match=r"needs every row's y: .*Pass y=…$"):
        fit(model, x=x)
    with pytest.raises(DataError, match="needs all rows together"):
        fit(model, CrossValidation(), [{"x": x, "y": y}])
    with pytest.raises(DataError, match="bandwidth: expected each, feature, one or numbers, got 'scott'"):
        KernelNaiveBayes(2, 2, bandwidth="scott")
    with pytest.raises(DataError, match="bandwidth: expected positive finite numbers, got 0"):
        KernelNaiveBayes(2, 2, bandwidth=0.0)
    with pytest.raises(DataError, match="x: expected values of feature 1 that differ"):
        fit(KernelNaiveBayes(2, 2), x=[[0.0, 1.0], [1.0, 1.0]], y=[0, 0])
    posterior = fit(model, x=x, y=y)
    with pytest.raises(DataError, match="prior without rows"):
        merge(fit(posterior.model, x=x + 1, y=y), fit(posterior.model, x=x + 2, y=y))

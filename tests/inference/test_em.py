"""EM: monotone, blind to the names of components, exact on missing cells, and at known maxima."""

import math
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from ppl_gen import EM, MaximumLikelihood, ask, fit, load, models, save
from ppl_gen.distributions import Categorical
from ppl_gen.errors import DataError, NoEvidence, NonFinite, Unanswerable, Unreliable
from ppl_gen.models import (
    VAE,
    BernoulliMixture,
    CategoricalMixture,
    FullGaussianMixture,
    GaussianMixture,
    GaussianNaiveBayes,
    MixedMixture,
    PoissonMixture,
    SphericalGaussianMixture,
    TiedGaussianMixture,
)
from tests.thinned import thinned

GAUSSIAN = (GaussianMixture, SphericalGaussianMixture, TiedGaussianMixture, FullGaussianMixture)
KINDS = {
    **{cls.__name__: (cls(3, 4), "gaussian") for cls in GAUSSIAN},
    "bernoulli": (BernoulliMixture(3, 4), "bernoulli"),
    "poisson": (PoissonMixture(3, 4), "poisson"),
    "categorical": (CategoricalMixture(3, 4, levels=3), "categorical"),
    "mixed": (MixedMixture(3, ["gaussian", "bernoulli", "poisson", Categorical(3)]), "mixed"),
}


def rows(kind: str, n: int = 90, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    z = torch.arange(n)[:, None] % 3
    u = torch.randn(n, 4, generator=generator, dtype=torch.float64) + 1.5 * z
    parts = {
        "gaussian": u,
        "bernoulli": (u > 1).double(),
        "poisson": u.abs().round(),
        "categorical": u.round().clamp(0, 2),
    }
    if kind == "mixed":
        return torch.stack([part[:, j] for j, part in enumerate(parts.values())], 1)
    return parts[kind]


def with_gaps(x: torch.Tensor) -> torch.Tensor:
    return torch.where(torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.2, torch.nan, x)


@pytest.mark.parametrize(
    "method", [EM(smoothing=0.0, restarts=2), EM(prior=True, restarts=2)], ids=["ml", "map"]
)
@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "gaps"])
@pytest.mark.parametrize("name", thinned(KINDS, 2))
def test_no_step_lowers_the_objective(name, gaps, method):
    model, kind = KINDS[name]
    x = with_gaps(rows(kind)) if gaps else rows(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Unreliable)  # three components may be one too many
        history = fit(model, method, x=x).elbo
    assert history[-1] > history[0] + 1e-6  # the start is not the end
    assert (history.diff() >= -1e-12 * history[1:].abs()).all()


@pytest.mark.parametrize("name", KINDS)
def test_the_history_is_the_programs_own_log_likelihood(name):
    model, kind = KINDS[name]
    x = rows(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Unreliable)
        posterior = fit(model, EM(steps=3, restarts=1), x=x)
    expected = ask(posterior, "p(x)").log_prob(x=x).sum()
    torch.testing.assert_close(posterior.elbo[-1], expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", KINDS)
def test_map_is_a_peak_of_the_programs_own_density(name):
    """Small steps in every direction of the parameters lower log p(x, parameters)."""
    model, kind = KINDS[name]
    x = rows(kind, n=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Unreliable)
        posterior = fit(model, EM(prior=True, tolerance=0.0, steps=3000, restarts=1), x=x)
    asked = f"p({', '.join(posterior.point)})"

    def height(values):
        given = ", ".join(values)
        likelihood = ask(model, f"p(x | {given})", **values).log_prob(x=x).sum()
        return likelihood + ask(model, asked).log_prob(**values)

    top = height(posterior.point)
    torch.testing.assert_close(top, posterior.elbo[-1], rtol=1e-9, atol=0)
    generator = torch.Generator().manual_seed(0)
    for key, value in posterior.point.items():
        if key in ("pi", "theta", "phi"):
            continue  # simplexes and unit intervals, whose peaks may lie on the border
        for _ in range(5):
            noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
            step = (
                1e-3
                * (noise.tril() if key == "sigma" else noise)
                * value.abs().clamp(min=0.1 * (key in ("mu", "sigma")))
            )
            for moved in (value + step, value - step):
                assert height(posterior.point | {key: moved}) < top + 1e-9 * top.abs()


@pytest.mark.parametrize("name", KINDS)
def test_components_may_change_their_names(name):
    """From the same start with its components permuted, every step is the same, permuted."""
    model, kind = KINDS[name]
    x = rows(kind)
    labels = torch.arange(len(x)) % 3
    order = torch.tensor([2, 0, 1])
    one, two = (fit(model, MaximumLikelihood(smoothing=0.01), x=x, z=z) for z in (labels, order[labels]))

    climbed = []
    for start in (one, two):  # go on from the labelled rows' own maximum, the labels now hidden
        hidden = replace(fit(model, EM(steps=1, restarts=1, smoothing=0.01), x=x), guide=start.guide)
        climbed.append(fit(hidden, EM(steps=15, tolerance=0.0, smoothing=0.01), x=x))
    torch.testing.assert_close(climbed[0].elbo, climbed[1].elbo, rtol=1e-12, atol=0)
    for key, value in climbed[0].point.items():
        other = climbed[1].point[key]
        if key != "sigma" or value.dim() == 3:
            other = other[order]
        torch.testing.assert_close(value, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("covariance", ["full", "tied", "diagonal", "spherical"])
def test_equals_scikit_learns_steps(covariance):
    x = rows("gaussian", n=300)
    model = GaussianMixture(3, 4, covariance=covariance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = fit(model, EM(steps=1, restarts=1, smoothing=0.0), x=x)
        point = {name: value.numpy() for name, value in start.point.items()}
        root = np.linalg.inv(point["sigma"]) if "sigma" in point else None
        theirs = SklearnGaussianMixture(
            3,
            covariance_type={"diagonal": "diag"}.get(covariance, covariance),
            weights_init=point["pi"],
            means_init=point["mu"],
            precisions_init=point["tau"] if root is None else np.swapaxes(root, -1, -2) @ root,
            max_iter=8,
            tol=0.0,
            reg_covar=0.0,
        ).fit(x.numpy())
        ours = fit(start, EM(steps=8, tolerance=0.0, smoothing=0.0), x=x)
    assert abs(start.elbo[-1] - ours.elbo[-1]) > 1e-3
    torch.testing.assert_close(ours.elbo[-1].item(), len(x) * theirs.score(x.numpy()), rtol=1e-10, atol=0)
    np.testing.assert_allclose(ours.point["mu"].numpy(), theirs.means_, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("cls", [TiedGaussianMixture, FullGaussianMixture])
def test_soft_updates_are_those_of_repeated_rows(cls):
    """Weights of 1/4, 1/2 and 3/4 count as one, two and three of four copies of a row, at any offset."""
    x = rows("gaussian", n=64) + torch.tensor([0.0, 1e3, -1e6, 0.0])
    quarters = torch.randint(0, 5, (64,), generator=torch.Generator().manual_seed(0))
    weights = torch.stack([quarters, 4 - quarters], 1).double() / 4
    model = cls(2, 4)
    soft = model.updated(x, weights)
    copies = [torch.repeat_interleave(x, count, 0) for count in (quarters, 4 - quarters)]
    whole = model.family("features").updated(
        torch.nn.functional.one_hot(
            torch.arange(2).repeat_interleave(torch.tensor([*map(len, copies)])), 2
        ).double()
        / 4,
        torch.cat(copies),
    )
    for found, expected in zip(soft.family("features"), whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-6)


def test_labelled_rows_alone_are_maximum_likelihood_and_one_unlabelled_row_is_weighed():
    x = rows("gaussian", n=40)
    y = (torch.arange(40) % 2).double()
    nb = GaussianNaiveBayes(2, 4)
    with pytest.raises(Unanswerable, match=r"none is hidden here. Use Exact\(\) or MaximumLikelihood\(\)"):
        fit(nb, EM(), x=x, y=y)
    y[-1] = torch.nan
    posterior = fit(nb, EM(tolerance=0.0, restarts=1), x=x, y=y)
    probs = ask(posterior, "p(y | x)", x=x[-1:]).probs
    weights = torch.cat([torch.nn.functional.one_hot(y[:-1].long(), 2).double(), probs])
    pi = weights.mean(0)
    mu = (weights.T @ x) / weights.sum(0)[:, None]
    torch.testing.assert_close(posterior.point["pi"], pi, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(posterior.point["mu"], mu, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(  # log p(x, y) of labelled rows, log p(x) of the other
        posterior.elbo[-1],
        ask(posterior, "p(x, y)").log_prob(x=x[:-1], y=y[:-1].long()).sum()
        + ask(posterior, "p(x)").log_prob(x=x[-1:]).sum(),
        rtol=1e-9, atol=0,
    )  # fmt: skip


def test_unlabelled_rows_help():
    """Ten labels and 600 rows without classify better than ten labels alone."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(700) % 2
    x = torch.randn(700, 2, generator=generator, dtype=torch.float64) + 3.0 * y[:, None]
    some = torch.where(torch.arange(700) < 10, y.double(), torch.nan)
    nb = GaussianNaiveBayes(2, 2)
    alone = fit(nb, MaximumLikelihood(), x=x[:4], y=y[:4])
    both = fit(nb, EM(), x=x[:610], y=some[:610])
    found = [(ask(p, "p(y | x)", x=x[610:]).mode == y[610:]).double().mean() for p in (alone, both)]
    assert found[1] > found[0]
    assert found[1] > 0.93


def test_missing_cells_are_summed_out():
    """A column that nobody saw for half of the rows changes nothing but by the rows that have it."""
    x = with_gaps(rows("gaussian", n=60))
    posterior = fit(GaussianMixture(2, 4), EM(restarts=2), x=x)
    expected = ask(posterior, "p(x)").log_prob(x=x).sum()
    torch.testing.assert_close(posterior.elbo[-1], expected, rtol=1e-12, atol=0)
    empty = torch.cat([x, torch.full((7, 4), torch.nan, dtype=x.dtype)])
    same = fit(posterior.model, EM(restarts=2), x=empty)
    torch.testing.assert_close(same.elbo[-1], posterior.elbo[-1], rtol=1e-5, atol=0)


def test_empty_twin_and_shrunken_components_are_named():
    two = torch.tensor([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]], dtype=torch.float64)
    with pytest.warns(Unreliable, match=r"z = \d has shrunk to a point"):
        fit(GaussianMixture(2, 1), EM(restarts=1, seed=1), x=[[0.0], [0.0], [0.0], [5.0], [6.0]])
    with pytest.warns(Unreliable, match=r"(is empty|the same component|shrunk)"):
        fit(GaussianMixture(5, 1), EM(restarts=1), x=two)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(GaussianMixture(2, 1), EM(), x=two)


def test_a_start_that_does_not_shrink_is_preferred():
    """Two equal rows tempt a component to shrink to a point, where the likelihood has no bound."""
    x = torch.cat([torch.randn(60, 1, generator=torch.Generator().manual_seed(3)), torch.full((3, 1), 9.0)])
    with pytest.warns(Unreliable, match="shrunk"):
        fit(GaussianMixture(2, 1), EM(restarts=1), x=x)
    posterior = fit(GaussianMixture(2, 1), EM(prior=True), x=x)
    assert posterior.point["tau"].max() < 1e4


def test_the_note_tells_why_it_stopped_and_how_the_starts_ended():
    x = rows("gaussian")
    assert "converged after" in (note := fit(GaussianMixture(2, 4), EM(), x=x).note)
    assert "10 starts came to -" in note
    assert "not converged: stopped after 2 steps" in fit(GaussianMixture(3, 4), EM(steps=2), x=x).note


def test_the_note_counts_the_starts_that_shrank_to_a_point_and_were_left_out():
    """Two equal rows draw a component to a point, where the likelihood is highest, and means nothing."""
    generator, left_out = torch.Generator().manual_seed(0), 0
    x = torch.randn(60, 1, generator=generator, dtype=torch.float64) + 4.0 * (torch.arange(60) % 2)[:, None]
    x = torch.cat([x, x.new_full((2, 1), 9.0)])
    for seed in range(4):
        posterior = fit(GaussianMixture(3, 1), EM(seed=seed), x=x)
        best = float(posterior.note.split(" … ")[1].split(",")[0])
        dropped = re.search(r", of which (\d) shrank to a point and (was|were) left out$", posterior.note)
        assert (posterior.elbo[-1] < best - 1e-3) == bool(dropped), posterior.note
        left_out += int(dropped[1]) if dropped else 0
    assert left_out


@pytest.mark.parametrize("name", KINDS)
def test_an_empty_column_is_refused_where_only_the_rows_decide(name):
    p, kind = KINDS[name]
    x = rows(kind)
    x[:, 2] = torch.nan
    with pytest.raises(
        DataError, match="x: expected at least one cell in every column, got none in column 2"
    ):
        fit(p, EM(restarts=1), x=x)


def test_what_no_row_of_a_component_has_is_not_a_point():
    """A column that all rows of one component lack leaves nan, by which nothing has shrunk."""
    x = torch.tensor([[0.0, 1.0], [0.3, 2.0], [0.7, 4.0], [90.0, torch.nan], [91.0, torch.nan]]).double()
    y = torch.tensor([0, 0, 0, 1, torch.nan])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(GaussianNaiveBayes(2, 2), EM(), x=x, y=y)
    assert not any("shrunk" in str(w.message) for w in caught)


def test_same_seed_same_answer_and_more_steps_go_on():
    x = rows("gaussian")
    model = GaussianMixture(3, 4)
    one, two = (fit(model, EM(steps=4, seed=3), x=x) for _ in range(2))
    assert torch.equal(one.elbo, two.elbo)
    on = fit(one, EM(steps=5, tolerance=0.0), x=x)
    assert len(on.elbo) == len(one.elbo) + 5
    assert (on.elbo.diff() >= -1e-12 * on.elbo[1:].abs()).all()
    with pytest.raises(DataError, match="this posterior is a point"):
        fit(one, EM(), x=x[:50])
    with pytest.raises(NoEvidence, match="EM finds a point"):
        _ = one.log_evidence


def test_chunks_do_not_matter():
    x = rows("gaussian")
    one, two = (fit(FullGaussianMixture(2, 4), EM(chunk=c, steps=5, restarts=1), x=x) for c in (1000, 17))
    torch.testing.assert_close(one.elbo, two.elbo, rtol=1e-10, atol=0)


def test_a_point_is_saved(tmp_path):
    x = rows("gaussian")
    posterior = fit(FullGaussianMixture(2, 4), EM(), x=x)
    save(posterior, tmp_path / "mixture.pplgen")
    again = load(tmp_path / "mixture.pplgen")
    assert torch.equal(ask(posterior, "p(z | x)", x=x).probs, ask(again, "p(z | x)", x=x).probs)
    assert again.method == posterior.method


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps: expected a whole number from 1 up, got 0"),
        ({"tolerance": -1.0}, "tolerance: expected a number from 0 up"),
        ({"smoothing": math.nan}, "smoothing: expected a number from 0 up, got nan"),
        ({"restarts": 1.5}, "restarts: expected a whole number"),
    ],
)
def test_settings_are_checked(options, message):
    with pytest.raises(DataError, match=message):
        EM(**options)


def test_what_it_cannot_do_it_refuses():
    with pytest.raises(Unanswerable, match="EM needs a conjugate model"):
        fit(VAE(features=4, latent=2, likelihood=models.vae.Bernoulli()), EM(), x=rows("bernoulli"))


@pytest.mark.parametrize("smoothing", [1e-9, 0.0])
def test_labels_by_hand_and_by_exact_enumeration_of_one_row(smoothing):
    """The E step's probabilities are Bayes' rule written out."""
    x = rows("gaussian", n=30)
    posterior = fit(GaussianMixture(2, 4), EM(smoothing=smoothing), x=x)
    pi, tau, mu = (posterior.point[name] for name in ("pi", "tau", "mu"))
    logs = [
        math.log(pi[k]) + sum(
            0.5 * math.log(tau[k, j] / (2 * math.pi)) - 0.5 * tau[k, j] * (x[0, j] - mu[k, j]) ** 2
            for j in range(4)
        )
        for k in range(2)
    ]  # fmt: skip
    expected = 1 / (1 + math.exp(logs[1] - logs[0]))
    assert ask(posterior, "p(z | x)", x=x[:1]).probs[0, 0].item() == pytest.approx(expected, rel=1e-9)


FULL = (TiedGaussianMixture, FullGaussianMixture)
QUIET = {"tolerance": 0.0, "restarts": 1, "smoothing": 0.0}


def two(n: int = 120, seed: int = 0) -> torch.Tensor:
    """Rows of two correlated clusters, with gaps."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    x[:, 1] += 0.8 * x[:, 0]
    x += 4.0 * (torch.arange(n) % 2)[:, None]
    return torch.where(torch.rand(x.shape, generator=generator) < 0.25, torch.nan, x)


@pytest.mark.parametrize("cls", FULL)
def test_with_gaps_it_ends_where_the_observed_datas_likelihood_is_flat(cls):
    """The gradient of the exact marginal log likelihood, by log_prob of every row's own cells, is zero."""
    x = two()
    posterior = fit(cls(2, 3), EM(steps=3000, **QUIET), x=x)

    def height(pi, mu, sigma):
        total = 0.0
        for row in x:
            seen = ~row.isnan()
            if seen.any():
                spread = (sigma @ sigma.mT)[..., seen, :][..., seen]
                each = torch.distributions.MultivariateNormal(mu[:, seen], spread).log_prob(row[seen])
                total = total + (pi.log_softmax(0) + each).logsumexp(0)
        return total

    def slopes(point):
        own = [point["pi"].log(), point["mu"], point["sigma"]]
        own = [value.clone().requires_grad_() for value in own]
        top = height(*own)
        return top, [g.abs().max().item() for g in torch.autograd.grad(top, own)]

    start = fit(cls(2, 3), EM(steps=1, **QUIET), x=x)
    assert max(slopes(start.point)[1]) > 1.0
    top, found = slopes(posterior.point)
    torch.testing.assert_close(top.detach(), posterior.elbo[-1], rtol=1e-12, atol=0)
    assert max(found) < 1e-3  # EM halts where a step gains no digit of some 500 nats: a slope of 1e-6 or so


@pytest.mark.parametrize("cls", FULL)
def test_with_gaps_neither_the_order_of_rows_nor_empty_ones_matter(cls):
    x = two()
    start = fit(cls(2, 3), EM(steps=3, **QUIET), x=x)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    empty = torch.cat([x, torch.full((9, 3), torch.nan, dtype=x.dtype)])
    ends = []
    for rows_ in (x, x[order], empty):
        again = replace(fit(cls(2, 3), EM(steps=1, **QUIET), x=rows_), guide=start.guide)
        ends.append(fit(again, EM(steps=2000, tolerance=0.0, smoothing=0.0), x=rows_))
    for other in ends[1:]:
        torch.testing.assert_close(other.elbo[-1], ends[0].elbo[-1], rtol=1e-9, atol=0)
        for name in ("mu", "sigma"):
            torch.testing.assert_close(other.point[name], ends[0].point[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cls", FULL)
def test_gaps_and_labels_that_some_rows_lack(cls):
    """Two labelled rows of each cluster name it; the history is the program's own log likelihood."""
    x = two()
    z = torch.where(torch.arange(120) < 4, torch.arange(120) % 2, torch.nan).double()
    posterior = fit(cls(2, 3), EM(smoothing=0.0), x=x, z=z)
    assert (posterior.elbo.diff() >= -1e-12 * posterior.elbo[1:].abs()).all()
    own = ask(posterior, "p(x, z)").log_prob(x=x[:4], z=z[:4].long()).sum()
    expected = own + ask(posterior, "p(x)").log_prob(x=x[4:]).sum()
    torch.testing.assert_close(posterior.elbo[-1], expected, rtol=1e-12, atol=0)
    known = x.isnan().sum(1) < 2
    found = ask(posterior, "p(z | x)", x=x).mode[known]
    assert (found == (torch.arange(120) % 2)[known]).double().mean() > 0.9


@pytest.mark.parametrize("cls", [models.LinearDiscriminantAnalysis, models.QuadraticDiscriminantAnalysis])
def test_where_all_labels_are_known_the_cells_alone_are_expected(cls):
    """Where one column has gaps its mean is that of its regression on all of the other (Anderson 1957)."""
    x = two()[:, :2].nan_to_num(nan=0.5)
    x[::3, 1] = torch.nan
    y = torch.arange(120) % 2
    posterior = fit(cls(2, 2), EM(tolerance=0.0, smoothing=0.0, steps=3000), x=x, y=y)
    assert "starts came" not in posterior.note
    whole = ~x[:, 1].isnan()
    if cls is models.QuadraticDiscriminantAnalysis:
        for k in range(2):
            own = x[whole & (y == k)]
            slope = torch.cov(own.T)[0, 1] / own[:, 0].var()
            mean = own[:, 1].mean() + slope * (x[y == k, 0].mean() - own[:, 0].mean())
            torch.testing.assert_close(posterior.point["mu"][k, 1], mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        posterior.elbo[-1], ask(posterior, "p(x, y)").log_prob(x=x, y=y).sum(), rtol=1e-12, atol=0
    )


@pytest.mark.slow
@pytest.mark.parametrize("cls", FULL)
def test_no_covariance_becomes_singular_where_cells_are_few(cls):
    """A column of which two cells are there, and rows of which none is."""
    x = two(n=40)
    x[2:, 2] = torch.nan
    x[:2, 2] = torch.tensor([1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Unreliable)
        posterior = fit(cls(2, 3), EM(prior=True), x=x)
    assert torch.linalg.eigvalsh(posterior.point["sigma"] @ posterior.point["sigma"].mT).min() > 1e-6
    x[:2, 2] = torch.nan
    assert torch.isfinite(fit(cls(2, 3), EM(prior=True), x=x).elbo).all()
    with pytest.raises(
        DataError, match="x: expected at least one cell in every column, got none in column 2"
    ):
        fit(cls(2, 3), EM(), x=x)


def test_chunks_do_not_matter_with_gaps():
    x = two()
    start = fit(FullGaussianMixture(2, 3), EM(steps=2, **QUIET), x=x)
    one, other = (fit(start, EM(steps=9, tolerance=0.0, chunk=c), x=x) for c in (1000, 17))
    torch.testing.assert_close(one.elbo, other.elbo, rtol=1e-10, atol=0)


@pytest.mark.parametrize("cls", FULL)
def test_offsets_and_scales_cost_no_digits(cls):
    """The same rows in other units, far from zero, climb by the same steps."""
    x, units = two(), torch.tensor([1e-6, 1e3, 1.0], dtype=torch.float64)
    start = fit(cls(2, 3), EM(steps=2, **QUIET), x=x)
    point = start.point
    moved = x * units + torch.tensor([10.0, -1e6, 1e4], dtype=torch.float64)
    again = fit(cls(2, 3), EM(steps=1, **QUIET), x=moved)
    there = {
        "pi": point["pi"],
        "mu": point["mu"] * units + torch.tensor([10.0, -1e6, 1e4], dtype=torch.float64),
        "sigma": point["sigma"] * units[:, None],
    }
    again = replace(again, guide=type(start.guide)(start.guide.counted, there))
    ends = [fit(p, EM(steps=30, tolerance=0.0, smoothing=0.0), x=r) for p, r in ((start, x), (again, moved))]
    log_units = ((~x.isnan()).double() @ units.log()).sum()
    torch.testing.assert_close(ends[1].elbo[-1] + log_units, ends[0].elbo[-1], rtol=1e-7, atol=0)


def test_one_row_leaves_the_range_of_floating_point_by_name():
    with pytest.raises(NonFinite, match="EM met a log likelihood of"):
        fit(GaussianMixture(components=2, features=1), EM(), x=[[1.0]])

"""Choosing K: every number against one computed apart, and the truth where it can be known."""

import math

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
import torch

from ppl_gen import EM, NUTS, SVI, VariationalBayes, ask, assignments, fit
from ppl_gen.diagnostics import Criterion, choose_k
from ppl_gen.diagnostics.criticism.criteria import Worth
from ppl_gen.errors import DataError
from ppl_gen.models import (
    PPCA,
    BernoulliMixture,
    FactorAnalysis,
    FullGaussianMixture,
    GaussianMixture,
    SphericalGaussianMixture,
    TiedGaussianMixture,
)


def clusters(rows=12, apart=40.0, k=3):
    """The same normal scores about each of ``k`` centres: nothing is left to chance."""
    grid = (torch.arange(rows, dtype=torch.float64) + 0.5) / rows
    return torch.cat([torch.special.ndtri(grid) + apart * i for i in range(k)])[:, None]


def gaussians(k):
    return GaussianMixture(components=k, features=1)


def test_evidence_is_enumerated_where_that_is_affordable():
    x = [[1.0], [0.0], [1.0], [1.0], [0.0]]
    found = choose_k(lambda k: BernoulliMixture(k, 1), range(1, 5), criteria=["log evidence"], x=x)
    criterion = found["log evidence"]
    assert criterion.how == ("enumerated",) * 4
    for k, nats in zip(criterion.ks, criterion.nats.tolist(), strict=True):
        assert nats == pytest.approx(assignments(BernoulliMixture(k, 1), x=x).log_evidence, abs=1e-10)


def test_a_bound_says_so_and_counts_orders():
    x = clusters()
    found = choose_k(gaussians, [1, 3], criteria=["log evidence"], x=x)["log evidence"]
    assert found.how == ("variational bound", "variational bound + log 3!")
    exact = fit(gaussians(1), x=x, z=torch.zeros(len(x), dtype=torch.long)).log_evidence
    assert found.nats[0].item() == pytest.approx(exact, abs=1e-6)  # one component hides nothing
    bound = fit(gaussians(3), VariationalBayes(), x=x).elbo[-1]
    assert found.nats[1].item() == pytest.approx(bound.item() + math.log(6), abs=1e-9)
    process = choose_k(
        lambda k: GaussianMixture(k, 1, weights="dirichlet process"), [2, 3], criteria=["log evidence"], x=x
    )
    assert process["log evidence"].how[1] == "variational bound"  # its components are not alike


def test_a_bound_with_its_orders_is_the_evidence_where_components_stand_apart():
    """Eight rows, two groups: all but the two namings of one labelling have probability e^-100."""
    x = torch.tensor([[0.0], [0.1], [0.2], [0.3], [900.0], [900.1], [900.2], [900.3]], dtype=torch.float64)
    evidence = assignments(gaussians(2), x=x).log_evidence
    bound = choose_k(gaussians, [2, 3], criteria=["log evidence"], x=x)["log evidence"]
    assert bound.how[0] == "variational bound + log 2!"
    assert bound.nats[0].item() == pytest.approx(evidence, abs=1e-4)


def leave_one_out(x):
    """log p(row | all others) of one component, by the conjugate update without that row."""
    rows = []
    for i in range(len(x)):
        rest = torch.cat([x[:i], x[i + 1 :]])
        posterior = fit(gaussians(1), x=rest, z=torch.zeros(len(rest), dtype=torch.long))
        rows.append(ask(posterior, "p(x)").log_prob(x=x[i : i + 1])[0])
    return torch.stack(rows)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_held_out_rows_and_loo_are_what_one_component_predicts(seed):
    x, method, both = clusters(rows=16, k=1), VariationalBayes(restarts=1), ["held out", "LOO"]
    exact = leave_one_out(x)
    found = choose_k(gaussians, [1, 2], method, draws=300, folds=16, seed=seed, criteria=both, x=x)
    assert found["held out"].nats[0].item() == pytest.approx(exact.sum().item(), abs=1e-6)
    spread = exact.std().item() * 16**0.5
    assert found["held out"].errors[0].item() == pytest.approx(spread, abs=1e-6)
    # Importance sampling by 1 / p(row | draw): the relative spread of these weights decides its error. The
    # draws are the same for all rows, whose errors may all be one.
    drawn = fit(gaussians(1), method, x=x).draw(300, seed=5)
    density = torch.distributions.Normal(drawn["mu"][:, 0], drawn["tau"][:, 0].rsqrt()).log_prob(x.T)
    weights = (-density).softmax(0) * 300
    error = float((weights.var(0) / 300).sqrt().sum())
    assert abs(found["LOO"].nats[0].item() - exact.sum().item()) < 5 * error
    assert 5 * error < abs(exact.sum().item())
    assert "PSIS, 300 draws" in found["LOO"].how[0]


def test_paired_differences_are_of_rows():
    x = clusters()
    found = choose_k(gaussians, [1, 2, 3], criteria=["held out"], folds=4, x=x)["held out"]
    assert found.below[2] == 0
    assert found.paired[2] == 0
    assert (found.below[:2] < 0).all()
    assert found.chosen == 3


COUNTS = {
    GaussianMixture: lambda k, d: k - 1 + 2 * k * d,
    SphericalGaussianMixture: lambda k, d: k - 1 + k * d + k,
    TiedGaussianMixture: lambda k, d: k - 1 + k * d + d * (d + 1) // 2,
    FullGaussianMixture: lambda k, d: k - 1 + k * d + k * d * (d + 1) // 2,
}


@pytest.mark.filterwarnings("ignore::ppl_gen.errors.Unreliable")
@pytest.mark.parametrize("cls", COUNTS)
def test_bic_counts_free_parameters(cls):
    x = torch.cat([clusters(8), clusters(8).flip(0)], 1)
    x = torch.cat([x, x + torch.tensor([0.5, -0.3])])
    found = choose_k(lambda k: cls(k, 2), [1, 2], EM(restarts=2), criteria=["-BIC/2"], x=x)["-BIC/2"]
    for k, nats, how in zip(found.ks, found.nats.tolist(), found.how, strict=True):
        likelihood = fit(cls(k, 2), EM(restarts=2), x=x).elbo[-1].item()
        assert how.startswith(f"{COUNTS[cls](k, 2)} parameters")
        assert nats == pytest.approx(likelihood - COUNTS[cls](k, 2) / 2 * math.log(len(x)), rel=1e-9)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_three_clusters_far_apart_are_found_by_all(seed):
    """A fourth component splits normal scores, which no criterion can gain from."""
    found = choose_k(gaussians, range(1, 5), draws=100, folds=3, seed=seed, x=clusters())
    assert found["log evidence"].chosen == 3
    assert found["held out"].chosen in (3, None)
    for name in ("log evidence", "held out", "LOO"):
        nats = found[name].nats
        assert nats[2] - nats[0] > 30  # each cluster is 40 sds wide of the next
        assert nats[2] - nats[1] > 5
    assert "Log evidence is highest at K = 3" in found.verdict()
    assert any(note.startswith("-BIC/2 does not apply") for note in found.notes)


def test_codes_of_ppca():
    """Two codes of length 3 and noise of 0.1: one is too few by far, and a third gains nothing but chance."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(80, 2, generator=generator, dtype=torch.float64)
    w = torch.tensor([[3.0, 0, 3, 0, 1], [0, 3, 0, 3, -1]], dtype=torch.float64)
    x = z @ w + 0.1 * torch.randn(80, 5, generator=generator, dtype=torch.float64)
    found = choose_k(lambda k: PPCA(features=5, latent=k), range(1, 4), folds=4, x=x)
    assert found.chosen == {"held out": 2, "-BIC/2": 2}
    assert [how.split()[0] for how in found["-BIC/2"].how] == ["11", "15", "18"]
    assert [note.split(" does")[0] for note in found.notes] == ["log evidence", "LOO"]


@pytest.mark.parametrize("cls", [PPCA, FactorAnalysis])
def test_rotations_of_codes_are_no_parameters(cls):
    """Of latent times features weights, latent (latent - 1) / 2 are turns (Bishop 2006, section 12.2.1)."""
    x = torch.randn(30, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = choose_k(lambda k: cls(features=5, latent=k), [1, 2], criteria=["-BIC/2"], x=x)["-BIC/2"]
    noises = 1 if cls is PPCA else 5
    for k, nats, how in zip(found.ks, found.nats.tolist(), found.how, strict=True):
        count = 5 + 5 * k - k * (k - 1) // 2 + noises
        assert how.startswith(f"{count} parameters")
        assert nats == pytest.approx(fit(cls(5, k), x=x).log_evidence - count / 2 * math.log(30), rel=1e-9)


@pytest.mark.slow
def test_svi_and_nuts_say_how():
    x = clusters(7, k=2)  # more rows than can be enumerated
    svi = choose_k(gaussians, [1, 2], SVI(steps=100), criteria=["log evidence"], draws=100, x=x)
    assert "importance sampled (100 draws, k-hat" in svi["log evidence"].how[1]
    assert "+ log 2!" in svi["log evidence"].how[1]
    nuts = choose_k(gaussians, [1, 2], NUTS(draws=30, warmup=30, chains=1),
                    criteria=["log evidence", "LOO"], draws=30, x=x)  # fmt: skip
    assert list(nuts.chosen) == ["LOO"]
    assert "log evidence does not apply" in str(nuts)


def worths(nats, rows=None, sure=(True, True, True)):
    rows = rows or [None] * len(nats)
    return {
        k + 1: Worth(v, 0.0, r, "PSIS", s) for k, (v, r, s) in enumerate(zip(nats, rows, sure, strict=True))
    }


def test_the_simplest_within_one_standard_error_is_chosen():
    wide = torch.tensor([-1.0, -2.0, -3.0, -4.0], dtype=torch.float64)
    rows = [wide - 3, wide + torch.tensor([0.5, -0.5, 0.5, -0.7]), wide]
    criterion = Criterion.of("LOO", worths([float(r.sum()) for r in rows], rows))
    assert (criterion.best, criterion.chosen) == (3, 2)
    assert criterion.verdict() == (
        "LOO is highest at K = 3, but only 0.2 ± 1.3 nats above K = 2, which is simpler (PSIS)."
    )
    doubted = Criterion.of("LOO", worths([-9.0, -5.0, -1.0], sure=(True, True, False)))
    assert doubted.chosen is None
    assert "chooses none: it is highest at K = 3 (PSIS), and K = 3 is not to be trusted" in doubted.verdict()
    sound = Criterion.of("LOO", worths([-9.0, -1.0, -5.0], sure=(True, True, False)))
    assert sound.chosen == 2


def test_table_page_and_figure():
    found = choose_k(lambda k: BernoulliMixture(k, 1), range(1, 4), draws=50, folds=2, x=[[1.0], [0.0]] * 3)
    table = found.table()
    assert len(table) == 3 * len(found.criteria)
    assert (table.groupby("criterion")["below best"].max() == 0).all()
    assert table.query("chosen").set_index("criterion")["K"].to_dict() == {
        name: k for name, k in found.chosen.items() if k is not None
    }
    assert "<svg" in (page := found._repr_html_())
    assert "<table" in page
    for dark in (False, True):
        figure = found.figure(dark)
        assert figure.axes[0].get_ylabel().startswith("nats below the best K")
        plt.close(figure)
    assert set(found.posteriors) == {1, 2, 3}
    with pytest.raises(DataError, match="'loo' is none of log evidence, LOO, held out"):
        _ = found["loo"]


@pytest.mark.filterwarnings("error")
def test_what_fits_warn_of_is_kept_as_a_note():
    x = [[0.0], [0.1], [0.2], [9.0], [9.1], [9.3]]
    found = choose_k(gaussians, [1, 4], EM(restarts=2), criteria=["-BIC/2"], x=x)
    assert any(note.startswith("K = 4: EM: z = ") for note in found.notes)


def test_bad_arguments():
    x = clusters(3)
    with pytest.raises(DataError, match="model_of: expected a function from K to a model"):
        choose_k(gaussians(2), x=x)
    with pytest.raises(DataError, match=r"ks: expected two sizes or more to choose from, got \[2\]"):
        choose_k(gaussians, [2], x=x)
    with pytest.raises(DataError, match="model_of: expected a ProbabilisticModel for K = 1, got int"):
        choose_k(lambda k: k, x=x)
    with pytest.raises(DataError, match=r"criteria: expected some of .*, got 'bic'"):
        choose_k(gaussians, criteria=["bic"], x=x)
    with pytest.raises(DataError, match="folds: expected at most one for each of 9 rows, got 10"):
        choose_k(gaussians, folds=10, x=x)
    with pytest.raises(DataError, match=r"criteria: expected one that applies. -BIC/2 does not apply"):
        choose_k(gaussians, [1, 2], criteria=["-BIC/2"], x=x)


def test_a_size_that_cannot_be_fitted_is_left_out_and_costs_no_other():
    """Five rows span four dimensions, four rows three: beyond as many codes there is no noise."""
    generator = torch.Generator().manual_seed(0)
    u, v = (torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (5, 6))
    left, right = (torch.linalg.qr(w - w.mean(0)).Q for w in (u, v))
    x = left @ torch.diag(torch.tensor([100.0, 90.0, 80.0, 0.1], dtype=torch.float64)) @ right.T

    def codes(k):
        return PPCA(features=6, latent=k)

    found = choose_k(codes, range(1, 5), folds=5, x=x)
    assert found.failed == (4,)
    assert found["-BIC/2"].ks == (1, 2, 3)
    assert found["held out"].ks == (1, 2)
    alone = choose_k(codes, [1, 2], folds=5, criteria=["held out"], x=x)["held out"]
    torch.testing.assert_close(found["held out"].nats, alone.nats)
    notes = "\n".join(found.notes)
    assert "K = 4 is left out: x: expected more noise than" in notes
    assert "held out does not apply to K = 3: x: expected more noise than" in notes
    assert found["-BIC/2"].chosen == 3
    assert "try more" not in found.verdict()  # more was tried
    lines = {line.split()[0]: line.split() for line in str(found).splitlines() if line.strip()[:1].isdigit()}
    assert [len(lines[k]) for k in "123"] == [len(lines["1"]), len(lines["2"]), 5]  # K, one of two, a star
    assert "<svg" in found._repr_html_()
    with pytest.raises(DataError, match=r"ks: expected two sizes .* be fitted. K = 4 is left out: x: exp"):
        choose_k(codes, [1, 4], criteria=["-BIC/2"], x=x)
    with pytest.raises(DataError, match="x: expected more noise than"):
        choose_k(codes, [4, 5], x=x)
    with pytest.raises(DataError, match="held out does not apply to K = 1 alone"):
        choose_k(codes, [1, 3], folds=5, criteria=["held out"], x=x)


def test_what_is_printed_is_not_cut():
    found = choose_k(gaussians, [1, 2], draws=25, criteria=["LOO"], x=clusters())
    assert "…" not in str(found)
    page = found._repr_html_()
    assert all(how in page for how in found["LOO"].how)


def test_psis_takes_enough_draws_to_see_a_tail():
    with pytest.raises(DataError, match="draws: expected a whole number from 25 up, got 24"):
        choose_k(gaussians, [1, 2], draws=24, x=clusters())
    assert choose_k(gaussians, [1, 2], draws=2, criteria=["held out"], folds=2, x=clusters())

"""Imputed cells are conditional means and draws, by quadrature of the posterior's own densities."""

import math
import re

import pytest
import torch

from ppl_gen import EM, SVI, VariationalBayes, ask, fit
from ppl_gen.distributions import Categorical
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.imputation import imputed
from ppl_gen.models import PPCA, CategoricalMixture, GaussianMixture, GaussianNaiveBayes, MixedMixture
from tests.thinned import thinned


def rows(n=60):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    x[:, 1] += x[:, 0] * (2 * (torch.arange(n) % 2) - 1)
    return x + 3.0 * (torch.arange(n) % 2)[:, None]


@pytest.mark.parametrize("method", [EM(), VariationalBayes()], ids=["point", "conjugate"])
@pytest.mark.parametrize("covariance", ["diagonal", "spherical", "tied", "full"])
def test_imputed_cells_are_conditional_means(covariance, method):
    posterior = fit(GaussianMixture(2, 2, covariance=covariance), method, x=rows())
    gap = torch.tensor(
        [[1.3, torch.nan], [torch.nan, 0.2], [-0.4, torch.nan], [0.5, 0.6]], dtype=torch.float64
    )
    found = imputed(posterior, x=gap)
    grid = torch.linspace(-400, 400, 80_001, dtype=torch.float64)
    for row in range(3):
        whole = gap[row].repeat(len(grid), 1)
        place = int(torch.isnan(gap[row]).nonzero())
        whole[:, place] = grid
        density = ask(posterior, "p(x)").log_prob(x=whole) - ask(posterior, "p(x)").log_prob(
            x=gap[row : row + 1]
        )
        mean = (density.exp() * grid).sum() * 1e-2
        assert density.exp().sum() * 1e-2 == pytest.approx(1.0, abs=1e-4)
        assert found[row, place].item() == pytest.approx(mean.item(), abs=2e-3)
    assert torch.equal(found[3], gap[3])
    assert found[0, 0] == 1.3


def test_labels_may_be_known_when_fitting_and_other_posteriors_are_refused():
    x = rows()
    posterior = fit(GaussianNaiveBayes(2, 2), x=x, y=torch.arange(60) % 2)
    assert torch.isfinite(imputed(posterior, x=[[0.0, float("nan")]])).all()
    with pytest.raises(Unanswerable, match="SVI leaves neither a point nor a conjugate posterior"):
        imputed(fit(GaussianMixture(2, 2), SVI(steps=2), x=x), x=[[0.0, float("nan")]])


def test_what_it_does_not_take_it_says():
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gap = x[:2].clone()
    gap[0, 1] = torch.nan
    mixture = fit(GaussianMixture(2, 3), EM(restarts=1), x=x)
    for wrong in (lambda: imputed(mixture), lambda: imputed(mixture, gap), lambda: imputed(mixture, [[0.0]])):
        with pytest.raises(DataError, match="imputed: pass the rows with missing cells by name, as x=…"):
            wrong()
    codes = fit(PPCA(features=3, latent=1), x=x)
    with pytest.raises(
        Unanswerable, match=r"takes mixtures and naive Bayes; of PPCA, ask the codes, (.*)"
    ) as no:
        imputed(codes, x=gap)
    of_codes, of_rows = re.findall(r"'(p\(.*?\))'", str(no.value))  # what it advises can be asked
    z = ask(codes, of_codes, x=gap).mean
    rows = ask(codes, of_rows, z=z).mean
    loc, root = (v.detach() for v in (codes.model.linear().loc, codes.model.linear().weights))
    torch.testing.assert_close(rows, loc + z @ root.T)


DRAWS = 4000
BAND = math.sqrt(math.log(2 / 1e-6) / (2 * DRAWS))  # Dvoretzky, Kiefer and Wolfowitz: false alarms 1e-6


@pytest.mark.parametrize("method", [EM(), VariationalBayes()], ids=["point", "conjugate"])
@pytest.mark.parametrize("covariance", thinned(["full", "diagonal", "spherical", "tied"], 4))
def test_draws_have_the_conditional_distribution(covariance, method):
    posterior = fit(GaussianMixture(2, 2, covariance=covariance), method, x=rows())
    drawn = imputed(posterior, draws=DRAWS, seed=1, x=[[1.3, torch.nan], [0.5, 0.6]])
    grid = torch.linspace(-400, 400, 80_001, dtype=torch.float64)
    whole = torch.stack([torch.full_like(grid, 1.3), grid], 1)
    density = ask(posterior, "p(x)").log_prob(x=whole).exp()
    below = density.cumsum(0) / density.sum()
    found = torch.searchsorted(drawn[:, 0, 1].sort().values, grid, right=True) / DRAWS
    assert (found - below).abs().max() < BAND
    assert (found - below.roll(100)).abs().max() > BAND  # a distribution moved by one does fail
    assert (drawn[:, 0, 0] == 1.3).all()
    assert (drawn[:, 1] == torch.tensor([0.5, 0.6], dtype=torch.float64)).all()


@pytest.mark.parametrize("method", thinned([VariationalBayes(), EM()], 2), ids=["conjugate", "point"])
def test_cells_of_a_row_are_drawn_together(method):
    """The draws' own cells, given to the model, leave the density that a fresh draw of the row has."""
    x = torch.cat([rows(200), rows(200)[:, :1].roll(2, 0)], 1)
    posterior = fit(GaussianMixture(2, 3, covariance="full"), method, x=x)
    drawn = imputed(posterior, draws=DRAWS, seed=2, x=[[1.3, torch.nan, torch.nan]])[:, 0]
    grid = torch.linspace(-30, 30, 601, dtype=torch.float64)
    both = torch.cartesian_prod(grid, grid)
    density = ask(posterior, "p(x)").log_prob(x=torch.cat([torch.full_like(both[:, :1], 1.3), both], 1)).exp()
    inside = both.prod(1) < 5.0
    expected = float(density[inside].sum() / density.sum())
    error = math.sqrt(expected * (1 - expected) / DRAWS)
    assert (
        abs((drawn[:, 1:].prod(1) < 5.0).double().mean() - expected) < 4.9 * error + 0.01
    )  # the grid's edge


def test_categories_are_drawn():
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(3, (300,), generator=generator)
    x = torch.stack([first, (first + (torch.rand(300, generator=generator) < 0.1)) % 3], 1).double()
    posterior = fit(CategoricalMixture(3, 2, levels=3), EM(seed=1), x=x)
    gap = [[1.0, torch.nan]]
    drawn = imputed(posterior, draws=DRAWS, x=gap)[:, 0, 1]
    whole = torch.stack([torch.ones(3), torch.arange(3)], 1).double()
    probs = ask(posterior, "p(x)").log_prob(x=whole).softmax(0)
    for level in range(3):
        error = math.sqrt(probs[level] * (1 - probs[level]) / DRAWS)
        assert abs((drawn == level).double().mean() - probs[level]) < 5.2 * error  # three at 1e-6 together
    with pytest.raises(Unanswerable, match="as categories have none: ask for draws"):
        imputed(posterior, x=gap)
    columns = {"town": Categorical(3), "age": "gaussian"}
    mixed = fit(MixedMixture(2, columns=columns), EM(), x=x)
    assert set(imputed(mixed, draws=50, x=[[torch.nan, 1.0]])[:, 0, 0].tolist()) <= {0.0, 1.0, 2.0}
    with pytest.raises(Unanswerable, match="as categories have none: ask for draws"):
        imputed(mixed, x=[[torch.nan, 1.0]])
    with pytest.raises(DataError, match="draws: expected"):
        imputed(posterior, draws=0, x=gap)
    assert torch.equal(imputed(posterior, draws=5, seed=3, x=gap), imputed(posterior, draws=5, seed=3, x=gap))

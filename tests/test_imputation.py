"""Imputed cells are conditional means, by quadrature of the posterior's own densities."""

import pytest
import torch

from ppl_gen import EM, SVI, VariationalBayes, ask, fit
from ppl_gen.errors import Unanswerable
from ppl_gen.imputation import imputed
from ppl_gen.models import GaussianMixture, GaussianNaiveBayes


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

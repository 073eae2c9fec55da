"""Scores of rows by products of matrices against log_prob of each cell."""

import numpy as np
import pytest
import scipy.special
import torch
from pyro import distributions as dist

from ppl_gen.distributions import score_rows

N, LEVELS, FEATURES = 5000, 3, 6


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LOC, SCALE = numbers(LEVELS, 1, FEATURES, seed=1), numbers(LEVELS, 1, FEATURES, seed=2).exp()
REAL, COUNTS = 3 * numbers(N, FEATURES), numbers(N, FEATURES).exp().round()
CASES = {
    "normal": (dist.Normal(LOC, SCALE), REAL),
    "normal, far rows": (dist.Normal(LOC, SCALE), REAL * 1e5),
    "normal, far away": (dist.Normal(LOC + 1e8, SCALE), REAL + 1e8),
    "normal, narrow": (dist.Normal(LOC * 100, SCALE * 1e-5), REAL),
    "student, one nu": (
        dist.StudentT(torch.tensor([3.0, 40.0, 4e7]).double()[:, None, None], LOC, SCALE),
        REAL,
    ),
    "student, far": (dist.StudentT(torch.tensor(2.0).double(), LOC, SCALE), REAL * 1e150),
    "student, far away": (dist.StudentT(torch.tensor(9.0).double(), LOC + 1e8, SCALE), REAL + 1e8),
    "student, several nu": (dist.StudentT(SCALE, LOC, SCALE), REAL),
    "bernoulli": (dist.Bernoulli(logits=LOC), (REAL > 0).double()),
    "bernoulli, certain": (dist.Bernoulli(LOC.clamp(0, 1)), (REAL > 0).double()),
    "poisson": (dist.Poisson(SCALE), COUNTS),
}


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_rows_score_as_cell_by_cell(name, gaps):
    base, x = CASES[name]
    base = base.expand((LEVELS, N, FEATURES))
    seen = numbers(N, FEATURES, seed=3) > -1 if gaps else None
    cells = base.log_prob(x)
    expected = (cells if seen is None else torch.where(seen, cells, 0.0)).sum(-1)
    found = score_rows(base.to_event(1), x, seen)
    assert found.shape == (LEVELS, N)
    df = torch.as_tensor(getattr(base, "df", 1.0)).max()
    rounding = FEATURES * 4 * torch.finfo(torch.float64).eps * float(df.lgamma().abs())  # of torch's lgammas
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10 + rounding)


def test_the_constant_of_a_student_t_keeps_its_digits():
    x = torch.zeros(1, 1, dtype=torch.float64)
    for df in (1.5, 99.0, 101.0, 4e7):
        t = dist.StudentT(torch.tensor(df).double(), 0.0, 1.0).expand((1, 1, 1)).to_event(1)
        exact = scipy.special.poch(df / 2, 0.5) / (np.pi * df) ** 0.5  # Γ(ν/2 + 1/2) / Γ(ν/2)
        torch.testing.assert_close(score_rows(t, x)[0, 0].exp().item(), exact, rtol=1e-13, atol=0)


def test_classes_of_their_own_and_rows_without_features():
    labels = torch.arange(LEVELS)[:, None]
    pi = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    found = score_rows(dist.Categorical(pi).expand((N,)), labels)
    torch.testing.assert_close(found, pi.log()[:, None], rtol=1e-15, atol=0)
    each = dist.Normal(REAL, 1.0).to_event(1)  # every row has its own mean
    assert score_rows(each, REAL) is None
    assert score_rows(dist.Dirichlet(SCALE.expand(LEVELS, N, FEATURES)), REAL) is None

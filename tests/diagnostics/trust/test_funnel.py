"""A funnel is where the data tell little of a variable whose scale is hidden, and nowhere else."""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from ppl_gen import fit
from ppl_gen.diagnostics import guide_quality
from ppl_gen.diagnostics.trust.case import Case
from ppl_gen.diagnostics.trust.causes import funnel
from tests.planted_faults.base import REAL, Found
from tests.planted_faults.heldout_again import Wards

MEANS = 3 * torch.tensor([-1.0, 0.2, 1.1, 0.5], dtype=REAL)


def guide(theta: Tensor, sd: float) -> Any:
    """Draws of four means, known to ``sd``, and of a scale and a location known as ill as four means tell."""

    def drawn() -> None:
        pyro.sample("mu", dist.Normal(torch.tensor(0.5, dtype=REAL), 1.3))
        pyro.sample("tau", dist.LogNormal(torch.tensor(1.0, dtype=REAL), 0.35))
        pyro.sample("theta", dist.Normal(theta, sd).to_event(1))

    return drawn


@pytest.mark.parametrize(
    ("rows", "sd", "found"), [(50, 50**-0.5, None), (1, 1.0, ("theta", "tau"))], ids=["many rows", "few rows"]
)
def test_many_rows_leave_no_funnel(rows: int, sd: float, found: tuple[str, str] | None) -> None:
    """The scale is as uncertain in both: only what the rows tell of each mean differs."""
    ward = torch.arange(4 * rows) % 4
    posterior = fit(Wards(), Found(guide(MEANS, sd)), ward=ward, y=MEANS[ward])
    assert funnel(Case(posterior, {}, 0, guide_quality(posterior, draws=50))) == found

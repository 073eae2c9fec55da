"""Guides against the gold draws of posteriordb: are the wrong ones found without looking at the gold?

    python -m benchmarks.guides FOLDER

FOLDER holds eight_schools.json and kidiq.json with the gold draws of eight_schools-eight_schools_noncentered
and kidiq-kidscore_momiq (Magnusson et al. 2025, posteriordb). Writes GUIDES.md: what `guide_quality` and
`diagnose` say of mean-field guides of both forms of the eight schools, and of mean-field and full-rank guides
of a regression whose intercept and slope correlate by -0.98, with the errors of means and sds by the gold.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch loads

import argparse
import json
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer.autoguide import AutoNormal
from pyro.infer.autoguide.initialization import init_to_value
from torch import Tensor

from benchmarks.measure import machine
from ppl_gen import MAP, SVI, Laplace, Posterior, ProbabilisticModel, diagnose, fit
from tests.planted_faults.programs import Centred, NonCentred

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
QUIET: dict[str, Any] = {"progress": False, "compile": False}


class Kidscore(ProbabilisticModel):
    """Test scores by mothers' IQ, uncentred; Normal(0, 1000) in the place of flat priors."""

    joint = "p(beta) p(sigma) p(y | beta, sigma, x)"

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(2, dtype=torch.float64))

    def model(self, x: Tensor) -> Tensor:
        beta = pyro.sample("beta", dist.Normal(self.zero, 1000.0).to_event(1))
        sigma = pyro.sample("sigma", dist.HalfCauchy(2.5 + self.zero[0]))
        with pyro.plate("data", len(x)):
            return pyro.sample("y", dist.Normal(beta[0] + beta[1] * x[:, 0], sigma))


def gold(folder: Path, name: str) -> dict[str, Tensor]:
    """The gold draws of every parameter (draws,), all chains in one."""
    with zipfile.ZipFile(folder / f"{name}.json.zip") as packed:
        chains = json.loads(packed.read(packed.namelist()[0]))
    return {key: torch.tensor([chain[key] for chain in chains]).double().flatten() for key in chains[0]}


def schools(folder: Path) -> tuple[dict[str, Posterior], dict[str, Tensor]]:
    """Both forms, by mean-field SVI."""
    rows = json.loads((folder / "eight_schools.json").read_text())
    data = {name: torch.tensor(rows[name], dtype=torch.float64) for name in ("sigma", "y")}
    method = SVI(steps=3000, learning_rate=0.03, guide="mean_field", **QUIET)
    found = {
        "eight schools, centred": fit(Centred(), method, **data),
        "eight schools, non-centred": fit(NonCentred(), method, **data),
    }
    return found, gold(folder, "eight_schools-eight_schools_noncentered")


def kidscore(folder: Path) -> tuple[dict[str, Posterior], dict[str, Tensor]]:
    """Mean-field from the mode, and full-rank from Laplace's approximation."""
    rows = json.loads((folder / "kidiq.json").read_text())
    data = {
        "x": torch.tensor(rows["mom_iq"]).double()[:, None],
        "y": torch.tensor(rows["kid_score"]).double(),
    }
    mode = fit(Kidscore(), MAP(), **data).point
    own = partial(AutoNormal, init_loc_fn=init_to_value(values=mode))
    near: dict[str, Any] = {"learning_rate": 2e-3, **QUIET}
    found = {
        "kidscore, mean-field": fit(Kidscore(), SVI(steps=5000, guide=own, **near), **data),
        "kidscore, full-rank": fit(fit(Kidscore(), Laplace(), **data), SVI(steps=3000, **near), **data),
    }
    draws = gold(folder, "kidiq-kidscore_momiq")
    return found, {"beta[0]": draws["beta[1]"], "beta[1]": draws["beta[2]"], "sigma": draws["sigma"]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guides", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    lines = ["# Guides against gold draws\n", "Written by `python -m benchmarks.guides FOLDER`.\n", machine()]
    lines += ["| fit | k-hat | ELBO | log evidence | verdict |", "|---|---|---|---|---|"]
    errors = [
        "\n| fit | parameter | error of the mean (gold sds) | sd (multiple of gold's) |",
        "|---|---|---|---|",
    ]
    said = []
    for posteriors, draws in (schools(folder), kidscore(folder)):
        for name, posterior in posteriors.items():
            found = diagnose(posterior, draws=2000)
            q = found.quality
            assert q is not None
            low, high = q.k_hat_range
            lines.append(
                f"| {name} | {q.k_hat:.2f} ({low:.2f} to {high:.2f}) | {q.elbo:,.2f} ± {q.elbo_error:.2g} | "
                f"{q.log_evidence:,.2f} ± {q.evidence_error:.2g} | {found.verdict} |"
            )
            print(name, found, flush=True)
            said.append(f"\n```\n{found}\n```")
            assert q.guide is not None
            for key, values in draws.items():
                site, _, index = key.partition("[")
                if site not in q.guide.means or (index and not q.guide.means[site].dim()):
                    continue
                at = int(index.rstrip("]") or 0) if index else 0
                mean, sd = (m[site].flatten()[at] for m in (q.guide.means, q.guide.sds))
                off, ratio = float((mean - values.mean()) / values.std()), float(sd / values.std())
                errors.append(f"| {name} | {key} | {off:+.3f} | {ratio:.3f} |")
    text = "\n".join([*lines, *errors, *said]) + "\n"
    print(text)
    Path(__file__).with_name("GUIDES.md").write_text(text)


if __name__ == "__main__":
    main()

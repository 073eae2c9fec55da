"""A mixture of two Normals against the gold draws of posteriordb.

    python -m benchmarks.posteriordb FOLDER

FOLDER holds low_dim_gauss_mix.json, a thousand rows, and low_dim_gauss_mix-low_dim_gauss_mix.json.zip, ten
chains of a thousand gold draws (Magnusson et al. 2025, posteriordb). The model is posteriordb's: means that
are Normal(0, 2) and ordered, standard deviations HalfNormal(2), the first component's weight Beta(5, 5).
NUTS, full-rank and mean-field SVI are rungs of one ladder, which judges them without the gold draws. Writes
POSTERIORDB.md.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch loads

import argparse
import json
import zipfile
from pathlib import Path

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from benchmarks.measure import machine
from ppl_gen import NUTS, SVI, ProbabilisticModel
from ppl_gen.diagnostics import ladder
from ppl_gen.distributions import Ordered

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
NAME = "low_dim_gauss_mix"
GOLD = {"mu": ("mu[1]", "mu[2]"), "sigma": ("sigma[1]", "sigma[2]"), "theta": ("theta",)}
RUNGS = {
    "SVI, mean-field": SVI(steps=6000, guide="mean_field", particles=2, progress=False),
    "SVI, full-rank": SVI(steps=6000, guide="full_rank", particles=2, progress=False),
    "importance-weighted": None,
    "NUTS": NUTS(draws=1000, warmup=300, chains=4, progress=False),
}
NEAR = {"SVI, full-rank": (0.1, None), "NUTS": (0.1, 0.05)}  # sds of means, fraction of sds


class OrderedMixture(ProbabilisticModel):
    """Two Normals, the one with the lower mean first."""

    joint = "p(theta) p(sigma) p(mu) p(z | theta) p(x | z, mu, sigma)"

    def model(self, n: int) -> Tensor:
        one = torch.ones((), dtype=torch.float64)
        theta = pyro.sample("theta", dist.Beta(5 * one, 5 * one))
        sigma = pyro.sample("sigma", dist.HalfNormal(2 * one).expand([2]).to_event(1))
        mu = pyro.sample("mu", Ordered(dist.Normal(0 * one, 2 * one), 2))
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Categorical(torch.stack([theta, 1 - theta])))
            return pyro.sample("x", dist.Normal(mu[z], sigma[z]))


def read(folder: Path) -> tuple[Tensor, dict[str, Tensor]]:
    """The rows, and the gold draws of every parameter: name -> (draws, *shape)."""
    rows = json.loads((folder / f"{NAME}.json").read_text())
    with zipfile.ZipFile(folder / f"{NAME}-{NAME}.json.zip") as packed:
        chains = json.loads(packed.read(packed.namelist()[0]))
    drawn = {
        name: torch.stack([torch.tensor([chain[k] for chain in chains]).double().flatten() for k in keys], -1)
        for name, keys in GOLD.items()
    }
    return torch.tensor(rows["y"], dtype=torch.float64), drawn | {"theta": drawn["theta"][:, 0]}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.posteriordb", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", type=Path)
    x, gold = read(parser.parse_args().folder)
    found = ladder(OrderedMixture(), rungs=RUNGS, draws=4000, x=x)
    methods = [rung.name for rung in found.rungs]
    lines = [
        "# posteriordb: low_dim_gauss_mix\n",
        "Written by `python -m benchmarks.posteriordb FOLDER`: posterior means, as errors in sds of the gold "
        "draws, and sds, as multiples of theirs.\n",
        machine(),
        f"| parameter | gold mean | gold sd | {' | '.join(f'{m}: mean | sd' for m in methods)} |",
        f"|{'---|' * (3 + 2 * len(methods))}",
    ]
    worst = {m: [0.0, 0.0] for m in methods}
    for name, keys in GOLD.items():
        for i, key in enumerate(keys):
            draws = gold[name][:, i] if gold[name].dim() > 1 else gold[name]
            mean, sd = draws.mean(), draws.std()
            cells = []
            for m in methods:
                at = (found[m].means[name].reshape(-1)[i], found[m].sds[name].reshape(-1)[i])
                error, ratio = float((at[0] - mean) / sd), float(at[1] / sd)
                worst[m] = [max(worst[m][0], abs(error)), max(worst[m][1], abs(ratio - 1))]
                cells += [f"{error:+.3f}", f"{ratio:.3f}"]
            lines.append(f"| {key} | {mean:.4f} | {sd:.4f} | {' | '.join(cells)} |")
    lines.append("")
    for m, targets in NEAR.items():
        for value, near, what in zip(
            worst[m], targets, ("mean, in gold sds", "sd, as a fraction"), strict=True
        ):
            if near is not None:
                mark = "✓" if value <= near else "✗"
                lines.append(f"- {m}, largest error of a {what}: {value:.3f} (target ≤ {near}) {mark}")
    lines += ["\nThe ladder says, without the gold draws:\n", f"```\n{found}\n```"]
    print("\n".join(lines[3:]))
    Path(__file__).with_name("POSTERIORDB.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

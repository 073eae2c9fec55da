"""VAEs on scikit-learn's digits, 17 grey levels: train [:1000], test [1350:]. Writes VAE_DIGITS.md.

    python -m benchmarks.vae_digits [--seeds 5]

Nats of a test image: the negative ELBO, and the importance-weighted negative log likelihood, each averaged
over the rows, then over the seeds. Rows [1000:1350] are for choosing settings; nothing here looks at them.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch loads

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.measure import machine
from ppl_gen import SVI, Importance, LowerBound, ask, fit
from ppl_gen.data import digits
from ppl_gen.distributions import BetaBinomial, Categorical, NormalMixture
from ppl_gen.errors import Unreliable
from ppl_gen.models import VAE

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
STEPS = 2000
MODELS: dict[str, Callable[[int], VAE]] = {
    "beta-binomial": lambda seed: VAE(64, 16, BetaBinomial(17), hidden=(512,), dropout=0.2, seed=seed),
    "beta-binomial, mixture prior": lambda seed: VAE(
        64, 16, BetaBinomial(17), prior=NormalMixture(20), hidden=(512,), dropout=0.2, seed=seed
    ),
    "categorical": lambda seed: VAE(64, 16, Categorical(17), hidden=(256,), dropout=0.2, seed=seed),
}


def measure(model: Callable[[int], VAE], seed: int) -> tuple[float, float, float]:
    """-ELBO and importance-weighted -log p of a test image in nats, and the fit's processor seconds."""
    x = digits().x.float()
    train, test = x[:1000], x[1350:]
    start = time.process_time()
    posterior = fit(model(seed), SVI(steps=STEPS, learning_rate=2e-3, seed=seed, progress=False), x=train)
    seconds = time.process_time() - start
    negative_elbo = -ask(posterior, "p(x)", LowerBound(30)).log_prob(x=test).mean().item()
    with warnings.catch_warnings():  # an importance-weighted bound is one whatever its k-hat
        warnings.simplefilter("ignore", Unreliable)
        tight = -ask(posterior, "p(x)", Importance(500)).log_prob(x=test).mean().item()
    return negative_elbo, tight, seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vae_digits", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    lines = [
        "# VAEs on digits\n",
        f"Written by `python -m benchmarks.vae_digits --seeds {options.seeds}`. Nats of a test image, mean "
        f"and range over the seeds; seconds are those of one processor core.\n",
        machine(),
        "| likelihood | test −ELBO | importance weighted, 500 draws | seconds of a fit |\n|---|---|---|---|",
    ]
    for name, model in MODELS.items():
        each = []
        for seed in range(options.seeds):
            each.append(measure(model, seed))
            print(name, seed, *(f"{value:.2f}" for value in each[-1]), flush=True)
        found = torch.tensor(each)
        cells = [f"{v.mean():.2f} ({v.min():.2f} – {v.max():.2f})" for v in found.T]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
        Path(__file__).with_name("VAE_DIGITS.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""A VAE on fixed binarised MNIST (Larochelle and Murray 2011), 256-256 units, 128 codes: its validation ELBO.

    python -m benchmarks.vae_mnist FOLDER --checkpoints DIR

FOLDER holds ``train.packed.npy.gz`` and ``valid.packed.npy.gz``: rows of 784 bits, packed. Every part of
the run ends in a saved posterior; the same command goes on from the newest, and the figures are those of
a run that was never stopped (a part is decided by the posterior before it and by its number).
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch loads

import argparse
import gzip
import math
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import machine
from ppl_gen import SVI, Importance, LowerBound, Posterior, ask, fit, load, save
from ppl_gen.errors import Unreliable
from ppl_gen.models import VAE

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
TARGET = -105.5  # nats an image, on the validation rows


def rows(folder: Path, part: str) -> torch.Tensor:
    with gzip.open(folder / f"{part}.packed.npy.gz") as file:
        return torch.from_numpy(np.unpackbits(np.load(file), axis=1)).float()


def model() -> VAE:
    return VAE(features=784, latent=128, hidden=(256, 256))


def rate(fraction: float, part: int, parts: int) -> float:
    """A cosine over the whole run, and a short warm-up in each part, whose optimiser starts afresh."""
    overall = (part + fraction) / parts
    return 0.5 * (1 + math.cos(math.pi * overall)) * min(1.0, 0.05 + 50 * fraction)


def newest(checkpoints: Path, parts: int) -> tuple[int, Posterior | None]:
    for part in range(parts, 0, -1):
        if (path := checkpoints / f"part-{part}.pplgen").exists():
            return part, load(path)
    return 0, None


def bound(posterior: Posterior, x: torch.Tensor, draws: int = 1) -> tuple[float, float]:
    """The ELBO of an image, averaged over the rows, and its standard error over draws and rows."""
    found = ask(posterior, "p(x)", LowerBound(max(draws, 2))).log_prob(x=x)
    return found.mean().item(), (found.std() / len(found) ** 0.5).item()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vae_mnist", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=65_000)
    parser.add_argument("--parts", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    options = parser.parse_args()
    options.checkpoints.mkdir(parents=True, exist_ok=True)
    train, valid = rows(options.folder, "train"), rows(options.folder, "valid")
    print(machine(), flush=True)
    done, posterior = newest(options.checkpoints, options.parts)
    each = options.steps // options.parts
    for part in range(done, options.parts):
        method = SVI(
            steps=each,
            learning_rate=options.learning_rate,
            batch_size=options.batch_size,
            schedule=partial(rate, part=part, parts=options.parts),
            seed=part,
            progress=False,
        )
        start = time.perf_counter()
        posterior = fit(model() if posterior is None else posterior, method, x=train)
        took = time.perf_counter() - start
        save(posterior, options.checkpoints / f"part-{part + 1}.pplgen")
        print(
            f"step {(part + 1) * each:6d}  {1000 * took / each:.2f} ms a step  "
            f"train {posterior.elbo[-500:].mean() / len(train):8.3f}  "
            f"validation ELBO {bound(posterior, valid)[0]:8.3f}",
            flush=True,
        )
    found, error = bound(posterior, valid, 10)
    with warnings.catch_warnings():  # an importance-weighted bound is one whatever its k-hat
        warnings.simplefilter("ignore", Unreliable)
        tight = ask(posterior, "p(x)", Importance(100)).log_prob(x=valid[:1000]).mean()
    print(
        f"validation ELBO {found:.3f} ± {error:.3f} nats an image (target ≥ {TARGET}); "
        f"importance weighted, 100 draws, the first 1,000 rows: {tight:.3f}"
    )


if __name__ == "__main__":
    main()

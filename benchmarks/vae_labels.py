"""A semi-supervised VAE on digits with 100 labels, its classifier alone, and naive Bayes on the 100.

    python -m benchmarks.vae_labels [--seeds 10]

Digits in black and white; rows [:1350] to train, ten labels of each class drawn by the seed; accuracy on
rows [1350:], which other people wrote. Every method sees the same labels. Writes VAE_LABELS.md, with 95 %
intervals of Student's t over the seeds, of the accuracies and of their paired differences.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch loads

import argparse
from pathlib import Path

import torch
from scipy.stats import t as student
from torch import Tensor

from benchmarks.measure import machine
from ppl_gen import SVI, ask, fit
from ppl_gen.data import digits
from ppl_gen.models import BernoulliNaiveBayes, SemiSupervisedVAE

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
TRAIN, EACH = 1350, 10


def rows() -> tuple[Tensor, Tensor]:
    data = digits()
    return (data.x > 7).float(), data.y


def some_labels(y: Tensor, seed: int) -> Tensor:
    """The rows that keep their label: EACH of every class."""
    generator = torch.Generator().manual_seed(seed)
    kept = []
    for code in range(10):
        own = torch.nonzero(y[:TRAIN] == code)[:, 0]
        kept.append(own[torch.randperm(len(own), generator=generator)[:EACH]])
    return torch.cat(kept)


def network(seed: int) -> SemiSupervisedVAE:
    return SemiSupervisedVAE(10, 64, latent=8, hidden=(256,), dropout=0.2, alpha=10.0, seed=seed)


def semi_supervised(x: Tensor, y: Tensor, labelled: Tensor, seed: int, steps: int = 2000) -> Tensor:
    """The classes that q(y | x) finds for the test rows."""
    gaps = torch.full((TRAIN,), torch.nan)
    gaps[labelled] = y[labelled].float()
    method = SVI(steps=steps, learning_rate=2e-3, batch_size=50, seed=seed, progress=False)
    posterior = fit(network(seed), method, x=x[:TRAIN], y=gaps)
    return posterior.model.classifier(x[TRAIN:]).argmax(1)


def alone(x: Tensor, y: Tensor, labelled: Tensor, seed: int, steps: int = 400) -> Tensor:
    """The same classifier q(y | x) from the same start, on the labelled rows alone."""
    classifier = network(seed).classifier
    optimiser = torch.optim.Adam(classifier.parameters(), 1e-3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(steps):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(classifier(x[labelled]), y[labelled]).backward()
            optimiser.step()
    return classifier.eval()(x[TRAIN:]).argmax(1)


def naive_bayes(x: Tensor, y: Tensor, labelled: Tensor) -> Tensor:
    posterior = fit(BernoulliNaiveBayes(classes=10, features=64), x=x[labelled], y=y[labelled])
    return ask(posterior, "p(y | x)", x=x[TRAIN:]).mode


def interval(values: Tensor) -> tuple[float, float]:
    """The mean and half the length of its 95 % interval."""
    n = len(values)
    half = student.ppf(0.975, n - 1) * values.std().item() / n**0.5
    return values.mean().item(), float(half)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vae_labels", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    x, y = rows()
    found = []
    for seed in range(options.seeds):
        labelled = some_labels(y, seed)
        answers = (
            semi_supervised(x, y, labelled, seed),
            alone(x, y, labelled, seed),
            naive_bayes(x, y, labelled),
        )
        found.append([(answer == y[TRAIN:]).double().mean().item() for answer in answers])
        print(seed, *(f"{value:.4f}" for value in found[-1]), flush=True)
    vae, network_alone, bayes = torch.tensor(found).T
    lines = [
        "# Digits with 100 labels\n",
        f"Written by `python -m benchmarks.vae_labels --seeds {options.seeds}`: accuracy on the test rows, "
        f"mean over the seeds and 95 % interval.\n",
        machine(),
        "| method | accuracy | the VAE's gain over it |\n|---|---|---|",
    ]
    for name, values in (
        ("semi-supervised VAE", vae),
        ("its classifier alone", network_alone),
        ("Bernoulli naive Bayes", bayes),
    ):
        (mean, half), (gain, spread) = interval(values), interval(vae - values)
        more = "" if values is vae else f"{gain:+.4f} ± {spread:.4f}"
        lines.append(f"| {name} | {mean:.4f} ± {half:.4f} | {more} |")
    print("\n".join(lines[3:]))
    Path(__file__).with_name("VAE_LABELS.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

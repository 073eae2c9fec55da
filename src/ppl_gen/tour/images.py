"""Fifth chapter: a model of images."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ppl_gen import plot
from ppl_gen.article import Section, Table
from ppl_gen.ask import ask
from ppl_gen.data import Dataset
from ppl_gen.engine import LowerBound
from ppl_gen.fit import fit
from ppl_gen.models import GaussianNaiveBayes
from ppl_gen.tour.words import average, number, percent
from ppl_gen.tour.workshop import LEVELS, Workshop, codes_of

UPPER = "upper bound (−ELBO)"  # on −log p(x), from the lower bound on log p(x)
PSEUDO_COUNT = 0.1  # of every grey level, in the two models of digits that only count


def images(w: Workshop) -> Section:
    """A VAE learns what digits look like."""
    train, test = w.pixels["training"], w.pixels["test"]
    vae, x = w.vae, test.x.float()
    bounds = {part: ask(vae, "p(x)", LowerBound(50, w.seed)) for part in ("validation", "test")}
    cost = {part: -answer.log_prob(x=w.pixels[part].x) for part, answer in bounds.items()}
    floors = {
        "independent pixels": _counted(train, test, hidden=False),
        "naive Bayes, label summed out": _counted(train, test, hidden=True),
    }
    mean = cost["test"].mean().item()
    lead = floors["naive Bayes, label summed out"].mean().item() - mean
    w.note(
        "−log `p(x)` of unseen digits, VAE",
        f"{average(cost['test'])} nats",
        f"{UPPER}, 50 draws of the guide a row; standard error over rows",
    )
    w.glance.append(
        (
            f"{number(mean, 1)} nats",
            "at most to encode an unseen digit, by the autoencoder; "
            f"{number(floors['independent pixels'].mean(), 1)} by "
            "independent pixels",
        )
    )

    codes = codes_of(vae, x)
    nearest = torch.cdist(codes, codes_of(vae, train.x.float())).argmin(1)
    alike = (train.y[nearest] == test.y).double().mean()
    chance = torch.bincount(test.y).max() / len(test)
    nb = fit(GaussianNaiveBayes(classes=10, features=64), x=train.x, y=train.y)
    drawn = ask(nb, "p(x | y)", y=torch.arange(10)).sample(2, seed=w.seed)
    first = torch.stack([torch.nonzero(test.y == k)[:2, 0] for k in range(10)], 1).flatten()
    sheets = {
        "real digits, unseen": test.x[first],
        "… rebuilt by the VAE from their codes": ask(vae, "p(x | z)", z=codes[first]).mean,
        "drawn by naive Bayes: p(x | y) of every class y": drawn.flatten(0, 1).clamp(0, LEVELS - 1),
        "drawn by the VAE: p(x)": ask(vae, "p(x)").sample(20, seed=w.seed),
        "expected by the VAE: the mean of p(x | z) for z from p(z)": ask(
            vae, "p(x | z)", z=ask(vae, "p(z)").sample(20, seed=w.seed)
        ).mean,
    }
    pictures, negatives = _pictures(sheets, dark=False), _pictures(sheets, dark=True)
    ahead = f"{number(abs(lead), 1)} {'fewer' if lead > 0 else 'more'}"
    rows = [(name, "test", average(values), "exact") for name, values in floors.items()]
    rows += [("VAE", part, average(values), UPPER) for part, values in cost.items()]
    return Section(
        f"The autoencoder pays at most {number(mean, 1)} nats for an unseen digit, {ahead} than naive Bayes",
        [
            "A variational autoencoder has the joint of a mixture whose hidden cause is a vector of "
            "sixteen numbers. A network turns a code `z` into a distribution of 64 pixels with 17 grey "
            "levels; another, the guide, guesses the code of a picture.",
            w.card(vae.model, observed=("x",)),
            Table(
                ("model", "rows", "nats a digit", "how"),
                rows,
                f"−log `p(x)`, lower is better; ± is the standard error over {len(test)} test and "
                f"{len(w.pixels['validation'])} validation rows. The first two models count grey "
                f"levels pixel by pixel in the {len(train):,} training rows ({PSEUDO_COUNT} added to "
                "every count). Of the VAE only an upper bound is known, minus its ELBO: it "
                "costs this much or less.",
                numbers=(2,),
            ),
            w.figure(
                "digits",
                pictures,
                "Top to bottom: digits the models have not seen, and their reconstructions; draws of "
                "Gaussian naive Bayes, which knows the class but no neighbourhood of pixels; draws of "
                "the VAE, pixel noise included; the VAE without that noise. Naive Bayes' real numbers "
                "are clipped to the grey levels.",
                dark=negatives,
            ),
            "The codes were learned without labels. The label of the "
            f"nearest training code is right for {percent(alike)} of the unseen digits, against "
            f"{percent(chance)} for always guessing the commonest.",
            w.tree("vae", vae, "codes of 100 unseen digits", ["z"], {}, {"row": [0]}, x=x[:100]),
            w.tree(
                "naive-bayes-digits",
                nb,
                "naive Bayes of the digits",
                ["pi"],
                {},
                x=test.x[:50],
                y=test.y[:50],
            ),
        ],
    )


def _counted(train: Dataset, test: Dataset, *, hidden: bool) -> Tensor:
    """−log p(x) of test digits by grey levels counted pixel by pixel; ``hidden``: by class, summed out."""

    def codes(data: Dataset) -> Tensor:
        return torch.nn.functional.one_hot(data.x.long(), LEVELS).double().flatten(1)

    y = train.y if hidden else torch.zeros_like(train.y)
    members = torch.nn.functional.one_hot(y).double()
    counts = (members.T @ codes(train)).unflatten(1, (-1, LEVELS)) + PSEUDO_COUNT
    log_p = (counts / counts.sum(-1, keepdim=True)).log().flatten(1)
    log_pi = ((members.sum(0) + 1) / (len(train) + members.shape[1])).log()
    return -(codes(test) @ log_p.T + log_pi).logsumexp(1)


def _pictures(sheets: Mapping[str, Any], *, dark: bool) -> Any:
    import matplotlib.pyplot as plt

    with plot.style(dark):
        figure, axes = plt.subplots(len(sheets), 1, figsize=(5.0, 1.32 * len(sheets)))
        for ax, (name, sheet) in zip(axes, sheets.items(), strict=True):
            plot.images(sheet, columns=10, ax=ax).set_title(name, fontsize=10.5, fontweight="normal")
    return figure

"""What the chapters share: the data and the fits, and the numbers, figures and files they leave."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ppl_gen import plot
from ppl_gen.article import Card, Figure, Table
from ppl_gen.core import ProbabilisticModel, run, variables
from ppl_gen.data import Dataset, digits, wine
from ppl_gen.diagnostics import summary, to_arviz
from ppl_gen.distributions import BetaBinomial
from ppl_gen.files import replace_file, replacing
from ppl_gen.fit import fit
from ppl_gen.inference import SVI
from ppl_gen.isolation import isolated
from ppl_gen.models import VAE, GaussianMixture, GaussianNaiveBayes
from ppl_gen.posterior import Posterior

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure as Drawing
from ppl_gen.tour.words import number

LEVELS = 17  # grey levels of a digit's pixel


@dataclass(frozen=True)
class Budget:
    """How much of everything: gradient steps, sizes and repeats of the learning curves, draws."""

    guide_steps: int
    sizes: tuple[int, ...]
    repeats: int
    regression_steps: int
    mixture_steps: int
    vae_steps: int
    vae_hidden: int
    draws: int


FULL = Budget(1500, (8, 16, 32, 64, 128, 256), 8, 200, 1000, 2000, 512, 200)
QUICK = Budget(150, (8, 64), 3, 60, 100, 60, 64, 20)


class Workshop:
    """The fits that more than one chapter needs, then what the chapters leave, in the folder ``out``."""

    def __init__(self, out: Path, *, seed: int = 0, budget: Budget = FULL):
        self.out, self.seed, self.budget = out, seed, budget
        self.started = perf_counter()
        self.glance: list[tuple[str, str]] = []  # number, what it is
        self.files: list[tuple[str, str]] = []  # name, what it is
        self.numbers: list[tuple[str, str, str]] = []  # what, value, how it was obtained

    @cached_property
    def wines(self) -> tuple[Dataset, Dataset]:
        """Training and test rows, in units of the training rows."""
        train, test = wine().split(test=0.25, seed=self.seed)
        return train.standardized(), test.standardized(like=train)

    @cached_property
    def labelled(self) -> Posterior:
        """Naive Bayes on the training wines."""
        train, _ = self.wines
        return fit(GaussianNaiveBayes(classes=3, features=13), x=train.x, y=train.y)

    @cached_property
    def unlabelled(self) -> Posterior:
        """The mixture on the training wines without their labels."""
        return self.mixture(components=3)

    def mixture(self, components: int) -> Posterior:
        """A mixture on the training wines."""
        train, _ = self.wines
        steps = SVI(steps=self.budget.mixture_steps, seed=self.seed)
        return fit(GaussianMixture(components=components, features=13), steps, x=train.x)

    @cached_property
    def pixels(self) -> dict[str, Dataset]:
        """The digits, split in the order of the file."""
        data = digits()
        return {"training": data[:1000], "validation": data[1000:1350], "test": data[1350:]}

    @cached_property
    def vae(self) -> Posterior:
        """The autoencoder of the training digits."""
        model = VAE(
            features=64,
            latent=16,
            likelihood=BetaBinomial(LEVELS),
            hidden=(self.budget.vae_hidden,),
            dropout=0.2,
            seed=self.seed,
        )
        method = SVI(steps=self.budget.vae_steps, learning_rate=2e-3, seed=self.seed)
        return fit(model, method, x=self.pixels["training"].x)

    def note(self, what: str, value: str, how: str) -> None:
        """Keep a number for the colophon, with how it was obtained."""
        self.numbers.append((what, value, how))

    def card(self, model: ProbabilisticModel, observed: tuple[str, ...], legend: str = "") -> Card:
        """The model's lines beside its graph."""
        lines = (("joint", model.joint), ("guide", model.approximation))
        return Card(type(model).__name__, lines, model.drawn(observed=observed), legend)

    def figure(self, name: str, drawing: Any, caption: str, dark: Any = None) -> Figure:
        """Write the figure as PNG, and give its SVG to the page, with the one for ``dark`` pages."""
        import matplotlib.pyplot as plt

        figure: Drawing = drawing
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=200)
        replace_file(self.out / f"{name}.png", content.getvalue())
        self.files.append((f"{name}.png", caption.replace("`", "").split(". ")[0].rstrip(".")))
        alt = caption.replace("`", "")
        drawn = [figure] if dark is None else [figure, dark]
        pictures = [plot.svg(each, alt=alt) for each in drawn]
        for each in drawn:
            plt.close(each)
        return Figure(pictures[0], caption, *pictures[1:])

    def tree(
        self,
        name: str,
        posterior: Posterior,
        what: str,
        var_names: list[str],
        coords: Mapping[str, Sequence[Any]],
        shown: Mapping[str, Any] | None = None,
        **data: Any,
    ) -> Table:
        """Write the posterior for ArviZ, and summarise a part of it."""
        tree: xarray.DataTree = to_arviz(
            posterior,
            draws=self.budget.draws,
            seed=self.seed,
            coords={key: list(labels) for key, labels in coords.items()},
            **data,
        )
        with replacing(self.out / f"{name}.nc") as part:
            tree.to_netcdf(part, engine="h5netcdf")
        self.files.append((f"{name}.nc", f"{what}, for ArviZ"))
        frame = summary(tree, var_names=var_names, coords=dict(shown or {}))
        labelled = zip(frame.index, frame.to_numpy(), strict=True)
        rows = [(str(label), *(number(value, 2) for value in row)) for label, row in labelled]
        head = ("", *(str(column).replace("_", " ") for column in frame.columns))
        caption = (
            f"From {self.budget.draws} independent draws: there is no chain whose convergence would have "
            "to be judged."
        )
        return Table(head, rows, caption, tuple(range(1, len(head))), fold=f"ArviZ summary: {what}")


def codes_of(posterior: Posterior, x: Tensor) -> Tensor:
    """The means of q(z | x)."""
    with isolated(0):
        codes: Tensor = variables(run(posterior.latents, {"x": x, "n": len(x)}))["z"]["fn"].mean
    return codes

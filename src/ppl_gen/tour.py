"""The tour: five claims about generative and discriminative models, measured on real data in the run."""

import io
import platform
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ppl_gen import plot
from ppl_gen.ask import Importance, LowerBound, ask
from ppl_gen.core import ProbabilisticModel, run, variables
from ppl_gen.data import Dataset, breast_cancer, digits, wine
from ppl_gen.diagnostics import summary, to_arviz
from ppl_gen.distributions import BetaBinomial
from ppl_gen.errors import PplGenError, UnknownVariable
from ppl_gen.files import replace_file, replacing
from ppl_gen.fit import fit
from ppl_gen.inference import SVI
from ppl_gen.isolation import isolated
from ppl_gen.models import VAE, GaussianMixture, GaussianNaiveBayes, LogisticRegression
from ppl_gen.notation import read_question
from ppl_gen.posterior import Posterior
from ppl_gen.progress import track
from ppl_gen.report import Card, Figure, Report, Section, Table

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure as Drawing
    from rich.console import Console

__all__ = ["FULL", "QUICK", "Budget", "Tour"]

LEVELS = 17  # grey levels of a digit's pixel
PSEUDO_COUNT = 0.1  # of every grey level, in the two models of digits that only count
NAMES = {"nb": "naive Bayes", "lr": "logistic regression"}


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

QUESTIONS = (
    ("classify a row", "p(y | x)", False),
    ("… half of its features missing", "p(y | x)", True),
    ("generate or score a row of a class", "p(x | y)", False),
    ("is this row unusual?", "p(x)", False),
    ("… half of its features missing", "p(x)", True),
    ("generate or score row and class", "p(x, y)", False),
    ("which hidden cause?", "p(z | x)", False),
    ("what follows from a cause?", "p(x | z)", False),
    ("what is known of the means?", "p(mu)", False),
    ("what is known of the weights?", "p(w)", False),
)


class Tour:
    """Five chapters and a colophon, told on ``console`` and written into the folder ``out``."""

    def __init__(self, out: Path, console: "Console", *, seed: int = 0, budget: Budget = FULL):
        self.out, self.console, self.seed, self.budget = out, console, seed, budget
        self.started = perf_counter()
        self.files: list[tuple[str, str]] = []  # name, what it is
        self.numbers: list[tuple[str, str, str]] = []  # what, value, how it was obtained
        self.report = Report(
            title="One joint distribution, many questions",
            lead="A probabilistic model is one joint distribution, and everything anybody wants from it is "
            "a question asked of that joint. Here four models of real data, three generative and one "
            "discriminative, are fitted, asked and held against one another.",
            notice=""
            if budget == FULL
            else "A quick run: fits were stopped early, so the numbers show less than the models can do.",
        )

    def run(self) -> None:
        """Tell the chapters one by one, then write the page."""
        self.console.print(self.report.title, style="bold", justify="center")
        self.console.print()
        self.console.print(self.report.lead)
        chapters = (self.guides, self.twins, self.questions, self.hidden, self.images, self.colophon)
        for chapter in chapters:
            self.report.add(chapter(), self.console)
        self.files.append(("index.html", "the article"))
        replace_file(self.out / "index.html", self.report.html())
        self._say_files()

    # Fits that more than one chapter needs ------------------------------------------------------------------

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
        return self._mixture(components=3)

    def _mixture(self, components: int) -> Posterior:
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

    # The chapters -------------------------------------------------------------------------------------------

    def guides(self) -> Section:
        """One joint, two guides: the exact posterior and variational inference."""
        data = wine().standardized()
        nb = GaussianNaiveBayes(classes=3, features=13)
        start = perf_counter()
        exact = fit(nb, x=data.x, y=data.y)
        middle = perf_counter()
        svi = fit(
            nb, SVI(steps=self.budget.guide_steps, learning_rate=0.2, seed=self.seed), x=data.x, y=data.y
        )
        seconds = middle - start, perf_counter() - middle
        truth, (bound, error) = exact.log_evidence, svi.estimate_elbo(400, seed=self.seed)
        gap = truth - bound
        self._note("log evidence of the wines", _n(truth, 2), "exact: the conjugate update in closed form")
        value = f"{_n(bound, 2)} ± {_n(error, 2)}"
        self._note("ELBO of the mean-field guide", value, "400 draws of the guide; standard error")
        self.report.glance.append(
            (f"{_n(gap, 1)} nats", "between a mean-field guide and the exact log evidence")
        )

        mu = {"exact": exact.draw(1000, self.seed)["mu"], "SVI": svi.draw(1000, self.seed)["mu"]}
        spread = mu["exact"].std(0)
        shift = (mu["SVI"].mean(0) - mu["exact"].mean(0)).abs() / spread
        narrow = mu["SVI"].std(0) / spread
        worst = [divmod(int(i), 13) for i in shift.flatten().topk(4).indices]
        cells = {f"{_short(data.features[j])}, {_short(data.classes[k])}": (k, j) for k, j in worst}
        panels = {
            method: {name: draws[:, k, j] for name, (k, j) in cells.items()} for method, draws in mu.items()
        }
        with plot.style():
            climb = plot.elbo(svi.elbo, log_evidence=truth).figure
            marginals = plot.densities(panels, columns=2)
        coords = {"feature": data.features, "class": data.classes}
        some = {"feature": list(data.features[:3])}
        return Section(
            f"A mean-field guide comes within {_n(gap, 1)} nats of the exact answer",
            [
                "Naive Bayes on the chemistry of 178 wines is conjugate, so Bayes' rule has a closed form "
                "and the log evidence is known exactly. The same joint can also be fitted by stochastic "
                "variational inference, which climbs a lower bound, the ELBO; here the truth shows how far "
                "it got.",
                self._card(nb, observed=("x", "y")),
                Table(
                    ("guide", "nats", "s.e.", "seconds"),
                    (
                        ("exact posterior: log evidence", _n(truth, 2), "0", _n(seconds[0], 3)),
                        (f"`{nb.approximation}`: ELBO", _n(bound, 2), _n(error, 2), _n(seconds[1], 1)),
                    ),
                    f"The difference, {_n(gap, 2)} nats, is the Kullback-Leibler divergence from the guide "
                    "to the exact posterior: what it costs to treat the three groups of parameters as "
                    f"independent, and to stop after {self.budget.guide_steps:,} steps.",
                    numbers=(1, 2, 3),
                ),
                self._figure(
                    "elbo",
                    climb,
                    "The bound climbs towards the log evidence and, on average, never passes it. Line: "
                    f"running mean; band: nine steps in ten. {self.budget.guide_steps:,} steps.",
                ),
                "Parameter by parameter, over all 39 class means: the two posterior means differ by at most "
                f"{_n(shift.max(), 2)} posterior standard deviations (1,000 draws each resolve about "
                f"{_n(2 * (2 / 1000) ** 0.5, 2)}), and the guide's standard deviations are "
                f"{_n(narrow.min(), 2)} to {_n(narrow.max(), 2)} times the exact ones.",
                self._figure(
                    "marginals",
                    marginals,
                    "Posteriors of the four class means `mu` on which the two differ most, in standard "
                    "deviations of each measurement.",
                ),
                self._tree("naive-bayes-exact", exact, "exact posterior, wines", ["pi", "mu"], coords, some),
                self._tree("naive-bayes-svi", svi, "SVI posterior, wines", ["pi", "mu"], coords, some),
            ],
        )

    def twins(self) -> Section:
        """Generative against discriminative, from few to many rows."""
        data, sizes, repeats = breast_cancer(), self.budget.sizes, self.budget.repeats
        scores = {key: torch.zeros(2, repeats, len(sizes), dtype=torch.float64) for key in NAMES}
        origin: dict[str, str] = {}
        sure = {key: torch.zeros(repeats) for key in NAMES}  # of the decisions, from the most rows
        work = [(r, s) for r in range(repeats) for s in range(len(sizes))]
        for r, s in track(work, "Learning curves"):
            seed = self.seed * repeats + r
            pool, test = data.split(test=0.5, seed=seed)
            train = pool.split(test=sizes[s], seed=seed)[1] if sizes[s] < len(pool) else pool
            test, train = test.standardized(like=train), train.standardized()
            method = SVI(steps=self.budget.regression_steps, learning_rate=0.1, seed=seed, progress=False)
            fitted = {
                "nb": fit(GaussianNaiveBayes(classes=2, features=30), x=train.x, y=train.y),
                "lr": fit(LogisticRegression(classes=2, features=30), method, x=train.x, y=train.y),
            }
            for key, posterior in fitted.items():
                answer = ask(posterior, "p(y | x)", Importance(300, seed), x=test.x)
                scores[key][0, r, s] = (answer.mode == test.y).double().mean()
                scores[key][1, r, s] = -answer.log_prob(y=test.y).mean()
                origin[key] = answer.how
                if s == len(sizes) - 1:
                    sure[key][r] = answer.probs.amax(1).mean()
        parts: list[Any] = []
        leads = []
        for i, (score, sign) in enumerate((("accuracy", 1), ("log loss", -1))):
            curves = {NAMES[key]: scores[key][i] for key in NAMES}
            ahead = [_ahead(sign * (scores["nb"][i] - scores["lr"][i])[:, s]) for s in range(len(sizes))]
            leads.append(_lead(score, sizes, ahead))
            unit = "accuracy on held-out rows" if i == 0 else "log loss on held-out rows (nats)"
            with plot.style():
                drawing = plot.learning_curves(sizes, curves, ylabel=unit).figure
            rows = [
                (str(size), *(_interval(scores[key][i][:, s]) for key in NAMES), ahead[s] or "too close")
                for s, size in enumerate(sizes)
            ]
            better = "Higher is better." if i == 0 else "Lower is better: it charges for confident mistakes."
            parts += [
                self._figure(
                    f"learning-curve-{score.replace(' ', '-')}",
                    drawing,
                    f"{score.capitalize()} against the number of training rows. {better}",
                ),
                Table(
                    ("rows", *NAMES.values(), "ahead"),
                    rows,
                    f"{score.capitalize()}: means of {repeats} repeats with 95 % intervals. A model is "
                    "ahead where the 95 % interval of the paired difference excludes zero.",
                    numbers=(0, 1, 2),
                ),
            ]
            for key in NAMES:
                self._note(
                    f"{score}, {NAMES[key]}, {sizes[-1]} rows",
                    _interval(scores[key][i][:, -1]),
                    f"{origin[key]}; {repeats} splits, 95 % interval",
                )
        self.report.glance.append(
            (
                _percent(scores["nb"][0, :, 0].mean()),
                f"naive Bayes' accuracy from {sizes[0]} rows; logistic regression's is "
                f"{_percent(scores['lr'][0, :, 0].mean())}",
            )
        )
        lr = fitted["lr"]
        coords = {"feature": data.features, "class": data.classes}
        return Section(
            leads[0],
            [
                "Logistic regression is the discriminative twin of naive Bayes: it is given `x` and models "
                f"only `p(y | x)`. Both learn to tell malignant from benign cells, from {sizes[0]} to "
                f"{sizes[-1]} rows, and are scored on the {len(test)} rows held out of the same random "
                "halves. Rows are standardised by the training rows alone; both models have their default "
                "priors.",
                self._card(lr.model, observed=("y",)),
                parts[0],
                parts[1],
                f"{leads[1]}. The thirty measurements repeat one another: within a class their correlation "
                f"is {_n(_correlation(data), 2)} on average, regardless of sign, while naive Bayes counts "
                f"them as independent evidence. From {sizes[-1]} rows it is {_percent(sure['nb'].mean())} "
                f"sure of its decisions on average and right in {_percent(scores['nb'][0, :, -1].mean())}; "
                f"logistic regression is {_percent(sure['lr'].mean())} sure and right in "
                f"{_percent(scores['lr'][0, :, -1].mean())}.",
                parts[2],
                parts[3],
                self._tree(
                    "logistic-regression",
                    lr,
                    "logistic regression of the last split",
                    ["w"],
                    coords,
                    {"term": ["intercept", *data.features[:3]]},
                ),
            ],
        )

    def questions(self) -> Section:
        """What each model can and cannot be asked, by asking."""
        train, test = self.wines
        method = SVI(steps=self.budget.regression_steps, learning_rate=0.1, seed=self.seed)
        regression = fit(LogisticRegression(classes=3, features=13), method, x=train.x, y=train.y)
        some = self.pixels["test"].x[:20].float()
        wines = {"x": test.x, "y": test.y}
        parts = {"x": test.x, "z": ask(self.unlabelled, "p(z | x)", x=test.x).mode}
        codes = {"x": some, "z": _codes(self.vae, some)}
        models = ((self.labelled, wines), (regression, wines), (self.unlabelled, parts), (self.vae, codes))
        names = [type(posterior.model).__name__ for posterior, _ in models]
        rows, said, answered = [], [], dict.fromkeys(names, 0)
        for words, question, gaps in QUESTIONS:
            cells = []
            for name, (posterior, values) in zip(names, models, strict=True):
                mark, short, full = _reply(posterior, question, _half_missing(values) if gaps else values)
                cells.append(f"{mark}\u00a0{short}".strip())
                said.append((name, f"`{question}`" + (" with gaps" if gaps else ""), f"{mark} {full}"))
                answered[name] += mark in "✓!"
            rows.append((f"`{question}` {words}", *cells))
        nb, lr = answered["GaussianNaiveBayes"], answered["LogisticRegression"]
        refusal = next(full for name, question, full in said if name == names[1] and "p(x |" in question)
        return Section(
            f"Of {len(rows)} questions, naive Bayes answers {nb} and logistic regression {lr}",
            [
                "A discriminative model spends everything on one conditional; a generative one can be asked "
                "for any other. Each question below was really asked of each fitted model. An answer says "
                "how it was obtained, and what cannot be answered is refused by name: of a row of a class, "
                f"logistic regression says “{refusal.removeprefix('✗ ').split(': ', 1)[1]}”",
                Table(
                    ("question", *(_spaced(name) for name in names)),
                    rows,
                    "✓ answered, and how; ! answered, with a warning that a few draws decide; ✗ refused, "
                    "by this error; – refused as UnknownVariable: not in this joint. The VAE was asked "
                    "about digits, the others about wines.",
                ),
                Table(("model", "question", "answer or refusal"), said, fold="Every reply in full"),
            ],
        )

    def hidden(self) -> Section:
        """A mixture finds classes that nobody told it."""
        from scipy.optimize import linear_sum_assignment
        from sklearn.metrics import adjusted_rand_score

        (train, test), mixture = self.wines, self.unlabelled
        rows = {"train": train, "test": test}
        found = {part: ask(mixture, "p(z | x)", x=data.x) for part, data in rows.items()}
        index = {part: adjusted_rand_score(data.y, found[part].mode) for part, data in rows.items()}
        pairs = torch.zeros(3, 3, dtype=torch.long)  # cultivar, component
        pairs.index_put_((test.y, found["test"].mode), torch.ones_like(test.y), accumulate=True)
        order = torch.as_tensor(linear_sum_assignment(-pairs)[1])  # only names change
        pairs = pairs[:, order]
        component = order.argsort()[found["test"].mode]
        density = {
            "mixture, labels hidden": ask(mixture, "p(x)"),
            "naive Bayes, labels seen": ask(self.labelled, "p(x)"),
            "one Gaussian": ask(self._mixture(components=1), "p(x)"),
        }
        log_p = {name: answer.log_prob(x=test.x) for name, answer in density.items()}
        gain = log_p["mixture, labels hidden"] - log_p["one Gaussian"]
        with plot.style():
            ax = plot.latent(test.x, component, names=["A", "B", "C"])
            _ring(ax, test.x, component != test.y)
            ax.set(xlabel="principal component 1 of the measurements", ylabel="principal component 2")
        how = found["test"].how
        self._note("adjusted Rand index, unseen wines", _n(index["test"], 2), f"`p(z | x)`: {how}")
        self._note(
            "log `p(x)` of unseen wines, over one Gaussian",
            f"{_mean(gain)} nats a row",
            f"{density['one Gaussian'].how}; standard error over rows",
        )
        self.report.glance.append(
            (_n(index["test"], 2), "adjusted Rand index of a mixture that saw no labels")
        )
        verbs = {0.75: "recovers", 0.5: "partly recovers", -1.0: "hardly finds"}
        verb = next(word for least, word in verbs.items() if index["test"] > least)
        return Section(
            f"Without labels, the mixture {verb} the three cultivars: adjusted Rand index "
            f"{_n(index['test'], 2)}",
            [
                "A Gaussian mixture is naive Bayes whose labels are hidden. It was fitted by SVI to the "
                f"measurements of {len(train)} wines alone; the component `z` of a row is never sampled but "
                "summed out exactly.",
                self._card(mixture.model, observed=("x",)),
                Table(
                    ("cultivar", "component A", "component B", "component C"),
                    [(_short(test.classes[k]), *map(str, row)) for k, row in enumerate(pairs.tolist())],
                    f"{int(pairs.trace())} of {len(test)} unseen wines fall into the component of their "
                    f"cultivar. The adjusted Rand index is {_n(index['test'], 2)} on them and "
                    f"{_n(index['train'], 2)} on the training rows; 0 is chance, 1 is perfect.",
                    numbers=(1, 2, 3),
                ),
                self._figure(
                    "mixture",
                    ax.figure,
                    "Unseen wines along their two principal components, "
                    "coloured by the most probable component. Rings: wines "
                    "of another cultivar than their component's.",
                ),
                "Being generative, the mixture also says how likely a row is, and so whether its components "
                f"earn their keep: they change the log density of an unseen wine by {_mean(gain)} nats, "
                "compared with one Gaussian.",
                Table(
                    ("model", "log `p(x)`, nats a row", "how"),
                    [(name, _mean(values), density[name].how) for name, values in log_p.items()],
                    "Mean log density of the unseen wines ± standard error over rows; higher is better.",
                    numbers=(1,),
                ),
                self._tree("mixture", mixture, "mixture posterior", ["pi"], {"feature": train.features}),
            ],
        )

    def images(self) -> Section:
        """A VAE learns what digits look like."""
        train, test = self.pixels["training"], self.pixels["test"]
        vae, x = self.vae, test.x.float()
        bounds = {part: ask(vae, "p(x)", LowerBound(50, self.seed)) for part in ("validation", "test")}
        cost = {part: -answer.log_prob(x=self.pixels[part].x) for part, answer in bounds.items()}
        floors = {
            "independent pixels": _counted(train, test, hidden=False),
            "naive Bayes, label summed out": _counted(train, test, hidden=True),
        }
        mean = cost["test"].mean().item()
        lead = floors["naive Bayes, label summed out"].mean().item() - mean
        self._note(
            "−ELBO of unseen digits",
            f"{_mean(cost['test'])} nats",
            f"{bounds['test'].how}, 50 draws of the guide a row; standard error over rows",
        )
        self.report.glance.append(
            (
                f"{_n(mean, 1)} nats",
                "for an unseen digit at most, by the autoencoder; "
                f"{_n(floors['independent pixels'].mean(), 1)} by "
                "independent pixels",
            )
        )

        codes = _codes(vae, x)
        nearest = torch.cdist(codes, _codes(vae, train.x.float())).argmin(1)
        alike = (train.y[nearest] == test.y).double().mean()
        chance = torch.bincount(test.y).max() / len(test)
        nb = fit(GaussianNaiveBayes(classes=10, features=64), x=train.x, y=train.y)
        drawn = ask(nb, "p(x | y)", y=torch.arange(10)).sample(2, seed=self.seed)
        first = torch.stack([torch.nonzero(test.y == k)[:2, 0] for k in range(10)], 1).flatten()
        sheets = {
            "real digits, unseen": test.x[first],
            "… rebuilt by the VAE from their codes": ask(vae, "p(x | z)", z=codes[first]).mean,
            "drawn by naive Bayes: p(x | y) of every class y": drawn.flatten(0, 1).clamp(0, LEVELS - 1),
            "drawn by the VAE: p(x)": ask(vae, "p(x)").sample(20, seed=self.seed),
            "expected by the VAE: the mean of p(x | z) for z from p(z)": ask(
                vae, "p(x | z)", z=ask(vae, "p(z)").sample(20, seed=self.seed)
            ).mean,
        }
        with plot.style():
            pictures, axes = _stack(len(sheets))
            for ax, (name, sheet) in zip(axes, sheets.items(), strict=True):
                plot.images(sheet, columns=10, ax=ax).set_title(name, fontsize=9, fontweight="normal")
        ahead = f"{_n(abs(lead), 1)} {'fewer' if lead > 0 else 'more'}"
        rows = [(name, "test", _mean(values), "exact") for name, values in floors.items()]
        rows += [("VAE: −ELBO", part, _mean(cost[part]), answer.how) for part, answer in bounds.items()]
        return Section(
            f"The autoencoder pays at most {_n(mean, 1)} nats for an unseen digit, {ahead} than naive Bayes",
            [
                "A variational autoencoder has the joint of a mixture whose hidden cause is a vector of "
                "sixteen numbers. A network turns a code `z` into a distribution of 64 pixels with 17 grey "
                "levels; another, the guide, guesses the code of a picture.",
                self._card(vae.model, observed=("x",)),
                Table(
                    ("model", "rows", "nats a digit", "how"),
                    rows,
                    f"−log `p(x)`, lower is better; ± is the standard error over {len(test)} test and "
                    f"{len(self.pixels['validation'])} validation rows. The first two models count grey "
                    f"levels pixel by pixel in the {len(train):,} training rows ({PSEUDO_COUNT} added to "
                    "every count); the VAE's figure is an upper bound.",
                    numbers=(2,),
                ),
                self._figure(
                    "digits",
                    pictures,
                    "Top to bottom: digits the models have not seen, and their reconstructions; draws of "
                    "Gaussian naive Bayes, which knows the class but no neighbourhood of pixels; draws of "
                    "the VAE, pixel noise included; the VAE without that noise. Naive Bayes' real numbers "
                    "are clipped to the grey levels.",
                ),
                "The codes were learned without labels. The label of the "
                f"nearest training code is right for {_percent(alike)} of the unseen digits, against "
                f"{_percent(chance)} for always guessing the commonest.",
                self._tree("vae", vae, "codes of 100 unseen digits", ["z"], {}, {"row": [0]}, x=x[:100]),
                self._tree(
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

    def colophon(self) -> Section:
        """How the numbers were obtained."""
        packages = ("torch", "pyro-ppl", "numpy", "scikit-learn", "arviz", "matplotlib")
        versions = ", ".join(f"{name} {version(name)}" for name in packages)
        from ppl_gen import __version__

        seconds = perf_counter() - self.started
        flag = "" if self.budget == FULL else " --quick"
        return Section(
            "How these numbers were obtained",
            [
                f"Every number above was measured in one run of `ppl-gen tour{flag} --seed {self.seed}` of "
                f"{seconds:,.0f} seconds, on {_threads()}, by ppl-gen {__version__} "
                f"on Python {platform.python_version()} ({versions}). The data are those that scikit-learn "
                "ships; nothing was downloaded. The same seed and versions on the same machine give the "
                "same numbers, but for seconds.",
                Table(
                    ("number", "value", "how"),
                    self.numbers,
                    "The main numbers and their origin; ± is a standard error or a 95 % interval.",
                ),
                Table(
                    ("file", "what it is"),
                    [(f"`{name}`", what) for name, what in self.files],
                    fold="Files beside this page: posteriors for ArviZ (netCDF) and figures",
                ),
            ],
        )

    # What the chapters share --------------------------------------------------------------------------------

    def _note(self, what: str, value: str, how: str) -> None:
        self.numbers.append((what, value, how))

    def _card(self, model: ProbabilisticModel, observed: tuple[str, ...]) -> Card:
        lines = (("joint", model.joint), ("guide", model.approximation))
        return Card(type(model).__name__, lines, model.drawn(observed=observed))

    def _figure(self, name: str, drawing: Any, caption: str) -> Figure:
        """Write the figure as PNG, and give its SVG to the page."""
        import matplotlib.pyplot as plt

        figure: Drawing = drawing
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=200)
        replace_file(self.out / f"{name}.png", content.getvalue())
        self.files.append((f"{name}.png", caption.replace("`", "").split(". ")[0].rstrip(".")))
        svg = plot.svg(figure, alt=caption.replace("`", ""))
        plt.close(figure)
        return Figure(svg, caption)

    def _tree(
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
        rows = [(str(label), *(_n(value, 2) for value in row)) for label, row in labelled]
        head = ("", *(str(column).replace("_", " ") for column in frame.columns))
        caption = (
            f"From {self.budget.draws} independent draws: there is no chain whose convergence would have "
            "to be judged."
        )
        return Table(head, rows, caption, tuple(range(1, len(head))), fold=f"ArviZ summary: {what}")

    def _say_files(self) -> None:
        from rich import box
        from rich.table import Table as Grid

        grid = Grid(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
        grid.add_column("file")
        grid.add_column("size", justify="right")
        for name, _ in self.files:
            size = (self.out / name).stat().st_size
            shown = f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
            grid.add_row(name, shown)
        self.console.print()
        self.console.rule(style="dim")
        self.console.print(f"Written to {self.out}:", soft_wrap=True)
        self.console.print(grid)
        seconds = perf_counter() - self.started
        read = f"Read [bold]{self.out / 'index.html'}[/]."
        self.console.print(f"{read} {seconds:,.1f} seconds.", soft_wrap=True)


# Asking -----------------------------------------------------------------------------------------------------


def _reply(posterior: Posterior, question: str, values: Mapping[str, Tensor]) -> tuple[str, str, str]:
    """A mark, the answer's origin or the refusal's name, and all that was said."""
    left, right = read_question(question)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = ask(posterior, question, **{name: values.get(name, torch.zeros(1)) for name in right})
            if values.keys() >= set(left):
                answer.log_prob(**{name: values[name] for name in left})
            elif left[0] in posterior.parameters:
                _ = answer.mean
            else:
                _ = answer.probs
        except UnknownVariable as error:
            return "–", "", f"UnknownVariable: {error}"
        except PplGenError as error:
            return "✗", type(error).__name__, f"{type(error).__name__}: {error}"
    said = [f"{w.category.__name__}: {w.message}" for w in caught]
    short = answer.how.split(" (")[0].split(" q(")[0]
    return "!" if said else "✓", short, ". ".join([answer.how, *said])


def _half_missing(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    x = values["x"].clone()
    x[:, ::2] = torch.nan
    return {**values, "x": x}


def _codes(posterior: Posterior, x: Tensor) -> Tensor:
    """The means of q(z | x)."""
    with isolated(0):
        codes: Tensor = variables(run(posterior.latents, {"x": x, "n": len(x)}))["z"]["fn"].mean
    return codes


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


# Comparing --------------------------------------------------------------------------------------------------


def _correlation(data: Dataset) -> float:
    """The mean absolute correlation of two different features within a class."""
    inside = torch.cat([data.x[data.y == k] - data.x[data.y == k].mean(0) for k in range(len(data.classes))])
    matrix = torch.corrcoef(inside.T).abs()
    return float((matrix.sum() - len(matrix)) / (matrix.numel() - len(matrix)))


def _half_width(values: Tensor) -> float:
    """Half the 95 % interval of the mean over repeats."""
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5)


def _ahead(difference: Tensor) -> str:
    """Who is ahead, from the paired differences of the repeats; "" if they cannot tell."""
    if abs(difference.mean()) <= _half_width(difference):
        return ""
    return NAMES["nb"] if difference.mean() > 0 else NAMES["lr"]


def _lead(score: str, sizes: Sequence[int], ahead: Sequence[str]) -> str:
    """A sentence on who is ahead where.

    >>> _lead("accuracy", (8, 16, 32, 64), ("naive Bayes", "", "logistic regression", "logistic regression"))
    'In accuracy, naive Bayes is ahead at 8 rows, logistic regression at 32 and 64 rows; neither at 16 rows'
    >>> _lead("log loss", (8, 16), ("", ""))
    'In log loss, neither model is ahead at any size'
    """
    places = {}
    for name in dict.fromkeys(ahead):
        places[name] = _at(sizes, [i for i, leader in enumerate(ahead) if leader == name])
    level = places.pop("", "")
    if not places:
        return f"In {score}, neither model is ahead at any size"
    said = [f"{name}{'' if i else ' is ahead'} {where}" for i, (name, where) in enumerate(places.items())]
    return f"In {score}, {', '.join(said)}" + (f"; neither {level}" if level else "")


def _at(sizes: Sequence[int], index: Sequence[int]) -> str:
    if len(index) > 2 and list(index) == list(range(index[0], index[-1] + 1)):
        return f"from {sizes[index[0]]} to {sizes[index[-1]]} rows"
    names = [str(sizes[i]) for i in index]
    return f"at {' and '.join(filter(None, [', '.join(names[:-1]), names[-1]]))} rows"


# Words and numbers ------------------------------------------------------------------------------------------


def _threads() -> str:
    count = torch.get_num_threads()
    return f"{count} thread{'s' * (count > 1)}"


def _n(value: Any, digits: int) -> str:
    return f"{float(value):,.{digits}f}".replace("-", "−")


def _percent(share: Any) -> str:
    return f"{100 * float(share):.1f}\u00a0%"


def _interval(values: Tensor) -> str:
    return f"{_n(values.mean(), 3)} ± {_n(_half_width(values), 3)}"


def _mean(values: Tensor) -> str:
    return f"{_n(values.mean(), 1)} ± {_n(values.std() / len(values) ** 0.5, 1)}"


def _short(name: str) -> str:
    return name.split("/")[0].replace("_", " ")


def _spaced(name: str) -> str:
    """CamelCase as words, so that it can be broken over lines."""
    return "".join(f" {c}" if c.isupper() and i and not name.isupper() else c for i, c in enumerate(name))


# Figures ----------------------------------------------------------------------------------------------------


def _stack(rows: int) -> tuple[Any, list[Any]]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(rows, 1, figsize=(5.0, 1.32 * rows))
    return figure, list(axes)


def _ring(ax: Any, x: Tensor, wrong: Tensor) -> None:
    """Rings around some of the points that `plot.latent` drew."""
    import numpy as np

    centred = (x - x.mean(0)).numpy()
    points = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    chosen = points[wrong.numpy()]
    ax.scatter(chosen[:, 0], chosen[:, 1], s=130, facecolors="none", edgecolors="#667180", linewidths=1.4)

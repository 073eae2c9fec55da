"""Fourth chapter: hidden classes."""

from typing import Any

import torch
from torch import Tensor

from ppl_gen import plot
from ppl_gen.article import Section, Table
from ppl_gen.ask import ask
from ppl_gen.tour.words import average, cultivar, number
from ppl_gen.tour.workshop import Workshop


def hidden(w: Workshop) -> Section:
    """A mixture finds classes that nobody told it."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import adjusted_rand_score

    (train, test), mixture = w.wines, w.unlabelled
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
        "naive Bayes, labels seen": ask(w.labelled, "p(x)"),
        "one Gaussian": ask(w.mixture(components=1), "p(x)"),
    }
    log_p = {name: answer.log_prob(x=test.x) for name, answer in density.items()}
    gain = log_p["mixture, labels hidden"] - log_p["one Gaussian"]
    with plot.style():
        ax = plot.latent(test.x, component, names=["A", "B", "C"])
        _ring(ax, test.x, component != test.y)
        ax.set(xlabel="principal component 1 of the measurements", ylabel="principal component 2")
    how = found["test"].how
    w.note("adjusted Rand index, unseen wines", number(index["test"], 2), f"`p(z | x)`: {how}")
    w.note(
        "log `p(x)` of unseen wines, over one Gaussian",
        f"{average(gain)} nats a row",
        f"{density['one Gaussian'].how}; standard error over rows",
    )
    w.glance.append(
        (
            number(index["test"], 2),
            "agreement with the cultivars (adjusted Rand index: 0 is chance, 1 perfect) of a mixture that "
            "saw no labels",
        )
    )
    verbs = {0.75: "recovers", 0.5: "partly recovers", -1.0: "hardly finds"}
    verb = next(word for least, word in verbs.items() if index["test"] > least)
    return Section(
        f"Without labels, the mixture {verb} the three cultivars: adjusted Rand index "
        f"{number(index['test'], 2)}",
        [
            "A Gaussian mixture is naive Bayes whose labels are hidden. It was fitted by SVI to the "
            f"measurements of {len(train)} wines alone; the component `z` of a row is never sampled but "
            "summed out exactly.",
            w.card(mixture.model, observed=("x",)),
            Table(
                ("cultivar", "component A", "component B", "component C"),
                [(cultivar(test.classes[k]), *map(str, row)) for k, row in enumerate(pairs.tolist())],
                f"{int(pairs.trace())} of {len(test)} unseen wines fall into the component of their "
                "cultivar. The adjusted Rand index, the share of pairs of wines that the two groupings "
                f"treat alike, corrected for chance, is {number(index['test'], 2)} on them and "
                f"{number(index['train'], 2)} on the training rows; 0 is chance, 1 is perfect.",
                numbers=(1, 2, 3),
            ),
            w.figure(
                "mixture",
                ax.figure,
                "Unseen wines along their two principal components, "
                "coloured by the most probable component. Rings: wines "
                "of another cultivar than their component's.",
            ),
            "Being generative, the mixture also says how likely a row is, and so whether its components "
            f"earn their keep: they change the log density of an unseen wine by {average(gain)} nats, "
            "compared with one Gaussian.",
            Table(
                ("model", "log `p(x)`, nats a row", "how"),
                [(name, average(values), density[name].how) for name, values in log_p.items()],
                "Mean log density of the unseen wines ± standard error over rows; higher is better.",
                numbers=(1,),
            ),
            w.tree("mixture", mixture, "mixture posterior", ["pi"], {"feature": train.features}),
        ],
    )


def _ring(ax: Any, x: Tensor, wrong: Tensor) -> None:
    """Rings around some of the points that `plot.latent` drew."""
    import numpy as np

    centred = (x - x.mean(0)).numpy()
    points = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    chosen = points[wrong.numpy()]
    ax.scatter(chosen[:, 0], chosen[:, 1], s=130, facecolors="none", edgecolors="#667180", linewidths=1.4)

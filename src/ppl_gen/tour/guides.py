"""First chapter: one joint, two guides."""

from time import perf_counter

from ppl_gen import plot
from ppl_gen.article import Section, Table
from ppl_gen.data import wine
from ppl_gen.fit import fit
from ppl_gen.inference import SVI
from ppl_gen.models import GaussianNaiveBayes
from ppl_gen.tour.words import cultivar, number, short
from ppl_gen.tour.workshop import Workshop


def guides(w: Workshop) -> Section:
    """One joint, two guides: the exact posterior and variational inference."""
    data = wine().standardized()
    nb = GaussianNaiveBayes(classes=3, features=13)
    start = perf_counter()
    exact = fit(nb, x=data.x, y=data.y)
    middle = perf_counter()
    svi = fit(nb, SVI(steps=w.budget.guide_steps, learning_rate=0.2, seed=w.seed), x=data.x, y=data.y)
    seconds = middle - start, perf_counter() - middle
    truth, (bound, error) = exact.log_evidence, svi.estimate_elbo(400, seed=w.seed)
    gap = truth - bound
    w.note("log evidence of the wines", number(truth, 2), "exact: the conjugate update in closed form")
    value = f"{number(bound, 2)} ± {number(error, 2)}"
    w.note("ELBO of the mean-field guide", value, "400 draws of the guide; standard error")
    w.glance.append(
        (
            f"{number(gap, 1)} nats",
            "between a guide, which approximates the posterior, and the exact answer "
            "(1 nat: a factor of e in probability)",
        )
    )

    mu = {"exact": exact.draw(1000, w.seed)["mu"], "SVI": svi.draw(1000, w.seed)["mu"]}
    spread = mu["exact"].std(0)
    shift = (mu["SVI"].mean(0) - mu["exact"].mean(0)).abs() / spread
    narrow = mu["SVI"].std(0) / spread
    worst = [divmod(int(i), 13) for i in shift.flatten().topk(4).indices]
    cells = {f"{short(data.features[j])}, {cultivar(data.classes[k])}": (k, j) for k, j in worst}
    panels = {
        method: {name: draws[:, k, j] for name, (k, j) in cells.items()} for method, draws in mu.items()
    }
    with plot.style():
        climb = plot.elbo(svi.elbo, log_evidence=truth).figure
        marginals = plot.densities(panels, columns=2)
    coords = {"feature": data.features, "class": [cultivar(name) for name in data.classes]}
    some = {"feature": list(data.features[:3])}
    return Section(
        f"A mean-field guide comes within {number(gap, 1)} nats of the exact answer",
        [
            "Naive Bayes on the chemistry of 178 wines is conjugate, that is, the posterior of its "
            "parameters has the form of the prior: so Bayes' rule can be written down, and the log "
            "evidence, the log probability of all the data once the parameters are averaged out, is "
            "known exactly. It is counted in nats, the unit of natural logarithms: 1 nat is a factor of "
            "e in probability.",
            "The same joint can also be fitted by stochastic variational inference (SVI). It adjusts a "
            "guide, a simpler distribution that stands in for the posterior; a mean-field guide takes "
            "its groups of parameters to be independent. What SVI climbs is the ELBO, the evidence "
            "lower bound: it is at most the log evidence, so here the truth shows how far it got.",
            w.card(
                nb,
                observed=("x", "y"),
                legend="Circle: a variable; shaded: observed; square: given, not generated; box: repeated "
                "for each row, class or component. An arrow points at what depends on it.",
            ),
            Table(
                ("guide", "nats", "s.e.", "seconds"),
                (
                    ("exact posterior: log evidence", number(truth, 2), "0", number(seconds[0], 3)),
                    (
                        f"`{nb.approximation}`: ELBO",
                        number(bound, 2),
                        number(error, 2),
                        number(seconds[1], 1),
                    ),
                ),
                f"The difference, {number(gap, 2)} nats, is the Kullback-Leibler divergence from the guide "
                "to the exact posterior: what it costs to treat the three groups of parameters as "
                f"independent, and to stop after {w.budget.guide_steps:,} steps.",
                numbers=(1, 2, 3),
            ),
            w.figure(
                "elbo",
                climb,
                "The bound climbs towards the log evidence and, on average, never passes it. Line: "
                f"running mean; band: nine steps in ten. {w.budget.guide_steps:,} steps.",
            ),
            "Parameter by parameter, over all 39 class means: the two posterior means differ by at most "
            f"{number(shift.max(), 2)} posterior standard deviations (1,000 draws each resolve about "
            f"{number(2 * (2 / 1000) ** 0.5, 2)}), and the guide's standard deviations are "
            f"{number(narrow.min(), 2)} to {number(narrow.max(), 2)} times the exact ones.",
            w.figure(
                "marginals",
                marginals,
                "Posteriors of the four class means `mu` on which the two differ most, in standard "
                "deviations of each measurement.",
            ),
            w.tree("naive-bayes-exact", exact, "exact posterior, wines", ["pi", "mu"], coords, some),
            w.tree("naive-bayes-svi", svi, "SVI posterior, wines", ["pi", "mu"], coords, some),
        ],
    )

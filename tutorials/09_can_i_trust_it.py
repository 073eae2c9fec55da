# %% [markdown]
# # 9 · Can I trust it?
#
# A fit always gives numbers. Nothing in the numbers says that they are right. A formula copied with a slip, a
# guide that never arrived, a model of the wrong shape, a tensor that broadcast by accident: each gives a
# posterior that looks like any other. This lesson is about making such things visible.
#
# **You will learn** four questions, and who answers each.
#
# 1. *Does the method find right posteriors of this model?* Simulation-based calibration.
# 2. *Does the model fit these data?* Predictive checks.
# 3. *Which model predicts better?* Leave-one-out.
# 4. *Did this one fit arrive at the posterior?* `diagnose`. And before the fit, `lint`: is the program what I
#    meant?
#
# **You need** Python, and from probability: the posterior distribution, the Normal distribution, what a
# p-value is. What a guide and the evidence lower bound (ELBO) are is told in lesson 5, and repeated here in a
# sentence.
#
# **It takes** about 45 minutes; the code runs in about a minute, on data that need no download.

# %% [install]
import importlib.util

# Where ppl-gen is missing, as on Colab. This needs a released version; before the first,
# install it from a copy of its source: `pip install .` there.
if importlib.util.find_spec("ppl_gen") is None:
    get_ipython().run_line_magic("pip", "install --quiet ppl-gen")  # noqa: F821

# %%
import tempfile
import textwrap
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyro
import pyro.distributions as dist
import torch

from ppl_gen import (
    SVI,
    ProbabilisticModel,
    ask,
    check_normalised,
    compare_models,
    diagnose,
    fit,
    lint,
    loo,
    predictive_check,
    report,
    simulation_based_calibration,
)
from ppl_gen.data import wine
from ppl_gen.models import (
    GaussianNaiveBayes,
    LinearDiscriminantAnalysis,
    LinearRegression,
)
from ppl_gen.plot import rank_ecdf, style
from ppl_gen.plot.style import PALETTE


def say(words):
    print(textwrap.fill(words, 88), end="\n\n")


# %% [markdown]
# ## 1. Does the method find right posteriors?
#
# Put a known weight on the scales. We cannot know the true parameters of real data, but we can *invent* data
# whose parameters we know: draw parameters from the prior, then data from the joint, and forget the
# parameters. Now fit. If the posterior is right, the true value is no different from any draw of the
# posterior: lay it among 99 draws, sorted, and its place is equally likely to be first, last or anywhere
# between. Do that many times, and look whether the places are spread evenly. This is **simulation-based
# calibration** (SBC; Talts et al. 2018).
#
# We put a straight line on the scales: a target `y` about a line with weights `w` (intercept and slope), and
# noise of precision `tau`, one over its variance. (In the code, `precision` is that of the weights' prior;
# `shape` and `rate` belong to the gamma distribution, a distribution of positive numbers, of `tau`.) The
# prior is conjugate: prior and posterior are of one form, so the posterior is a formula, and `fit` computes
# it without any approximation.

# %%
x = torch.linspace(-1, 1, 8)[:, None]
prior = {"features": 1, "precision": 1.0, "shape": 3.0, "rate": 2.0}
line = LinearRegression(**prior)
print(line)
right = simulation_based_calibration(line, simulations=60, x=x)
say(right.verdict())

# %% [markdown]
# Read the verdict to its end: it says what would have been *missed*. A check that finds nothing is worth as
# much as what it could have found.
#
# Now plant a mistake. The formula's result holds a square root of a matrix of precisions (its Cholesky
# factor). Here somebody forgets the root, a slip as old as statistics: a variance where a standard deviation
# belongs. In the code, `updated` gives the model after the data, a line whose prior is the posterior;
# `after.root` is the factor, and `root @ root.mT` the matrix itself; `having` swaps a model's numbers.


# %%
class Slip(LinearRegression):
    def updated(self, x, y):
        after = super().updated(x, y)
        return after.having(
            weights=(after.loc, after.root @ after.root.mT, after.shape, after.rate)
        )


wrong = simulation_based_calibration(Slip(**prior), simulations=60, x=x)
say(wrong.verdict())

# %%
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 2.9), sharey=True)
    for ax, found, title in zip(
        axes, (right, wrong), ("the right formula", "the root forgotten"), strict=True
    ):
        rank_ecdf(found.to_arviz(), wrong=["w[0]", "w[1]"], ax=ax)
        ax.set_title(title)
    axes[1].set_ylabel("")
    axes[0].set_ylim(-0.32, 0.45)
    axes[0].legend(loc="upper right", fontsize=9, ncols=3)

# %% [check]
assert str(line) == "p(tau) p(w | tau) p(y | x, w, tau)"
assert right.passed
assert "would be found with probability" in right.verdict()
assert not wrong.passed
for name in ("w[0]", "w[1]"):
    assert "spread" in wrong.findings[name].faults
    assert (
        wrong.findings[name].ratio < 0.75
    )  # the posterior's sd, in units of the right one
assert not wrong.findings["tau"].faults
assert wrong.findings["log likelihood"].faults
assert "sds too small" in wrong.verdict()

# %% [markdown]
# The figure shows, for each place from 0 to 1, how many more of the truths lie below it than should; evenly
# spread ones keep inside the grey band. (ECDF, the empirical cumulative distribution function, is the share
# of the truths that lie below a place.) On the right, the truths of the weights crowd at both ends: the
# posterior is so narrow that the truth lies outside of all draws again and again. Such a curve has the shape
# of an **S**. An arch would mean values too high, a valley values too low. The thin lines are other
# quantities, such as `tau`. One of them is the log likelihood, which on the right arches out of the band:
# draws too close to the best fit make the data likelier than the truth does.
#
# The fit with the slip gave means, standard deviations and predictions without a warning. Nothing in its
# numbers would have told.
#
# **What SBC does not see.** Data were drawn from the same model that was fitted. So SBC tests the inference
# *given* the model. If the model itself is wrong about the world, SBC passes it with honours.
#
# ## 2. Does the model fit the data?
#
# Lesson 1 drew wines from naive Bayes which at a glance could be mistaken for real ones, and promised a
# closer look. Here it is. Naive Bayes says that the features of a wine are independent once its class is
# known. Take two of the thirteen: phenols, and flavanoids, which are phenols themselves.

# %%
wines = wine().standardized()
bayes = fit(GaussianNaiveBayes(classes=3, features=13), x=wines.x, y=wines.y)
print(bayes.model)
pair = [wines.features.index("total_phenols"), wines.features.index("flavanoids")]
drawn = ask(bayes, "p(x, y)").sample(len(wines), seed=0)
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.2), sharex=True, sharey=True)
    for ax, (rows, y), title in zip(
        axes,
        ((wines.x, wines.y), (drawn["x"], drawn["y"])),
        ("real wines", "drawn by naive Bayes"),
        strict=True,
    ):
        for k in range(3):
            own = rows[y == k][:, pair]
            mark = {"marker": "o^s"[k], "color": PALETTE[k], "label": f"class {k}"}
            ax.scatter(own[:, 0], own[:, 1], s=16, linewidths=0, **mark)
        ax.set(title=title, xlabel="phenols (standard deviations)")
    axes[0].set_ylabel("flavanoids (standard deviations)")
    axes[0].legend(loc="upper left")

# %% [markdown]
# Each real class is a slanted cloud, each drawn one an upright one. To say it with a number, choose a **test
# statistic**, a number computed from a data set: here the correlation of the two features *within* classes,
# each class's mean taken off first. Then draw whole data sets from the fitted model, as large as the real
# one, and compute the same number of each. If the real number lies far outside of the drawn ones, the model
# does not make data like these. This is a **posterior predictive check** (Rubin 1984; Gelman, Meng and Stern
# 1996).


# %%
def within(x, y):
    centred = x.copy()
    for k in np.unique(y):
        centred[y == k] -= x[y == k].mean(0)
    return np.corrcoef(centred[:, pair].T)[0, 1]


slanted = fit(LinearDiscriminantAnalysis(classes=3, features=13), x=wines.x, y=wines.y)
statistic = {"correlation within classes": within}
checks = {
    "naive Bayes": predictive_check(bayes, statistic, draws=200),
    "discriminant analysis": predictive_check(slanted, statistic, draws=200),
}
with style():
    figure, ax = plt.subplots(figsize=(6.4, 2.7))
    for (name, check), colour in zip(checks.items(), PALETTE[:2], strict=True):
        ax.hist(
            check.replicated[:, 0],
            bins=20,
            color=colour,
            alpha=0.85,
            label=f"200 data sets drawn by {name}",
        )
    ax.axvline(check.observed[0], color=PALETTE[3], label="the real wines")
    ax.set(
        xlabel="correlation of phenols and flavanoids within classes",
        ylabel="data sets",
        ylim=(0, 60),
    )
    ax.set_title("Naive Bayes never draws what is there")
    ax.legend(loc="upper center", fontsize=9)
for name, check in checks.items():
    say(f"{name}: {check.verdict()}")

# %% [check]
assert checks["naive Bayes"].misfit == ("correlation within classes",)
assert "the least of 200 draws" in checks["naive Bayes"].verdict()
assert checks["discriminant analysis"].misfit == ()
assert checks["naive Bayes"].observed[0] > 0.6
assert abs(np.median(checks["naive Bayes"].replicated)) < 0.1
assert checks["naive Bayes"].replicated.max() < 0.5
assert (
    checks["naive Bayes"].p_values[0] < 0.02 < checks["discriminant analysis"].p_values[0]
)

# %% [markdown]
# Naive Bayes is caught: its *tail probability*, small if hardly any drawn data set lies as far out as the
# real one, is as small as 200 draws can show. (It is called *adjusted*, for reasons that come below; of one
# statistic there is nothing to adjust.) Linear discriminant analysis gives its classes one full
# **covariance matrix**, which says of each two features how they vary together. It makes data with this
# correlation. What is to be done depends on what the model is for: lesson 1's naive Bayes named the
# cultivars well for all that. For *drawing* wines it will not do.
#
# Without a statistic of your own, the check looks at what suits the data: means, spreads, extremes,
# correlations, within classes too. The more one looks at, the more sticks out by chance; the *adjusted* tail
# probabilities allow for that.

# %%
everything = predictive_check(
    bayes, draws=200, names={"x": wines.features, "y": wines.classes}
)
say(everything.verdict())

# %% [check]
assert len(everything.names) > 100
assert any("within" in name for name in everything.misfit)
named = (ask(bayes, "p(y | x)", x=wines.x).mode == wines.y).double().mean()
assert named > 0.9  # "named the cultivars well for all that"

# %% [markdown]
# ## What goes wrong: a check that cannot fail
#
# Somebody checks the same naive Bayes by comparing means and standard deviations.

# %%
tame = predictive_check(bayes, ["mean", "sd"], draws=200, names={"x": wines.features})
say(tame.verdict())
p = np.sort(tame.p_values)
print(f"tail probabilities of {len(p)} statistics: {p[0]:.2f} to {p[-1]:.2f}")

# %% [check]
assert tame.misfit == ()
assert len(p) == 26
assert (
    p.min() > 0.2
)  # far from uniform: 26 uniform ones would all lie above 0.2 with probability 0.003

# %% [markdown]
# "No misfit", though we know better. The model has a parameter for the mean and one for the spread of every
# feature, *and these were fitted to the very rows they are compared with*. Of course they agree. A check
# means something only if it could have failed.
#
# **How to see it.** Look at the tail probabilities of all 26 statistics: if the model and the data were two
# draws of one thing, some would be near 0. None is. They crowd near 1, because the rows were used twice.
# (They count both tails; of one tail they would crowd at one half, as the verdict says.) Two ways out:
# choose a statistic that the model has *no* parameter for, as the correlation above; and fit one half of
# the rows to check the other, `predictive_check(…, split=True)`. And SBC in section 1 could not have failed
# for a wrong model. Of every check ask first what it *cannot* see.
#
# ## 3. Which model predicts better?
#
# How well a model fits the rows it learned from says little: a richer model fits better, whether or not it is
# truer. The number that counts is how well it predicts rows it has *not* seen. **Leave-one-out** asks that of
# each row in turn: forget the row, learn from all others, and take the log density of the row that was left
# out. The sum over rows is the *elpd*, the expected log predictive density, in **nats**, the unit of natural
# logarithms; higher is better.
#
# Take 20 points about a sine curve, and polynomials of degree 1 to 9. If you come from lesson 5, you know the
# scene: there the evidence chose the degree. Here rows that are left out do.

# %%
generator = torch.Generator().manual_seed(5)
t = torch.linspace(-1, 1, 20, dtype=torch.float64)
target = torch.sin(3 * t) + 0.3 * torch.randn(
    20, generator=generator, dtype=torch.float64
)


def powers(t, degree):
    return torch.stack([t**k for k in range(1, degree + 1)], 1)


degrees = list(range(1, 10))
curves = {d: fit(LinearRegression(features=d), x=powers(t, d), y=target) for d in degrees}
scores = {d: loo(curves[d]) for d in degrees}
fine = torch.linspace(-1, 1, 200, dtype=torch.float64)
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.1))
    axes[0].scatter(t, target, s=14, color=PALETTE[6])
    for d, colour, dash in (
        (1, PALETTE[1], "--"),
        (3, PALETTE[0], "-"),
        (9, PALETTE[3], ":"),
    ):
        mean = ask(curves[d], "p(y | x)", x=powers(fine, d)).mean
        axes[0].plot(fine, mean, dash, color=colour, label=f"degree {d}")
    axes[0].set(xlabel="x", ylabel="y", title="three polynomials")
    axes[0].legend(fontsize=9)
    axes[1].plot(
        degrees,
        [scores[d].fitted.sum() for d in degrees],
        "s--",
        color=PALETTE[6],
        label="rows it saw",
    )
    axes[1].plot(
        degrees,
        [scores[d].elpd for d in degrees],
        "o-",
        color=PALETTE[0],
        label="each row left out",
    )
    axes[1].set(
        xlabel="degree",
        ylabel="log density of the rows (nats)",
        title="seen, and left out",
    )
    axes[1].legend()

# %% [check]
seen = [float(scores[d].fitted.sum()) for d in degrees]
left = [float(scores[d].elpd) for d in degrees]
assert scores[3].how == "exact"
best = degrees[left.index(max(left))]
assert best in (3, 4, 5)
assert seen[8] > seen[2] > seen[0]  # a richer model fits better
assert all(a > b for a, b in zip(seen, left, strict=True))  # seen rows always look better
assert seen[8] - left[8] > seen[2] - left[2] + 1  # and the more so, the richer the model
assert left[8] < max(left) - 1
assert max(a - b for a, b in zip(seen, left, strict=True)) == seen[8] - left[8]
assert max(seen) - seen[2] < 2 < seen[2] - seen[0]  # from degree 3 on, little

# %% [markdown]
# On rows it saw, every model looks better than it is, and the richest one most. (From degree 3 on the fit
# gains little, for the prior keeps the weights small; degree 9 hardly wiggles.) Left out, the rows choose a
# degree in the middle. Here each of the 20 scores is exact, since the model is conjugate. Elsewhere
# refitting for each row would be dear. Then draws of the one posterior are weighed anew, so that they stand
# for the posterior without the row (Pareto-smoothed importance sampling, PSIS; Vehtari, Gelman and Gabry
# 2017), and rows for which that cannot be trusted are named.
#
# A difference of two models needs a standard error: rows are few, and another twenty might decide otherwise.
# Read the verdict, and of the table the columns of differences; the others are for experts.

# %%
polynomials = compare_models({f"degree {d}": scores[d] for d in (1, 3, 4, 9)})
polynomials

# %%
comparison = compare_models({"naive Bayes": bayes, "discriminant analysis": slanted})
comparison

# %% [check]
gap = dict(zip(polynomials.names, polynomials.differences.tolist(), strict=True))
error = dict(zip(polynomials.names, polynomials.standard_errors.tolist(), strict=True))
neighbour = polynomials.names[1]
assert -gap[neighbour] < 2 * error[neighbour]
assert {polynomials.best, neighbour} == {"degree 3", "degree 4"}
assert "not to be told from it" in polynomials.verdict()
assert comparison.best == "discriminant analysis"
assert float(comparison.differences[1]) < -2 * float(comparison.standard_errors[1])

# %% [markdown]
# Degree 3 and its neighbour cannot be told apart, and the verdict says so. Of the wines, discriminant
# analysis predicts the better, by more than twice the standard error: the correlations within classes, of
# which section 2 found one, are together worth that much.
#
# ## 4. Did this one fit arrive?
#
# Eight schools coached pupils for a test. Each reports an effect `y` in points and its standard error `sigma`
# (Rubin 1981). Schools differ, but not without bounds: each school's true effect `theta` is drawn about a
# common mean `mu` with a spread `tau`, and both are to be inferred. (A *half Cauchy*, the prior of the
# spread, is a broad distribution of positive numbers, with room for very large ones. `pyro.plate` says that
# what stands in it is drawn once for each school, independently given the rest.) Two ways to write it:

# %%
EFFECTS = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]).double()
ERRORS = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]).double()
ZERO = torch.tensor(0.0).double()  # what starts in double precision stays in it


class Centred(ProbabilisticModel):
    joint = "p(mu) p(tau) p(theta | mu, tau) p(y | theta, sigma)"

    def model(self, sigma):
        mu = pyro.sample("mu", dist.Normal(ZERO, 5.0))
        tau = pyro.sample("tau", dist.HalfCauchy(ZERO + 5.0))
        with pyro.plate("data", len(sigma)):
            theta = pyro.sample("theta", dist.Normal(mu, tau))
            return pyro.sample("y", dist.Normal(theta, sigma))


class NonCentred(ProbabilisticModel):
    joint = "p(mu) p(tau) p(eta) p(y | mu, tau, eta, sigma)"

    def model(self, sigma):
        mu = pyro.sample("mu", dist.Normal(ZERO, 5.0))
        tau = pyro.sample("tau", dist.HalfCauchy(ZERO + 5.0))
        with pyro.plate("data", len(sigma)):
            eta = pyro.sample("eta", dist.Normal(ZERO, 1.0))
            return pyro.sample("y", dist.Normal(mu + tau * eta, sigma))


# %% [markdown]
# They say the same about the schools: `theta` is `mu + tau * eta`. We fit both by variational inference: a
# *guide*, here independent Normals for all unknowns (positive ones by their logarithm), is moved until its
# ELBO, a lower bound on the log probability of the data (the log evidence), is as high as it gets. It always
# gets somewhere.

# %%
climb = SVI(steps=1500, learning_rate=0.03, guide="mean_field")
schools = {"centred": Centred(), "non-centred": NonCentred()}
posteriors = {
    name: fit(model, climb, sigma=ERRORS, y=EFFECTS) for name, model in schools.items()
}
found = {name: diagnose(posterior, draws=1000) for name, posterior in posteriors.items()}
for name, diagnosis in found.items():
    say(f"{name}: {diagnosis.verdict}")

# %% [markdown]
# The first is refused, with the reason and what to try. The second may be used; its sentence says how far its
# bound lies below the log evidence. Behind each sentence stands a table of all checks, each with its number
# and its limit (✓ passed, ! doubtful, ✗ failed, · told without a judgement):

# %%
found["centred"]

# %% [check]
k = {name: diagnosis.quality.k_hat for name, diagnosis in found.items()}
assert "funnel" in found["centred"].faults
assert k["centred"] > 0.7 > k["non-centred"]
assert "funnel" not in found["non-centred"].faults
assert found["non-centred"].verdict.startswith("use it")
assert found["centred"].verdict.startswith("do not use it")

# %% [markdown]
# How can it know? It draws from the guide $q$ and weighs each draw by $p / q$, joint over guide. Of a perfect
# guide all weights are the same. Of a poor one, a few draws carry all the weight; **k-hat** measures how
# heavy the tail of the weights is, and above 0.7 (a little less for few draws) averages cannot be trusted
# (Vehtari et al. 2024). And the reason can be seen. Here are a school's effect and the spread `tau`, as
# either guide draws them.

# %%
draws = {}
for name, diagnosis in found.items():
    drawn = {**diagnosis.quality.scored.latents, **diagnosis.quality.scored.local}
    theta = (
        drawn["theta"]
        if name == "centred"
        else drawn["mu"][:, None] + drawn["tau"][:, None] * drawn["eta"]
    )
    draws[name] = drawn["tau"].log()[:1000], theta[:1000, 0]
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.2), sharex=True, sharey=True)
    for ax, (name, (log_tau, theta)), colour in zip(
        axes, draws.items(), (PALETTE[3], PALETTE[0]), strict=True
    ):
        ax.scatter(log_tau, theta, s=5, color=colour, alpha=0.6, linewidths=0)
        ax.set(
            title=f"{name}: 1,000 draws", xlabel="log tau", xlim=(-2, 3.5), ylim=(-18, 25)
        )
    axes[0].set_ylabel("effect of the first school (points)")

# %% [check]
spreads = {"non-centred": [draws["non-centred"][1][inside].std() for inside in (
    draws["non-centred"][0] < 0.5, draws["non-centred"][0] > 1.5)]}  # fmt: skip
assert (
    spreads["non-centred"][1] > 1.3 * spreads["non-centred"][0]
)  # a funnel: narrow where tau is small
assert (
    draws["centred"][0].std() < draws["non-centred"][0].std()
)  # which the centred guide leaves out
assert draws["centred"][1].mean() < draws["non-centred"][1].mean() - 1  # "lies too low"

# %% [markdown]
# On the right is, nearly, the shape that the posterior has, a **funnel**: where `tau` is small, all schools
# are alike and their effects are pressed together; where it is large, they are free. Independent Normals of
# `tau` and `theta` cannot be narrow here and wide there, so on the left the guide settles for a compromise:
# a small round cloud, which leaves out small values of `tau` and large ones, and lies too low besides. In
# the second way of writing, `eta` and `tau` are independent before the data, and hardly dependent after:
# Normals suit them. Same schools, other coordinates.
#
# For a colleague, the diagnosis with its figures goes into one HTML file:

# %%
page = report(found["centred"], Path(tempfile.mkdtemp()) / "schools.html")
print(page.name, f"{page.stat().st_size / 1000:.0f} kB")

# %% [markdown]
# ## Before the fit: is the program what I meant?
#
# Most mistakes are made before any inference starts. Many raise no error; the fit converges, to something
# else. `lint` runs a model and its guide a few times, trains nothing, and names such mistakes, with the line
# and what to write instead. It takes bare Pyro programs. Here are seven that everybody has written once.

# %%
rows = torch.linspace(-1, 1, 20)
labels = (rows > 0).float()


def normal(name, scale=True):
    """A guide of one number; its sd is kept positive, unless somebody forgets to."""
    loc = pyro.param(f"{name}_loc", torch.tensor(0.1))
    positive = {"constraint": dist.constraints.positive} if scale else {}
    pyro.sample(
        name, dist.Normal(loc, pyro.param(f"{name}_scale", torch.tensor(0.5), **positive))
    )


def logistic(x, y):
    w = pyro.sample("w", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("y", dist.Bernoulli(logits=w * x), obs=y)


def no_plate(x):
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    pyro.sample("x", dist.Normal(mu * torch.ones(len(x)), 1.0), obs=x)


def minibatch(x, index):
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", len(index)):
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x[index])


def centre(x):
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x)


def noise(x):
    sd = pyro.sample("sd", dist.HalfNormal(1.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(0.0, sd), obs=x)


def no_noise(x):
    """The sd is a tensor of its own: the optimiser never hears of it."""
    loc = pyro.param("mu_loc", torch.tensor(0.1))
    pyro.sample("mu", dist.Normal(loc, torch.tensor(0.5, requires_grad=True)))


written = {
    "labels as a column, (20, 1)": (
        logistic,
        lambda x, y: normal("w"),
        rows,
        labels[:, None],
    ),
    "the rows stand in no plate": (no_plate, lambda x: normal("mu"), rows),
    "5 of 20 rows, counted as all": (
        minibatch,
        lambda x, index: normal("mu"),
        rows,
        torch.arange(5),
    ),
    "the guide names w otherwise": (
        logistic,
        lambda x, y: normal("weight"),
        rows,
        labels,
    ),
    "a guide's sd without a bound": (
        logistic,
        lambda x, y: normal("w", False),
        rows,
        labels,
    ),
    "a Normal guide for an sd": (noise, lambda x: normal("sd"), rows),
    "a tensor for a parameter": (centre, no_noise, rows),
    "none: the first one, mended": (logistic, lambda x, y: normal("w"), rows, labels),
}


def plain_pyro(model, guide, *data):
    """What one step of Pyro's own SVI says."""
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            pyro.infer.SVI(
                model, guide, pyro.optim.Adam({"lr": 0.01}), pyro.infer.Trace_ELBO()
            ).step(*data)
        except Exception as error:
            return type(error).__name__
    return "a warning" if said else "runs"


found_in = {mistake: lint(*program) for mistake, program in written.items()}
print(f"{'mistake':30}{'Pyro':12}lint")
for mistake, program in written.items():
    print(
        f"{mistake:30}{plain_pyro(*program):11}",
        ", ".join(found_in[mistake].codes) or "–",
    )
pyro.clear_param_store()

# %% [markdown]
# Pyro itself stops at some; its words are about shapes, and the reader must find the line. Others it runs,
# step after step. What `lint` says of the third in full:

# %%
finding = next(iter(found_in["5 of 20 rows, counted as all"]))
say(f"{finding.wrong}. Fix: {finding.fix}")

# %% [markdown]
# A mistake of another kind hides in many a published autoencoder: grey pixels, numbers *between* 0 and 1,
# scored by a Bernoulli, which knows 0 and 1 only. What it returns for them is no density, so the "bound"
# bounds nothing. `check_normalised` asks of each factor of a joint whether it sums or integrates to one.


# %%
def pixels(x):
    with pyro.plate("rows", len(x)):
        pyro.sample(
            "x",
            dist.Bernoulli(torch.full((4,), 0.3), validate_args=False).to_event(1),
            obs=x,
        )


grey, ink = torch.rand(5, 4, generator=torch.Generator().manual_seed(0)), torch.ones(5, 4)
print(check_normalised(pixels, grey))
print(check_normalised(pixels, ink))

# %% [check]
expected = ("broadcast", "missing-plate", "unscaled-minibatch", "missing-in-guide", "unbounded-parameter",
            "support", "unregistered-parameter")  # fmt: skip
for (mistake, findings), code in zip(found_in.items(), expected, strict=False):
    assert code in findings.codes, mistake
assert len(found_in) == 8
assert found_in["none: the first one, mended"].ok
says = {mistake: plain_pyro(*program) for mistake, program in written.items()}
assert says["none: the first one, mended"] == "runs"
for mistake in ("5 of 20 rows, counted as all", "a guide's sd without a bound"):
    assert says[mistake] == "runs"
assert says["labels as a column, (20, 1)"].endswith("Error")
pyro.clear_param_store()
assert not check_normalised(pixels, grey).ok
assert check_normalised(pixels, ink).ok

# %% [markdown]
# ## The mistakes that everyone makes
#
# | the mistake | what you would notice | who sees it |
# |---|---|---|
# | labels (n, 1) beside means (n,) | every row is scored against every other | `lint` |
# | a plate too large, an unscaled minibatch | nothing: too narrow, too wide | `diagnose`, `lint` |
# | an unknown has another name in the guide | a warning, at best | `lint` |
# | a scale without a constraint, a guide outside the support | NaN, some day | `lint` |
# | grey pixels under a Bernoulli | a bound that bounds nothing | `check_normalised` |
# | a slip in a formula; a variance for a standard deviation | nothing | SBC; `diagnose` |
# | too few steps | numbers that would still have moved | `diagnose` |
# | a mean-field guide of dependent unknowns | standard deviations too small | `diagnose`, k-hat |
# | a spread and its effects, centred | all schools alike, or all free | `diagnose`: funnel |
# | dependent features, counts that scatter too much | nothing: means are good | `predictive_check` |
# | choosing a model by its fit | the richest model wins | `loo`, `compare_models` |
# | a check of what was fitted | every check passes | you |
#
# Two lines of it in one breath: a fit stopped too early, and the slip of section 1 in a single fit. (After
# "Then" a verdict lists what else it found. Mend the first fault first: the others may go with it.)

# %%
ages = torch.linspace(2, 4, 40)[:, None]
grown = (
    1 + 2 * ages[:, 0] + 0.5 * torch.randn(40, generator=torch.Generator().manual_seed(0))
)
hurried = fit(LinearRegression(features=1), SVI(steps=100), x=ages, y=grown)
slipped = fit(Slip(**prior), x=ages, y=grown)
said = {
    "stopped early": diagnose(hurried, draws=500),
    "the slip": diagnose(slipped, draws=500),
}
for name, diagnosis in said.items():
    say(f"{name}: {diagnosis.verdict}")

# %% [check]
assert "too few steps" in said["stopped early"].faults
assert "wrong update" in said["the slip"].faults
assert all(diagnosis.verdict.startswith("do not use it") for diagnosis in said.values())


class Oversized(ProbabilisticModel):
    """Its plate claims ten times the rows that there are."""

    joint = "p(mu) p(y | mu, x)"

    def model(self, x):
        mu = pyro.sample("mu", dist.Normal(ZERO, 5.0))
        with pyro.plate("data", 10 * len(x), subsample_size=len(x)):
            return pyro.sample("y", dist.Normal(mu + 2 * x[:, 0], 0.5))


ten = fit(
    Oversized(), SVI(steps=1000, guide="mean_field"), x=ages.double(), y=grown.double()
)
assert "wrong plate size" in diagnose(ten, draws=200, more_steps=0).faults

# %% [markdown]
# The slip is seen in a single fit, too. Its posterior calls itself exact. By Bayes' rule the logarithm of the
# joint less that of the posterior is then one number, the log evidence, whatever the parameters. It is not.
#
# ## Exercises
#
# Try each before you open its solution.
#
# **1.** Counts that scatter more than a Poisson's: draw 100 counts whose rate is itself random, fit a
# Poisson, and find a test statistic that catches it. (A Poisson's variance equals its mean.)
#
# <details><summary>Solution</summary>
#
# ```python
# from ppl_gen.models import PoissonMixture
#
# pyro.set_rng_seed(0)
# counts = dist.Poisson(dist.Gamma(2.0, 0.4).sample((100,))).sample()[:, None]
# single = fit(PoissonMixture(components=1, features=1), x=counts, z=torch.zeros(100))
# scatter = {"variance / mean": lambda x: x.var() / x.mean()}
# ratio = predictive_check(single, scatter, draws=200)
# print(ratio.verdict())
# assert ratio.misfit
# ```
#
# The mean would have found nothing: the rate was fitted to it.
#
# </details>
#
# **2.** Which fault would SBC find if `updated` returned the prior unchanged, whatever the data? Think of the
# ranks of the parameters first, then try.
#
# <details><summary>Solution</summary>
#
# The truth *is* a draw of the prior, so its ranks among draws of the prior are uniform: nothing is wrong with
# the parameters. Only the log likelihood of the data tells that these draws have not looked at them (Modrák
# et al. 2023).
#
# ```python
# class Deaf(LinearRegression):
#     def updated(self, x, y):
#         return self
#
# deaf = simulation_based_calibration(Deaf(**prior), simulations=100, x=x, seed=2)
# faulty = [name for name, f in deaf.findings.items() if f.faults]
# print(faulty, deaf.verdict())
# assert faulty == ["log likelihood"]
# ```
#
# </details>
#
# **3.** Check naive Bayes on wines that it did not see: `split=True`. Are the tail probabilities of means and
# standard deviations still crowded near 1?
#
# <details><summary>Solution</summary>
#
# No: on fresh rows a mean may well be off, by chance, and small tail probabilities come as often as they
# should.
#
# ```python
# fresh = predictive_check(bayes, ["mean", "sd"], draws=200, split=True)
# print(np.sort(fresh.p_values).round(2))
# assert fresh.p_values.min() < tame.p_values.min()
# ```
#
# </details>
#
# **4.** The mean-field guide of a line: `ages` lie between 2 and 4, so that intercept and slope hang
# together. Fit it by `SVI(guide="mean_field")`, and let `diagnose` tell what is wrong with it. Then subtract
# 3 from the ages.
#
# <details><summary>Solution</summary>
#
# ```python
# climb = SVI(steps=2000, learning_rate=0.05, guide="mean_field")
# line = LinearRegression(features=1)
# fits = [fit(line, climb, x=each, y=grown) for each in (ages, ages - 3)]
# said = [diagnose(each, draws=500) for each in fits]
# for each in said:
#     print(each.verdict)
# assert "correlations ignored" in said[0].faults
# assert "correlations ignored" not in said[1].faults
# assert said[0].quality.k_hat > said[1].quality.k_hat
# ```
#
# </details>
#
# ## Further reading
#
# * S. Talts, M. Betancourt, D. Simpson, A. Vehtari and A. Gelman, "Validating Bayesian Inference Algorithms
#   with Simulation-Based Calibration" (2018), arXiv:1804.06788; M. Modrák et al., "Simulation-Based
#   Calibration Checking for Bayesian Computation", *Bayesian Analysis* (2023): what to rank besides
#   parameters.
# * A. Gelman, X.-L. Meng and H. Stern, "Posterior Predictive Assessment of Model Fitness via Realized
#   Discrepancies", *Statistica Sinica* 6 (1996); D. B. Rubin, "Bayesianly Justifiable and Relevant Frequency
#   Calculations for the Applied Statistician", *Annals of Statistics* 12 (1984).
# * A. Vehtari, A. Gelman and J. Gabry, "Practical Bayesian model evaluation using leave-one-out
#   cross-validation and WAIC", *Statistics and Computing* 27 (2017).
# * A. Vehtari, D. Simpson, A. Gelman, Y. Yao and J. Gabry, "Pareto Smoothed Importance Sampling", *Journal of
#   Machine Learning Research* 25 (2024): k-hat.
# * A. Gelman et al., "Bayesian Workflow" (2020), arXiv:2011.01808: all of it in order.
#
# The data: M. Forina et al., *PARVUS* (1988), https://doi.org/10.24432/C5PC7J; D. B. Rubin, "Estimation in
# Parallel Randomized Experiments", *Journal of Educational Statistics* 6 (1981).

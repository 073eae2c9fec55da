# %% [markdown]
# # 6 · Mixtures
#
# Naive Bayes learns from rows whose class is known. Often nobody knows it: customers come without a type,
# stars without a kind. Hide the labels, keep the model, and it becomes a **mixture**. It finds groups by
# itself, and says how sure it is of them.
#
# **You will learn** to fit a mixture by expectation-maximisation, which you will write in ten lines; what
# variational Bayes, stochastic variational inference and sampling add to it; why the groups have no names;
# and how to choose how many there are.
#
# **You need** Python, Bayes' rule, the Normal distribution and its density. What is needed of naive Bayes is
# said again.
#
# **It takes** about 45 minutes; the code runs in about a minute, on data that need no download.

# %% [install]
import importlib.util

# Where ppl-gen is missing, as on Colab. This needs a released version; before the first,
# install it from a copy of its source: `pip install .` there.
if importlib.util.find_spec("ppl_gen") is None:
    get_ipython().run_line_magic("pip", "install --quiet ppl-gen")  # noqa: F821

# %%
import math
import warnings

import matplotlib.pyplot as plt
import torch
from torch.distributions import Normal

from ppl_gen import (
    EM,
    NUTS,
    SVI,
    VariationalBayes,
    ask,
    assignments,
    fit,
    imputed,
    relabelled,
    together,
)
from ppl_gen.data import wine
from ppl_gen.diagnostics import choose_k, ladder
from ppl_gen.models import GaussianMixture, GaussianNaiveBayes
from ppl_gen.plot import clusters, style
from ppl_gen.plot.style import PALETTE

# %% [markdown]
# ## Hide the labels
#
# 178 Italian wines of three cultivars (kinds of vine). Of their chemistry we keep two numbers, alcohol and
# flavanoids, each shifted and scaled to mean 0 and standard deviation 1. On the left with their labels; on
# the right is all that we shall use.

# %%
data = wine().standardized()
x, y = data.x[:, [0, 6]], data.y
NAMES = ["alcohol (sd)", "flavanoids (sd)"]

with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.4), sharex=True, sharey=True)
    for k in range(3):
        axes[0].scatter(
            *x[y == k].T, s=14, color=PALETTE[k], marker="os^"[k], label=f"cultivar {k}"
        )
    axes[1].scatter(*x.T, s=14, color=PALETTE[6])
    axes[0].set(xlabel=NAMES[0], ylabel=NAMES[1], title="with labels")
    axes[1].set(xlabel=NAMES[0], title="without")
    axes[0].legend(fontsize=9)

# %% [check]
assert (len(x), len(data.classes)) == (178, 3)
assert [data.features[i] for i in (0, 6)] == ["alcohol", "flavanoids"]

# %% [markdown]
# In this library a model *is* its joint distribution, written in one line. Here are naive Bayes and the
# mixture:

# %%
labelled = GaussianNaiveBayes(classes=3, features=2)
mixture = GaussianMixture(components=3, features=2)
print(labelled)
print(mixture)

# %% [markdown]
# Read each from left to right: draw the shares `pi` of the groups; for each group and feature a precision
# `tau` (one over the variance) and a mean `mu`; for each wine its group; and, given that, its measurements
# `x` from Normal distributions, each independent of the other.
#
# (The parameters are drawn, too: their factors are the **prior**, how credible each of their values is before
# any wine is seen.)
#
# The two lines differ in one letter. What naive Bayes calls the class `y` of a wine, the mixture calls its
# **component** `z`. The letter stands for a promise: `y` will be told, `z` never. As a graph (the
# grey line under the joint, the *guide*, is a form of posterior, to which we come below):

# %%
mixture

# %% [check]
assert str(labelled) == "p(pi) p(tau) p(mu | tau) p(y | pi) p(x | y, mu, tau)"
assert str(mixture) == str(labelled).replace("y", "z")

# %% [markdown]
# So the density of a wine is a weighted sum of bumps, one for each of the $K$ components, which gave mixtures
# their name:
# $$p(x) = \sum_{k=1}^{K} \pi_k \prod_j \mathcal{N}(x_j \mid \mu_{kj}, \tau_{kj}^{-1}).$$
# Here $\pi_k$ is the share of component $k$, and $\mathcal{N}(x_j \mid \mu_{kj}, \tau_{kj}^{-1})$ the Normal
# density of feature $j$, with that component's mean and variance.
#
# ## Expectation-maximisation
#
# A hen and an egg. If we knew each wine's component, the parameters would be easy: count, average, and take
# variances, component by component. If we knew the parameters, the components would be easy: Bayes' rule. We
# know neither. **Expectation-maximisation** (EM) starts with any parameters and takes turns:
#
# * **E step**: by Bayes' rule, the probability $r_{ik}$ that wine $i$ belongs to component $k$,
#   $$r_{ik} = \frac{\pi_k\, p(x_i \mid z = k)}{\sum_{k'} \pi_{k'}\, p(x_i \mid z = k')}.$$
# * **M step**: count, average and take variances, where wine $i$ counts $r_{ik}$ times for component $k$.
#
# That is all of it. Sums of logarithms keep tiny densities from becoming 0.


# %%
def e_step(pi, tau, mu):
    """Probabilities of each wine's components, and the log likelihood of all wines."""
    log_likelihood = Normal(mu, 1 / tau.sqrt()).log_prob(x[:, None]).sum(2)
    log_joint = pi.log() + log_likelihood  # (wines, components)
    return log_joint.softmax(1), log_joint.logsumexp(1).sum()


def m_step(r):
    """The parameters, if wine i counts r[i, k] times for component k."""
    rows = r.sum(0)
    mu = r.T @ x / rows[:, None]
    variance = r.T @ x**2 / rows[:, None] - mu**2
    return rows / len(x), 1 / variance, mu


middle = torch.tensor([[-0.5, 0.0], [0.0, 0.0], [0.5, 0.0]], dtype=torch.float64)
parameters = [(torch.ones_like(middle[:, 0]) / 3, torch.ones_like(middle), middle)]
log_likelihood = []
for _ in range(60):
    r, height = e_step(*parameters[-1])
    parameters.append(m_step(r))
    log_likelihood.append(float(height))


def after(steps, ax=None):
    """The wines, and the components after so many steps."""
    pi, tau, mu = parameters[steps]
    with style():
        ax = clusters(
            x,
            e_step(pi, tau, mu)[0],
            means=mu,
            covariances=1 / tau,
            names="ABC",
            columns=NAMES,
            ax=ax,
        )
        height = f"{log_likelihood[steps]:,.1f}".replace("-", "−")
        ax.set_title(f"after {steps} steps: {height} nats")


with style():
    figure, axes = plt.subplots(2, 2, figsize=(7.4, 6.2), sharex=True, sharey=True)
    for steps, ax in zip((0, 8, 20, 50), axes.flat, strict=True):
        after(steps, ax)
        ax.label_outer()

# %% [markdown]
# Each point has the colour and shape of its most probable component, paler where that is in doubt; an ellipse
# holds what lies within two standard deviations of a component's mean. Three components that start all but on
# top of one another push each other apart. The titles tell the **log likelihood**, $\sum_i \log p(x_i)$, in
# nats (natural logarithms): it rises. That is a theorem: no step of EM ever lowers it (Dempster, Laird and
# Rubin, 1977).
#
# If you run this notebook, move the slider.

# %%
if importlib.util.find_spec("ipywidgets"):
    from ipywidgets import interact

    _ = interact(lambda steps: after(steps), steps=(0, 58))

# %% [check]
gains = torch.tensor(log_likelihood).diff()
assert gains.min() > -1e-9
assert log_likelihood[50] - log_likelihood[0] > 50
assert (
    e_step(*parameters[0])[0].max(1).values.median() < 0.7
)  # "all but on top of one another"
named = dict(zip(("pi", "tau", "mu"), parameters[0], strict=True))
same = fit(mixture, EM(start=named, smoothing=0.0, tolerance=0.0, steps=60), x=x)
assert torch.allclose(
    same.elbo, torch.tensor(log_likelihood[: len(same.elbo)], dtype=torch.float64)
)

# %% [markdown]
# The library's EM is this one (from the same start it climbs the same heights), for every mixture it has, and
# with care for what can go wrong. One thing is that the climb ends on *a* hill, not always on the highest. So
# it starts several times, from wines far apart, and keeps the best:

# %%
found = fit(mixture, EM(), x=x)
print(found.note)
climbs = [fit(mixture, EM(restarts=1, seed=seed), x=x).elbo for seed in range(8)]
with style():
    figure, ax = plt.subplots(figsize=(5.4, 3.0))
    best = max(climb[-1] for climb in climbs)
    for climb in climbs:
        ax.plot(
            climb[:60],
            color=PALETTE[0] if climb[-1] > best - 1 else PALETTE[3],
            alpha=0.6,
        )
    ax.plot(log_likelihood, "--", color=PALETTE[6])
    for words, place in (
        ("ours", (21, log_likelihood[21])),
        ("a lower hill", (44, min(climb[-1] for climb in climbs))),
    ):
        ax.annotate(words, place, xytext=(4, -12), textcoords="offset points")
    ax.set(
        xlabel="step",
        ylabel="log likelihood (nats)",
        title="Climbs of EM from several starts",
    )

# %% [check]
ends = torch.stack([climb[-1] for climb in climbs])
assert abs(found.elbo[-1] - log_likelihood[-1]) < 0.1  # ours found the same hill
assert (ends > best - 1).sum() >= 5  # most
assert ends.min() < best - 10  # one ends lower
assert "; 10 starts came to" in found.note

# %% [markdown]
# Most of these eight climbs, and ours, reach the same height. Not all do: the red one ends on a lower hill
# and stays there for good. (The note printed above the figure is of the fit that we keep. Its ten starts
# climb a few steps each; it tells the lowest and the highest of what they came to. The highest climbed on.)
#
# ## Questions to a mixture
#
# The fitted mixture answers what naive Bayes would. To which component does a wine belong? `p(z | x)`. Nobody
# told it of cultivars, so we compare only now:

# %%
component = ask(found, "p(z | x)", x=x).mode
counts = torch.stack([torch.bincount(y[component == k], minlength=3) for k in range(3)])
print("wines of cultivar     0    1    2")
for k in range(3):
    print(f"in component {k}  ", *(f"{int(n):4}" for n in counts[k]))
matched = int(counts.amax(1).sum())
told = fit(labelled, x=x, y=y)
right = int((ask(told, "p(y | x)", x=x).mode == y).sum())
print(
    f"{matched} of 178 lie in their component;",
    f"naive Bayes, told all labels, has {right} right",
)

# %% [check]
assert (
    len(set(counts.argmax(1).tolist())) == 3
)  # each cultivar has a component of its own
assert 0.8 < matched / 178 < 0.95
assert matched <= right < matched + 20

# %% [markdown]
# Each cultivar got a component, and more than four wines in five lie in the right one. Without a single
# label, the mixture comes close to naive Bayes, which saw them all. The components' *numbers* mean nothing:
# which is called 0 depends on the start. We shall come back to that.
#
# What if a number is missing? Somebody forgot to measure the flavanoids of a wine with somewhat more alcohol
# than most, 0.6 standard deviations above the mean. `imputed` fills cells in, by their mean given the rest of
# the row or by draws:

# %%
gap = torch.tensor([[0.6, float("nan")]], dtype=torch.float64)
mean = imputed(found, x=gap)[0, 1]
drawn = imputed(found, x=gap, draws=2000)[:, 0, 1]
with style():
    figure, ax = plt.subplots(figsize=(5.4, 2.6))
    ax.hist(drawn, bins=40, density=True, color=PALETTE[0])
    ax.axvline(mean, color=PALETTE[3])
    ax.annotate(
        "the mean",
        (mean, 0.62),
        xytext=(-4, 0),
        textcoords="offset points",
        ha="right",
        color=PALETTE[3],
    )
    ax.set(
        xlabel=NAMES[1],
        ylabel="density",
        title="p(flavanoids | alcohol): two answers, not one",
    )

# %% [check]
line = torch.stack([torch.full((301,), 0.6), torch.linspace(-3, 3, 301)], 1).double()
density = ask(found, "p(x)").log_prob(x=line).exp()
there = int((line[:, 1] - mean).abs().argmin())
assert density[:there].max() > 3 * density[there]  # a peak on either side
assert density[there:].max() > 3 * density[there]
assert abs(drawn.mean() - mean) < 5 * drawn.std() / 2000**0.5

# %% [markdown]
# Such a wine has few flavanoids or many. Their mean lies between, where there are few wines: a good
# bet for the squared error, a bad example of a wine. Draws keep both answers.
#
# ## What goes wrong: a component of one wine
#
# EM climbs the likelihood. Has that a highest point? Let two components describe the wines as well as two
# can. Put the mean of the third exactly on one wine, say the one with most flavanoids, and make it narrower
# and narrower.

# %%
two = fit(GaussianMixture(components=2, features=2), EM(), x=x).point
lone = x[x[:, 1].argmax()]
pi = torch.cat([two["pi"] * 177 / 178, torch.tensor([1 / 178], dtype=torch.float64)])
mu = torch.cat([two["mu"], lone[None]])


def with_needle(width):
    return (
        pi,
        torch.cat([two["tau"], torch.full((1, 2), width**-2, dtype=torch.float64)]),
        mu,
    )


widths = [10 ** (-i / 2) for i in range(25)]
heights = [float(e_step(*with_needle(width))[1]) for width in widths]
with style():
    figure, ax = plt.subplots(figsize=(5.4, 2.8))
    ax.semilogx(
        widths,
        heights,
        color=PALETTE[3],
        label="two groups, and one component on one wine",
    )
    ax.axhline(
        log_likelihood[-1],
        color=PALETTE[0],
        linestyle="--",
        label="the three groups found above",
    )
    ax.invert_xaxis()
    ax.set(
        xlabel="standard deviation of the lone component",
        ylabel="log likelihood (nats)",
        title="The likelihood has no maximum",
    )
    ax.legend(fontsize=9)

# %% [check]
slope = (heights[-1] - heights[-5]) / math.log(widths[-5] / widths[-1])
assert abs(slope - 2) < 1e-3
assert heights[0] < log_likelihood[-1] - 20
assert heights[-1] > log_likelihood[-1] + 10

# %% [markdown]
# It climbs without end: ten times narrower is $2 \log 10$ higher, about 4.6 nats (a factor of 10 in the
# density of each of the two features). In time it overtakes the three groups, and it gains all that on one
# wine, which it describes as if by a needle. "The parameters of maximum likelihood" of a mixture of Normals
# do not exist; what EM finds is a good *local* maximum, if all goes well.
#
# **How to see it**: a component with about one row, and an enormous precision. The library looks for it. We
# start EM with a needle, and read what it warns of:

# %%
needle = dict(zip(("pi", "tau", "mu"), with_needle(1e-3), strict=True))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    stuck = fit(mixture, EM(start=needle), x=x)
    cured = fit(mixture, EM(start=needle, prior=True), x=x)
for warning in caught:
    print(warning.message)
for name, point in (("likelihood", stuck.point), ("with the prior", cured.point)):
    print(
        f"{name:15} share {point['pi'][2]:.3f},",
        f"sd of alcohol {point['tau'][2, 0] ** -0.5:.5f}",
    )

# %% [check]
assert len(caught) == 1  # of the first alone
assert "z = 2 has shrunk to a point" in str(caught[0].message)
assert abs(stuck.point["pi"][2] - 1 / 178) < 2e-3
assert stuck.point["tau"][2].min() > 1e8
assert cured.point["tau"][2].max() < 1e4
assert abs(cured.point["pi"][2] - 1 / 178) < 2e-3  # "keeps its one wine"
torch.testing.assert_close(
    stuck.point["tau"][2], torch.full((2,), 1e9).double(), rtol=0.01, atol=0
)

# %% [markdown]
# What stopped the first at such a width is its *smoothing*: to every variance the library's EM adds a
# billionth of the variance of all wines. The second fit is the cure: `EM(prior=True)` climbs the density of
# the parameters *given* the wines, in which the prior $p(\tau)$ makes such precisions improbable. From this
# start the component keeps its one wine, but gains nothing more by being narrow. A prior is not decoration
# here.
#
# ## From a point to a posterior
#
# EM gives one value of each parameter, and no idea how far it may be off. The rest of this lesson's methods
# look for the **posterior**, the distribution of all hidden variables given the wines. Written with $\theta$
# for all parameters:
#
# * **Variational Bayes** keeps EM's two steps, but updates a distribution $q$ in the place of a point, which
#   is called the **guide**. Its guide makes the components' labels and the parameters independent of one
#   another, which they are not.
# * **Stochastic variational inference** (SVI) climbs by gradients: small steps in the direction in which what
#   it maximises rises fastest. The labels, being discrete, have no such direction: they are summed out of the
#   density first, exactly as in $p(x)$ above. In SVI's guide the parameters are independent of each other.
# * **NUTS**, the No-U-Turn sampler, walks through the parameters, each draw a random step away from the last
#   (a *Markov chain*), so that it visits each region as often as it is probable. Slow, and exact in the long
#   run. It too has the labels summed out.
#
# (Several walks of NUTS are several *chains*.) The first two methods choose $q$ to maximise the **ELBO**, the
# *evidence lower bound*. The evidence $p(x)$ is the density of all the wines with *everything* hidden,
# parameters too, summed or integrated out; whatever the distribution $q$ of all that is hidden, $h$,
# $$\text{ELBO} = \mathbb{E}_{q}\left[\log p(x, h) - \log q(h)\right] \le \log p(x),$$
# where $\mathbb{E}_q$ is the mean over draws of $h$ from $q$. The gap is nil only where $q$ is the posterior
# itself.
#
# For nine wines, one feature and two components everything can be known: there are only $2^9 = 512$ ways to
# label the nine, and for each of them naive Bayes has an exact posterior and evidence. Add them up. `ladder`
# does it, and runs the other methods beside it:

# %%
nine = data.x[::20, 6:7]
small = GaussianMixture(
    components=2, features=1, concentration=2.0, strength=0.2, shape=3.0, rate=1.0
)
rungs = ladder(
    small,
    rungs={
        "EM": EM(prior=True, restarts=2),
        "enumeration": None,
        "variational Bayes": VariationalBayes(restarts=2),
        "SVI, own guide": SVI(steps=1000, progress=False),
        "NUTS": NUTS(draws=200, warmup=100, chains=2, relabel=False, progress=False),
    },
    draws=150,
    x=nine,
)
print(
    rungs.table()
    .drop(columns=["s.e.", "k-hat"])
    .rename(
        columns=lambda name: name.replace("error of ", "").replace("fraction", "share")
    )
    .to_string(float_format="{:.2f}".format, na_rep="–")
)

# %% [markdown]
# (The arguments of `GaussianMixture` are of the prior; for so few rows we took one that expects groups of
# ordinary width.) The log evidence is `enumeration`'s bound, and exact. `means` and `sds` are errors: of the
# posterior means, in posterior standard deviations, and of these standard deviations, as a share of them.
# Drawn:

# %%
_ = rungs.figure()

# %% [check]
table = rungs.table()
assert len(nine) == 9
gaps = table["gap (nats)"]
for name in ("variational Bayes", "SVI, own guide"):
    assert 0.4 < gaps[name] < 2  # below the evidence, by about a nat
    sds, true = rungs[name].sds, rungs["enumeration"].sds
    assert sds["mu"].mean() < 0.9 * true["mu"].mean()  # too narrow
assert table["error of sds (fraction)"]["EM"] == 1
assert table["error of means (sd)"]["NUTS"] < 0.3
assert table["error of sds (fraction)"]["NUTS"] < 0.25
others = [rungs[name].seconds for name in ("EM", "variational Bayes", "SVI, own guide")]
assert rungs["NUTS"].seconds > 2 * max(others)  # "by far the longest"

# %% [markdown]
# Both bounds lie about a nat below the log evidence, and both posteriors are too narrow. EM, a point, has no
# width at all. NUTS is nearly right, and takes by far the longest. (More rows bring the means right, but not
# the widths: where components overlap, variational Bayes stays too narrow, Wang and Titterington 2005.)
#
# But something is odd. Up to $\log 2 = 0.69$ nats of both gaps have nothing to do with the shape of $q$.
#
# ## What goes wrong: components change their names
#
# Swap the names of the two components, with their shares, means and precisions. Every number that the joint
# computes stays as it was. So for each value of the parameters there is a twin, exactly as probable, and
# the posterior is symmetric. Ask the exact one for the probability that each of the nine wines is in
# component 0:

# %%
# All 512 ways to label the nine, with their probabilities:
exact = assignments(small, x=nine)
print((exact.log_probs.exp() @ (exact.labels == 0).double()).round(decimals=6).tolist())

# %% [markdown]
# One half for every wine, whatever the data! It is right and useless. Variational Bayes and SVI settle for
# one of the two names, hence the $\log 2$: they cover at best half of the posterior. NUTS walks through all
# of it. Here are the draws of both means, as the sampler made them: those of its first chain, and right of
# the thin line those of its second:

# %%
chains = rungs["NUTS"].posterior
renamed = relabelled(chains)
exactly = exact.together()
order = nine[:, 0].argsort()
with style():
    figure, axes = plt.subplots(
        1, 3, figsize=(7.4, 2.9), width_ratios=[1.25, 1.25, 1], layout="constrained"
    )
    first = chains.guide.values["mu"].shape[1]  # draws of the first chain
    for ax, posterior, title in zip(
        axes, (chains, renamed), ("as drawn", "renamed alike"), strict=False
    ):
        means = posterior.guide.values["mu"].flatten(0, 1)[..., 0]
        for k in range(2):
            ax.plot(
                means[:, k],
                "ox"[k],
                markersize=2.5,
                color=PALETTE[k],
                label=f"component {k}",
            )
        ax.axvline(first, color="0.5", linewidth=0.8)
        ax.set(xlabel="draw, chain after chain", title=title, ylim=(-4, 4))
    axes[0].set_ylabel("mean of flavanoids (sd)")
    axes[1].legend(fontsize=8, markerscale=3, loc="upper right")
    axes[1].set_yticklabels([])
    shares = together(chains)[order][:, order].numpy()
    picture = axes[2].imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes[2].set(xticks=[], yticks=[], xlabel="nine wines", title="p(together)")
    axes[2].grid(False)
    figure.colorbar(picture, ax=axes[2], shrink=0.7)
print(
    "averages as drawn: ",
    chains.guide.values["mu"].mean((0, 1))[:, 0].round(decimals=2).tolist(),
)
print(
    "averages as renamed:",
    renamed.guide.values["mu"].mean((0, 1))[:, 0].round(decimals=2).tolist(),
)
print(renamed.note)

# %% [check]
assert len(exact.labels) == 512
assert abs(rungs.log_evidence - exact.log_evidence) < 1e-6
torch.testing.assert_close(
    exact.log_probs.exp() @ (exact.labels == 0).double(), torch.full((9,), 0.5).double()
)
drawn_as = chains.guide.values["mu"].mean((0, 1))[:, 0]
apart = renamed.guide.values["mu"].mean((0, 1))[:, 0]
assert (drawn_as - nine.mean()).abs().max() < 0.6  # both near the middle
assert apart.max() - apart.min() > 1.2
assert "labels had switched in" in renamed.note
assert NUTS().relabel  # "by itself"
assert chains.guide.values["mu"].shape[:2] == (2, 200)
assert (together(chains) - exactly).abs().max() < 0.1
torch.testing.assert_close(together(chains), together(renamed))

# %% [markdown]
# On the left, a component is now the wines with few flavanoids, now those with many: **label switching**. Its
# average over the draws describes neither group. **How to see it**: ragged draws, averages of all components
# that are nearly the same, chains that disagree.
#
# Two cures. `relabelled` gives the components of each draw the names under which they agree best with one
# draw (middle); `NUTS()` does it by itself, unless you tell it `relabel=False` as we did. Or ask only what
# does not depend on names, such as the probability that two wines are in the same component, whichever
# (right, wines sorted by flavanoids). `together` answers that alike before and after renaming, and within 0.1
# of the exact answer.
#
# Do not cure it by a longer run: the longer the chain, the closer all averages come to the same number.
#
# ## How many components?
#
# The likelihood is no judge: more components fit better, always.

# %%
best_of = {
    k: fit(
        GaussianMixture(components=k, features=2), EM(restarts=5, tolerance=1e-6), x=x
    ).elbo[-1]
    for k in range(1, 6)
}
print({k: round(float(height), 1) for k, height in best_of.items()})

# %% [markdown]
# Two judges are better, and `choose_k` asks both. The **log evidence** charges for what is left open: a model
# whose parameters could have described many other data sets spreads its density over them, and has less left
# for these. (Here it is variational Bayes' bound, plus $\log K!$ for the orders of the names.) **Held-out**
# rows ask how well wines are predicted that the fit did not see, in five parts, each held out in turn. In the
# figure the best $K$ of each judge stands at 0, the others below, by as many nats as they are worse: near 0
# on a linear scale, from one nat on a logarithmic one, so that close calls and hopeless ones can both be
# read. The bars are a standard error of the difference, the scatter that so few wines leave in it.

# %%
choice = choose_k(
    lambda k: GaussianMixture(components=k, features=2),
    range(1, 6),
    VariationalBayes(restarts=2, tolerance=1e-5),
    criteria=["log evidence", "held out"],
    x=x,
    progress=False,
)
print(choice.verdict())
_ = choice.figure()

# %% [check]
rising = list(best_of.values())
assert rising == sorted(rising)
assert choice.chosen == {"log evidence": 3, "held out": 3}
evidence = choice["log evidence"].below
assert evidence[0] < -20
assert -5 < evidence[3] < 0  # four is close behind
assert "log 3!" in choice.verdict()

# %% [markdown]
# Both choose three, the number of cultivars. By the evidence, though, four is close behind: a group need not
# be a Normal bump, and a mixture may spend two components on one crooked group. "How many bumps describe
# these rows well" is a question for data. "How many kinds of wine are there" is one for a botanist.
#
# ## Exercises
#
# Try each before you open its solution.
#
# **1.** Start our own EM with three *equal* components, at the mean of all wines. What happens, and why?
#
# <details><summary>Solution</summary>
#
# Nothing: every wine belongs to each component with probability 1/3, so all of them are updated alike, and
# stay equal. The gradient is nil there too. Starts must break the symmetry.
#
# ```python
# equal = (torch.ones(3).double() / 3, torch.ones(3, 2).double(), x.mean(0).repeat(3, 1))
# for _ in range(50):
#     r, height = e_step(*equal)
#     equal = m_step(r)
# print(r[:3], height)
# assert torch.allclose(r, torch.full_like(r, 1 / 3))
# assert height < log_likelihood[-1] - 50
# ```
#
# </details>
#
# **2.** Somebody tastes five wines of each cultivar and tells you their labels. Pass them as `z`, with NaN
# for all others. What does that do to the names? How many wines lie in their component now?
#
# <details><summary>Solution</summary>
#
# Component $k$ is now cultivar $k$: known labels name the components. A few labels, many rows: this is
# *semi-supervised* learning, and the library's EM, variational Bayes and SVI all do it.
#
# ```python
# few = torch.full((178,), float("nan"))
# for k in range(3):
#     few[(y == k).nonzero()[:5, 0]] = float(k)
# half_told = fit(mixture, EM(), x=x, z=few)
# right_now = int((ask(half_told, "p(z | x)", x=x).mode == y).sum())
# print(f"{right_now} of 178")
# assert right_now > 0.8 * 178
# ```
#
# </details>
#
# **3.** Replace the E step's probabilities by a hard choice, 1 for the most probable component and 0 for the
# others, with all precisions and shares equal. Which famous algorithm is it?
#
# <details><summary>Solution</summary>
#
# With equal shares and precisions the most probable component is the one whose mean is nearest, and the M
# step averages the wines of each: **k-means**. It is EM that is never in doubt, and that takes all groups to
# be round and of one size.
#
# ```python
# from sklearn.cluster import KMeans
#
# centres = x[[0, 80, 150]]
# for _ in range(50):
#     nearest = torch.cdist(x, centres).argmin(1)
#     centres = torch.stack([x[nearest == k].mean(0) for k in range(3)])
# theirs = KMeans(3, init=x[[0, 80, 150]].numpy(), n_init=1).fit(x.numpy())
# print(centres)
# assert torch.allclose(centres, torch.tensor(theirs.cluster_centers_), atol=1e-6)
# ```
#
# </details>
#
# **4.** Give variational Bayes six components, and the prior `concentration=0.01`, which says that most
# shares are nearly 0. How many components have more than one wine? Try EM with six.
#
# <details><summary>Solution</summary>
#
# Variational Bayes empties what it does not need: an empty component costs nothing, one that describes few
# wines may cost more evidence than it gains. EM, which pays for nothing, uses all six. (The posterior's
# `concentration` is the prior's, plus the number of wines in each component.)
#
# ```python
# sparse = GaussianMixture(components=6, features=2, concentration=0.01)
# lean = fit(sparse, VariationalBayes(), x=x).model.concentration
# greedy = fit(sparse, EM(), x=x).point["pi"] * 178
# print(lean.round(decimals=1).tolist(), greedy.round(decimals=1).tolist())
# assert (lean > 1).sum() < 6
# assert (greedy > 1).sum() == 6
# ```
#
# </details>
#
# ## Further reading
#
# * A. P. Dempster, N. M. Laird and D. B. Rubin, "Maximum likelihood from incomplete data via the EM
#   algorithm", *Journal of the Royal Statistical Society B* 39 (1977): EM, and that it never goes down.
# * C. M. Bishop, *Pattern Recognition and Machine Learning* (2006), chapter 9 and section 10.2: mixtures, the
#   needle, EM and variational Bayes.
# * B. Wang and D. M. Titterington, "Inadequacy of interval estimates corresponding to variational Bayesian
#   approximations", *AISTATS* (2005).
# * M. Stephens, "Dealing with label switching in mixture models", *Journal of the Royal Statistical Society
#   B* 62 (2000). The method of `relabelled` is that of P. Papastamoulis and G. Iliopoulos, "An artificial
#   allocations based solution to the label switching problem in Bayesian analysis of mixtures of
#   distributions", *Journal of Computational and Graphical Statistics* 19 (2010).
# * C. Fraley and A. E. Raftery, "Model-based clustering, discriminant analysis, and density estimation",
#   *Journal of the American Statistical Association* 97 (2002): how many groups, and of what shape.
# * M. D. Hoffman and A. Gelman, "The No-U-Turn sampler", *Journal of Machine Learning Research* 15 (2014).
#
# The data: M. Forina et al., *PARVUS* (1988), https://doi.org/10.24432/C5PC7J.

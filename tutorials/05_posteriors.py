# %% [markdown]
# # 5 · Posteriors
#
# `fit` returns a posterior: not one value of the parameters, but a distribution over all that the data allow.
# For naive Bayes it came out exactly, and the lessons before this one did not ask how. Now we do. And where
# it does not come out exactly, we shall approximate it, and measure what the approximation has cost.
#
# **You will learn** what a prior does, when Bayes' rule has a closed form, how the evidence chooses between
# models, what a guide and the ELBO are, and how to tell a good guide from a bad one.
#
# **You need** Python, and from probability: densities, expectations, Bayes' rule, the Normal distribution.
#
# **It takes** about 45 minutes; the code runs in under a minute, on data that need no download.

# %% [install]
import importlib.util

# Where ppl-gen is missing, as on Colab. This needs a released version; before the first,
# install it from a copy of its source: `pip install .` there.
if importlib.util.find_spec("ppl_gen") is None:
    get_ipython().run_line_magic("pip", "install --quiet ppl-gen")  # noqa: F821

# %%
import math

import matplotlib.pyplot as plt
import torch

from ppl_gen import SVI, Laplace, ask, fit, guide_quality, summary, to_arviz
from ppl_gen.data import iris
from ppl_gen.models import BernoulliNaiveBayes, LinearRegression
from ppl_gen.plot import elbo, forest, style
from ppl_gen.plot.style import PALETTE

# %% [markdown]
# ## Prior, likelihood, posterior
#
# Toss a coin of unknown make. Its probability of heads is `theta`. The library has this model already: naive
# Bayes with one class and one feature, `x`, that is 1 for heads and 0 for tails. (`y` is the class of a toss
# and `pi` the probabilities of the classes. With one class they have nothing to say.)

# %%
coin = BernoulliNaiveBayes(classes=1, features=1)
print(coin)


def tossed(heads, tails):
    """The posterior of the coin after so many heads and tails."""
    return fit(coin, x=[[1]] * heads + [[0]] * tails, y=[0] * (heads + tails))


# %% [check]
assert str(coin) == "p(pi) p(theta) p(y | pi) p(x | y, theta)"

# %% [markdown]
# Four words for the parts of Bayes' rule, where $x$ stands for all the data seen:
# $$\underbrace{p(\theta \mid x)}_{\text{posterior}} =
# \frac{\overbrace{p(x \mid \theta)}^{\text{likelihood}}\ \overbrace{p(\theta)}^{\text{prior}}}
# {\underbrace{p(x)}_{\text{evidence}}}.$$
#
# The **prior** $p(\theta)$ is what we hold possible before a toss; here, every `theta` from 0 to 1 alike. The
# **likelihood** of $h$ heads and $t$ tails is $\theta^h (1 - \theta)^t$. Their product, scaled to area 1, is
# the **posterior**. What it is scaled by, the area before scaling, is the **evidence**, to which we come.
#
# A density of the form $\theta^{a-1} (1 - \theta)^{b-1}$, scaled, is called $\text{Beta}(a, b)$. The flat
# prior is Beta(1, 1). Multiply it by the likelihood: the exponents add, and the result is
# $\text{Beta}(1 + h,\ 1 + t)$. The posterior has the same form as the prior. Such a prior is called
# **conjugate**, and for it Bayes' rule is no integral, but counting. In the code, `model` of a posterior is
# the coin with its prior updated, and `ones` and `zeros` are the $a$ and $b$ of its Beta.

# %%
seven = tossed(heads=7, tails=3)
print("prior:    ", coin.ones.item(), coin.zeros.item())
print("posterior:", seven.model.ones.item(), seven.model.zeros.item())


def beliefs(*seen):
    """Densities of theta after some numbers of (heads, tails)."""
    theta = torch.linspace(0.001, 0.999, 300, dtype=torch.float64)
    with style():
        _, ax = plt.subplots(figsize=(5.4, 2.8))
        for i, (heads, tails) in enumerate(seen):
            model = tossed(heads, tails).model if heads + tails else coin
            density = (
                torch.distributions.Beta(model.ones[0], model.zeros[0])
                .log_prob(theta)
                .exp()
            )
            look = {"color": PALETTE[i], "linestyle": ("-", "--", ":")[i]}
            ax.plot(theta, density, label=f"{heads} heads, {tails} tails", **look)
        ax.set(
            xlabel="theta, the probability of heads",
            ylabel="density",
            title="What the tosses allow",
        )
        ax.legend()


beliefs((0, 0), (7, 3), (70, 30))

# %%
if importlib.util.find_spec("ipywidgets"):
    from ipywidgets import interact

    _ = interact(
        lambda heads, tails: beliefs((heads, tails)), heads=(0, 60), tails=(0, 60)
    )

# %% [check]
assert (seven.model.ones.item(), seven.model.zeros.item()) == (8, 4)
assert (coin.ones.item(), coin.zeros.item()) == (1, 1)
assert abs(float(ask(seven, "p(x | y)", y=0).log_prob(x=[1]).exp()) - 8 / 12) < 1e-9
betas = [
    torch.distributions.Beta(m.ones, m.zeros) for m in (seven.model, tossed(70, 30).model)
]
widths = [beta.stddev.item() for beta in betas]
assert abs(widths[0] / widths[1] - math.sqrt(10)) < 0.4

# %% [markdown]
# Ten times the tosses make the posterior about $\sqrt{10} \approx 3$ times narrower. More tosses may come
# later. Then today's posterior is tomorrow's prior: `fit` takes a posterior in the place of a model, and goes
# on.

# %%
later = fit(seven, x=[[1]] * 2 + [[0]] * 3, y=[0] * 5)
at_once = tossed(9, 6)
print("in two steps:", later.model.ones.item(), later.model.zeros.item())
print("in one step: ", at_once.model.ones.item(), at_once.model.zeros.item())

# %% [check]
assert (later.model.ones.item(), later.model.zeros.item()) == (10, 7)
assert (at_once.model.ones.item(), at_once.model.zeros.item()) == (10, 7)

# %% [markdown]
# ## The same with a line
#
# Linear regression has a conjugate prior, too. The data: how long and how wide the petals of 150 irises are,
# in centimetres.

# %%
regression = LinearRegression(features=1)
print(regression)
rows = iris().x[torch.randperm(150, generator=torch.Generator().manual_seed(1))]
length, width = rows[:, [2]], rows[:, 3]

# %% [markdown]
# Draw the precision `tau` of the noise (one over its variance); draw two weights `w`, the intercept and the
# slope of a line; each width `y` is Normal about the line at its length `x`. A draw of `w` is a line, so the
# posterior of `w` is a distribution over lines. Watch it learn from ever more flowers:

# %%
lengths = torch.tensor([[0.0], [7.5]], dtype=torch.float64)


def learnt(*counts):
    """Lines drawn from the posterior after some numbers of rows, and their weights."""
    with style():
        _, axes = plt.subplots(
            2, len(counts), figsize=(7.4, 4.4), sharex="row", sharey="row", squeeze=False
        )
        for column, n in enumerate(counts):
            known = fit(regression, x=length[:n], y=width[:n]) if n else regression
            w = ask(known, "p(w)").sample(200, seed=0)
            top, bottom = axes[:, column]
            top.plot(
                lengths,
                w[:30, 0] + lengths * w[:30, 1],
                color=PALETTE[0],
                alpha=0.35,
                linewidth=1,
            )
            top.plot(length[:n], width[:n], "o", color=PALETTE[1], markersize=3)
            top.set(ylim=(-2, 4), xlabel="petal length (cm)", title=f"{n} flowers")
            bottom.plot(w[:, 0], w[:, 1], ".", color=PALETTE[0], markersize=3, alpha=0.6)
            bottom.set(xlim=(-2.2, 1.2), ylim=(-0.3, 1.1), xlabel="intercept (cm)")
        axes[0, 0].set_ylabel("petal width (cm)")
        axes[1, 0].set_ylabel("slope")


learnt(0, 2, 10, 150)

# %% [check]
clouds = [
    ask(fit(regression, x=length[:n], y=width[:n]), "p(w)").sample(1500, seed=0)
    for n in (2, 10, 150)
]
spreads = [cloud.std(0) for cloud in clouds]
assert bool((spreads[0] > spreads[1]).all() and (spreads[1] > spreads[2]).all())
exact = fit(regression, x=length, y=width)
correlation = float(torch.corrcoef(clouds[2].T)[0, 1])
assert -0.95 < correlation < -0.85
assert max(float(torch.corrcoef(cloud.T)[0, 1]) for cloud in clouds) < -0.8
assert str(regression) == "p(tau) p(w | tau) p(y | x, w, tau)"
guesses = ask(regression, "p(w)").sample(200, seed=0)  # those of the picture
shown = (guesses[:, 0] + 0.5).abs().lt(1.7) & (guesses[:, 1] - 0.4).abs().lt(0.7)
assert float(shown.double().mean()) < 0.6  # "many dots lie outside"

# %% [markdown]
# Above are lines, below their weights: each dot is a line. With no flower every line goes (many dots lie
# outside the picture); two flowers pin it down roughly; 150 leave a narrow bundle. Look at the shape of the
# clouds once there are flowers. They are long and thin, and they slant: if the slope is steeper, the
# intercept must be lower, or the line would miss the flowers. Intercept and slope are **correlated** in the
# posterior. That will matter.
#
# ## Evidence: which model?
#
# Back to the denominator. The evidence $p(x) = \int p(x \mid \theta)\, p(\theta)\, d\theta$ is how probable
# the model finds the data, before it has seen any of them: the likelihood, averaged over the prior. For the
# coin it is an integral with a known value:
# $$p(\text{tosses}) = \int_0^1 \theta^h (1 - \theta)^t\, d\theta = \frac{h!\, t!}{(h + t + 1)!}.$$

# %%
by_hand = math.log(math.factorial(7) * math.factorial(3) / math.factorial(11))
print(
    "log evidence:", round(seven.log_evidence, 6), " by hand:", round(by_hand, 6), "nats"
)

# %% [check]
assert abs(seven.log_evidence - by_hand) < 1e-9

# %% [markdown]
# (We write logarithms, as such products are tiny. The unit of a natural logarithm is the **nat**.)
#
# What is it good for? It compares models. Here are thirty points that were drawn from a wave with noise.
# How bent a curve do they warrant? Polynomials of degree $d$ are linear regressions on the features $x, x^2,
# \dots, x^d$.

# %%
noise = torch.randn(30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
u = torch.linspace(-1, 1, 30, dtype=torch.float64)
v = torch.sin(3 * u) + 0.3 * noise
at = torch.linspace(-1, 1, 100, dtype=torch.float64)
fresh = torch.sin(3 * at)  # the wave itself, which the models never see


def powers(values, degree):
    return torch.stack([values**k for k in range(1, degree + 1)], 1)


degrees = list(range(1, 10))
fits = [fit(LinearRegression(features=d), x=powers(u, d), y=v) for d in degrees]
evidence = [posterior.log_evidence for posterior in fits]
residual = [
    float((ask(p, "p(y | x)", x=powers(u, d)).mean - v).square().mean().sqrt())
    for p, d in zip(fits, degrees, strict=True)
]
best = degrees[max(range(9), key=evidence.__getitem__)]

with style():
    figure, axes = plt.subplots(1, 3, figsize=(7.4, 2.7), sharey=True)
    for ax, d in zip(axes, (1, best, 9), strict=True):
        answer = ask(fits[d - 1], "p(y | x)", x=powers(at, d))
        low, high = answer.sample(10_000, seed=0).quantile(
            torch.tensor([0.05, 0.95]).double(), 0
        )
        ax.fill_between(at, low, high, color=PALETTE[0], alpha=0.2, linewidth=0)
        ax.plot(at, answer.mean, color=PALETTE[0])
        ax.plot(at, fresh, "--", color="0.5", linewidth=1)
        ax.plot(u, v, "o", color=PALETTE[1], markersize=3)
        ax.set(title=f"degree {d}", xlabel="x")
    axes[0].set_ylabel("y")

# %% [markdown]
# Dots are the thirty points, the dashed line is the wave. The full line is the mean of what the fitted model
# expects of `y` at each `x`; the band holds 90 % of it. Now for each degree, how far the points lie from that
# mean, and the evidence:

# %%
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 2.6))
    axes[0].plot(degrees, residual, "o-", color=PALETTE[3])
    axes[0].set(
        xlabel="degree",
        ylabel="root mean square residual",
        title="The points seen: as near or nearer",
    )
    axes[1].plot(degrees, evidence, "o-", color=PALETTE[0])
    axes[1].axvline(best, color="0.6", linewidth=0.8)
    axes[1].set(
        xlabel="degree", ylabel="log evidence (nats)", title=f"Evidence: degree {best}"
    )

# %% [check]
import itertools

assert best == 3
assert bool((torch.tensor(residual).diff() < 1e-3).all())
bases = [torch.cat([torch.ones(len(u), 1).double(), powers(u, d)], 1) for d in degrees]
least = [
    float((v - base @ torch.linalg.lstsq(base, v[:, None]).solution[:, 0]).norm())
    for base in bases
]
assert all(after <= before + 1e-9 for before, after in itertools.pairwise(least))
assert evidence[best - 1] - evidence[0] > 3
assert evidence[best - 1] - evidence[-1] > 3
answer = ask(fits[best - 1], "p(y | x)", x=powers(at, best))
assert float((answer.mean - fresh).square().mean().sqrt()) < 0.2
inside = ask(fits[best - 1], "p(y | x)", x=powers(u, best)).sample(2000, seed=0)
low, high = inside.quantile(torch.tensor([0.05, 0.95]).double(), 0)
assert 0.7 < float(((v > low) & (v < high)).double().mean()) <= 1

# %% [markdown]
# A **residual** is how far a point lies from the curve. A curve with more bends can always get nearer to the
# points it has seen, so residuals cannot choose. The evidence can. A straight line cannot bend as the points
# do, so it finds them improbable. Degree 9 *could* have drawn them, but very many other curves as well; its
# probability must reach for all of these, so each gets little. This is **Occam's razor**, and nobody had to
# put it in (MacKay 2003, chapter 28).
#
# The evidence is the evidence *with its prior*. Exercise 3 shows how a careless prior spoils it.
#
# ## A guide, and the ELBO
#
# Few models are conjugate. The next best is to approximate the posterior by a distribution $q(\theta)$ of a
# form that we choose, the **guide**, and to make it as near as that form allows. How near is it? The identity
# behind all of **variational inference** is
# $$\log p(x) = \underbrace{E_q\!\left[\log p(x, \theta) - \log q(\theta)\right]}_{\text{ELBO}} +
# \underbrace{E_q\!\left[\log q(\theta) - \log p(\theta \mid x)\right]
# }_{\text{KL}(q \,\|\, \text{posterior})\ \geq\ 0}.$$
#
# ($E_q$ is the mean over draws of $q$.) The last term is the **Kullback-Leibler divergence**, a distance of
# sorts: never negative, and 0 only if the guide *is* the posterior. So the first is a lower bound of the log
# evidence: the **e**vidence **l**ower **bo**und. It can be estimated from the joint and draws of the guide,
# with no integral in it. Raise it, and the divergence falls by as much. **Stochastic** variational inference,
# SVI, raises it in small steps along its **gradient**, the direction in which it rises fastest, each
# estimated from a fresh draw.
#
# On the irises we know the exact posterior, so we can watch. The guide `"mean_field"` takes all parameters
# for independent; each has a mean and a standard deviation (sd) of its own. (A positive one, such as `tau`,
# is Normal in its logarithm.)

# %%
exact = fit(regression, x=length, y=width)
mean_field = fit(regression, SVI(steps=2000, guide="mean_field"), x=length, y=width)
with style():
    figure, ax = plt.subplots(figsize=(5.4, 3.0))
    elbo(mean_field.elbo, log_evidence=exact.log_evidence, ax=ax)
    ax.set_title("The bound rises to the evidence, and stops short")

# %%
bound, error = mean_field.estimate_elbo(500)
print(
    f"ELBO {bound:.2f} ± {error:.2f} nats,",
    f"{exact.log_evidence - bound:.2f} below the log evidence",
)

# %% [check]
assert bool((mean_field.elbo > exact.log_evidence).any())  # "a single step may"
gap, theory = exact.log_evidence - bound, -0.5 * math.log(1 - correlation**2)
assert 0.5 < gap < 1.5
assert abs(gap - theory) < 5 * error + 0.15
assert float(mean_field.elbo[0]) < exact.log_evidence - 100
tail = mean_field.elbo[-300:].mean(), mean_field.elbo[-600:-300].mean()
assert abs(tail[0] - tail[1]) < 0.5  # it climbs no more

# %% [markdown]
# Each step's number is an estimate from one draw. The band holds nine steps in ten, the line is their running
# mean. A single step may even lie above the evidence. Its mean cannot. In the last 600 steps it climbs
# no more, and the gap is still there: what is left is the divergence of the best guide *of its form*. (What
# follows ± is the **standard error**: by so much an average of so many draws is typically off.)
#
# ## What goes wrong: the right middle, the wrong width
#
# What does that gap mean? Draw from both, and look. Beside them stands another approximation, **Laplace**'s:
# go to the peak of the posterior, and take the Normal that is as curved there. It has a full covariance, so
# it can slant.

# %%
laplace = fit(regression, Laplace(), x=length, y=width)
posteriors = {"exact": exact, "mean field": mean_field, "Laplace": laplace}
clouds = {
    name: ask(p, "p(w)").sample(1500, seed=i)
    for i, (name, p) in enumerate(posteriors.items())
}
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.2), sharex=True, sharey=True)
    for i, name in ((1, "mean field"), (2, "Laplace")):
        true = clouds["exact"]
        found = clouds[name][:250]  # few, so that what lies under them shows
        dots = {"color": PALETTE[0], "markersize": 2.5, "markeredgewidth": 0}
        axes[i - 1].plot(true[:, 0], true[:, 1], "o", alpha=0.4, label="exact", **dots)
        axes[i - 1].plot(
            found[:, 0], found[:, 1], "x", color=PALETTE[3], markersize=4, label=name
        )
        axes[i - 1].set(xlabel="intercept (cm)", title=f"draws: exact and {name}")
        axes[i - 1].legend(markerscale=2)
    axes[0].set_ylabel("slope")

print(f"{'mean ± sd':12}intercept      slope")
for name, cloud in clouds.items():
    (a, b), (sd_a, sd_b) = cloud.mean(0).tolist(), cloud.std(0).tolist()
    print(f"{name:11} {a:+.3f} ± {sd_a:.3f} {b:+.3f} ± {sd_b:.4f}")

# %% [check]
sds = {name: cloud.std(0) for name, cloud in clouds.items()}
for name in ("mean field", "Laplace"):
    off = (clouds[name].mean(0) - clouds["exact"].mean(0)).abs() / sds["exact"]
    assert bool((off < 0.35).all())  # "its middle is right"
ratio = sds["mean field"] / sds["exact"]
assert bool((ratio < 0.5).all())
assert bool((ratio - math.sqrt(1 - correlation**2)).abs().max() < 0.1)
assert bool((sds["Laplace"] / sds["exact"] - 1).abs().max() < 0.15)
slants = {name: float(torch.corrcoef(cloud.T)[0, 1]) for name, cloud in clouds.items()}
assert slants["Laplace"] < -0.85  # "it can slant"
assert abs(slants["mean field"]) < 0.15  # "cannot"

# %% [markdown]
# The mean-field guide cannot slant, so it makes itself small enough to fit inside the slanted cloud. Its
# middle is right. Its sds are less than half of the true ones: whoever reports them claims to know far more
# than the data say. For two Normal parameters with correlation $\rho$ the theory is short (compare Bishop
# 2006, section 10.1.2): the guide's sds are $\sqrt{1 - \rho^2}$ times the true ones, and the gap is
# $-\tfrac12 \log(1 - \rho^2)$ nats.

# %%
rho = float(torch.corrcoef(clouds["exact"].T)[0, 1])
found = float((clouds["mean field"].std(0) / clouds["exact"].std(0)).mean())
print(
    f"correlation {rho:.2f}: sds should be {math.sqrt(1 - rho**2):.2f} of the true ones;",
    f"they are {found:.2f}",
)
print(
    f"and the gap {-0.5 * math.log(1 - rho**2):.2f} nats;",
    f"it is {exact.log_evidence - bound:.2f}",
)

# %% [markdown]
# **How to see it** where no exact posterior is known? Weigh the guide's draws. A draw that the guide makes
# too rarely should count for more: its **importance weight** is $p(x, \theta) / q(\theta)$. If the guide is
# the posterior, all weights are equal. If it is too narrow, now and then a draw from its rim has an enormous
# weight, and any weighted average is at the mercy of the next such draw. How heavy is that tail? To the
# largest weights fit a generalised Pareto distribution, a family whose tails range from none to very heavy.
# The number that says how heavy is **k-hat** ($\hat k$): up to about 0.7 (less for few draws) averages by
# these weights can be trusted, above they cannot (Vehtari et al. 2024; Yao et al. 2018 judge guides by it).

# %%
quality = {
    name: guide_quality(posteriors[name], draws=2000)
    for name in ("mean field", "Laplace")
}
for name, found in quality.items():
    print(f"{name}\n{found}\n")

# %% [check]
assert quality["mean field"].k_hat > 0.5  # about 0.9 in theory; estimates scatter by 0.15
assert quality["mean field"].k_hat_range[1] > 0.7
assert (
    quality["mean field"].effective
    < 0.4 * 2000
    < 0.8 * 2000
    < quality["Laplace"].effective
)
assert quality["Laplace"].k_hat < quality["mean field"].k_hat
assert quality["Laplace"].gap < 0.1
assert quality["mean field"].log_evidence < exact.log_evidence  # "below the true one"
assert quality["mean field"].gap < exact.log_evidence - bound  # "its gap is too small"
taus = quality["Laplace"].guide.means["tau"], quality["Laplace"].corrected.means["tau"]
true = exact.model.shape / exact.model.rate  # the mean of a gamma distribution
assert (
    float(abs(taus[0] - taus[1]) / quality["Laplace"].corrected.sds["tau"]) < 0.4
)  # "a small part"
assert float(abs(taus[1] - true)) < float(
    abs(taus[0] - true)
)  # "the weights put it right"
assert "means off" in str(quality["Laplace"])
assert "tau" in str(quality["Laplace"]).split("means off")[1]

# %% [markdown]
# No exact posterior went in. The first number is k-hat, with the range in which it lies, for it is itself an
# estimate. The second says the same in another way: how many draws of the posterior the weighted draws are
# worth. Laplace's are worth nearly their number, those of the mean-field guide only a small part of it. Look
# at that guide's own figure for the log evidence: it is below the true one, and its gap is too small. Where a
# guide hardly ever draws, nothing is weighed. A high k-hat says: do not believe these numbers.
#
# Where k-hat is low, the weighted draws can be believed, and the guide's own draws be compared with them. The
# last line of Laplace's table does: the mean of its `tau` is off, by a small part of an sd. Peak and mean of
# a lopsided distribution are two places, and Laplace builds around the peak. The weights put it right.
#
# What can be done?
#
# * Take a form that can slant: here Laplace's, or the guide `"full_rank"` of SVI, or `"flow"`, which can
#   bend, too.
# * Or change the parameters so that nothing slants. Exercise 4 does it with one subtraction.
#
# One thing k-hat cannot see: a posterior with two separate hills, of which the guide has found only one. None
# of its draws comes from the other, so none has a large weight (Yao et al. 2018 say so, too). Lesson 6 has
# such posteriors.
#
# ## To ArviZ
#
# [ArviZ](https://www.arviz.org) is the common toolbox for whatever a posterior has to say, from whichever
# program it came. `to_arviz` gives it a **tree** of tables: draws of the posterior and of the prior,
# predictions, log likelihoods, and the data. (Its `sample_stats` keep how probable joint and guide, $p$ and
# $q$, find each draw.) `coords` gives names to the places in a vector, here to the two terms of a line.

# %%
terms = {"term": ["intercept", "slope"]}
trees = {
    name: to_arviz(posterior, draws=300, coords=terms)
    for name, posterior in posteriors.items()
}
for group, table in trees["exact"].children.items():
    sizes = [f"{name} {tuple(v.sizes.values())}" for name, v in table.data_vars.items()]
    print(f"{group:22} {', '.join(sizes)}")
summary(trees["exact"])

# %% [markdown]
# In brackets stand the sizes; whatever was drawn has the dimensions `chain` and `draw` first. (A chain is
# what the sampler of lesson 6 makes: draws of which each depends on the one before. Draws of a guide or of a
# conjugate posterior are independent, so there is one chain, and nothing about chains to check.) ArviZ's
# functions take the tree. Those for figures and those for numbers are two packages, which come with this
# library:

# %%
import arviz_plots
import arviz_stats

middle = {"ci_kind": "eti", "ci_prob": 0.89}
guide_tree = trees["mean field"]
print(
    arviz_stats.summary(
        guide_tree, kind="stats", var_names=["w"], round_to="none", **middle
    ).round(4)
)
with style():
    drawn = arviz_plots.plot_dist(
        guide_tree,
        var_names=["w", "tau"],
        backend="matplotlib",
        figure_kwargs={"figsize": (7.2, 2.2)},
        stats={"point_estimate": {"round_to": "none"}},
        visuals={"point_estimate_text": False},
        **middle,
    )

# %%
figure = forest(trees)

# %% [check]
groups = {"posterior", "prior", "posterior_predictive", "log_likelihood", "observed_data"}
assert groups <= set(trees["exact"].children)
assert trees["exact"]["posterior"].sizes["chain"] == 1
for group in groups - {"observed_data"}:
    for variable in trees["exact"][group].data_vars.values():
        assert variable.dims[:2] == ("chain", "draw")
table = arviz_stats.summary(trees["mean field"], kind="stats", var_names=["w"])
assert list(table.index) == ["w[intercept]", "w[slope]"]
found = torch.tensor(trees["mean field"]["posterior"]["w"].values[0]).std(0)
assert bool((found < 0.65 * sds["exact"]).all())
noise_sds = [
    float(trees[name]["posterior"]["tau"].std()) for name in ("mean field", "exact")
]
assert 0.75 < noise_sds[0] / noise_sds[1] < 1.3

# %% [markdown]
# In the table, `eti89` is the **e**qual-**t**ailed **i**nterval that holds the middle 89 % of the draws, from
# its lower bound `lb` to its upper bound `ub` (ArviZ's choice: 89 says more plainly than 95 that it was
# chosen). `plot_dist` draws the same as densities, with the mean as a dot and the interval as a line.
#
# The last picture is the lesson once more, in sds of the exact posterior from its mean: marks are means, the
# thick lines hold half of the draws, the thin ones 90 %. Mean field is as sure of the noise `tau` as it
# should be, and far too sure of the weights, the intercept `w[0]` and the slope `w[1]`.
#
# ## Exercises
#
# Try each before you open its solution.
#
# **1.** A friend swears that coins are nearly fair, and takes the prior Beta(50, 50). After 7 heads and 3
# tails, what is the probability of heads in the next toss, for the friend and for the flat prior? Whose
# evidence is higher?
#
# <details><summary>Solution</summary>
#
# The counts add: $(50 + 7) / (100 + 10) \approx 0.52$, against $8/12 \approx 0.67$. The friend's evidence is
# higher: seven of ten is no surprise for a fair coin, and the friend's prior wastes nothing on coins that
# always show heads.
#
# ```python
# friend = BernoulliNaiveBayes(classes=1, features=1, ones=50.0, zeros=50.0)
# theirs = fit(friend, x=[[1]] * 7 + [[0]] * 3, y=[0] * 10)
# for posterior in (seven, theirs):
#     heads = float(ask(posterior, "p(x | y)", y=0).log_prob(x=[1]).exp())
#     print(heads, posterior.log_evidence)
# assert theirs.log_evidence > seven.log_evidence
# assert abs(float(ask(theirs, "p(x | y)", y=0).log_prob(x=[1]).exp()) - 57 / 110) < 1e-9
# ```
#
# </details>
#
# **2.** $p(a, b) = p(a)\, p(b \mid a)$. Show with the irises that the log evidence of all rows is that of the
# first 50 plus that of the other 100 with the posterior of the first as prior.
#
# <details><summary>Solution</summary>
#
# ```python
# begun = fit(regression, x=length[:50], y=width[:50])
# rest = fit(begun.model, x=length[50:], y=width[50:])  # the updated model is the new prior
# print(begun.log_evidence + rest.log_evidence, exact.log_evidence)
# assert abs(begun.log_evidence + rest.log_evidence - exact.log_evidence) < 1e-6
# ```
#
# </details>
#
# **3.** "I know nothing of the weights, so I give them a prior as wide as can be." Choose the degree of the
# polynomial again, with `LinearRegression(features=d, precision=1e-12)`. What happens, and why?
#
# <details><summary>Solution</summary>
#
# A weight with an enormously wide prior makes the model expect enormous data, so the data that came are
# improbable; each further weight costs a further factor. The lowest degree wins, whatever the points look
# like (this is known as Lindley's paradox; Lindley 1957). The *posterior* hardly changes with so
# wide a prior. The evidence does.
#
# ```python
# models = [LinearRegression(features=d, precision=1e-12) for d in degrees]
# refits = [fit(m, x=powers(u, d), y=v) for m, d in zip(models, degrees, strict=True)]
# vague = [posterior.log_evidence for posterior in refits]
# print(degrees[vague.index(max(vague))], [round(value, 1) for value in vague])
# assert vague.index(max(vague)) == 0
# both = fits[2], refits[2]  # degree 3, by either prior
# curves = [ask(p, "p(y | x)", x=powers(at, 3)).mean for p in both]
# assert float((curves[0] - curves[1]).abs().max()) < 0.1
# ```
#
# </details>
#
# **4.** Subtract the mean from the lengths, and fit the mean-field guide again. What happens to the gap, and
# to the number of draws of the posterior that those of the guide are worth?
#
# <details><summary>Solution</summary>
#
# The intercept is now the width of a flower of average length. The slope can change without moving it, so the
# two are no longer correlated, and a guide without correlations loses next to nothing. (Its k-hat need not be
# low: far out, the tails of `tau` still differ. But draws that are worth nearly their number need no
# mending.)
#
# ```python
# centred = length - length.mean()
# easy = fit(regression, SVI(steps=2000, guide="mean_field"), x=centred, y=width)
# now = guide_quality(easy, draws=1500)
# print(now)
# assert now.gap < 0.15
# assert now.effective > 0.85 * 1500
# ```
#
# </details>
#
# ## Further reading
#
# * C. M. Bishop, *Pattern Recognition and Machine Learning* (2006), section 2.1 (the coin), 3.3–3.5 (linear
#   regression and its evidence), 10.1 (variational inference, and why mean field is too narrow).
# * D. J. C. MacKay, *Information Theory, Inference, and Learning Algorithms* (2003), chapter 28: Occam's
#   razor.
# * D. V. Lindley, "A statistical paradox", *Biometrika* 44 (1957).
# * D. M. Blei, A. Kucukelbir and J. D. McAuliffe, "Variational inference: a review for statisticians",
#   *Journal of the American Statistical Association* 112 (2017).
# * Y. Yao, A. Vehtari, D. Simpson and A. Gelman, "Yes, but did it work?: Evaluating variational inference",
#   *ICML* (2018).
# * A. Vehtari, D. Simpson, A. Gelman, Y. Yao and J. Gabry, "Pareto smoothed importance sampling", *Journal of
#   Machine Learning Research* 25 (2024).
#
# The data: R. A. Fisher, *Annals of Eugenics* 7 (1936).

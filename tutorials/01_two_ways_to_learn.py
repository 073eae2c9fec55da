# %% [markdown]
# # 1 · Two ways to learn
#
# A table has rows `x` with a class `y`, and you want to learn from it. There are two ways. A **generative**
# model learns how the rows come about: the joint distribution $P(x, y)$. A **discriminative** model learns
# only what is wanted of it: the class given the row, $P(y \mid x)$. Both classify. What else they can do
# differs, and this lesson is about that difference.
#
# **You will learn** to write a model as one joint distribution, to ask it questions as a textbook writes
# them, and to tell from the joint alone which questions it can answer.
#
# **You need** Python, and from probability: conditional distributions, Bayes' rule, the Normal distribution.
#
# **It takes** about 30 minutes; the code runs in under a minute, on data that need no download.

# %% [install]
import importlib.util

# Where ppl-gen is missing, as on Colab. This needs a released version; before the first,
# install it from a copy of its source: `pip install .` there.
if importlib.util.find_spec("ppl_gen") is None:
    get_ipython().run_line_magic("pip", "install --quiet ppl-gen")  # noqa: F821

# %%
import matplotlib.pyplot as plt
import torch

from ppl_gen import ask, fit
from ppl_gen.data import iris, wine
from ppl_gen.errors import Unanswerable
from ppl_gen.models import (
    GaussianNaiveBayes,
    GaussianRegression,
    LinearRegression,
    LogisticRegression,
)
from ppl_gen.plot import style
from ppl_gen.plot.style import PALETTE

# %% [markdown]
# ## One table
#
# Wines of three cultivars, grown in one Italian region: 178 rows. Of thirteen chemical measurements we take
# two, so that we can draw everything: alcohol, and flavanoids (which make a wine bitter). Each is shifted and
# scaled to mean 0 and standard deviation 1. We learn from 134 rows and keep 44 for the test.

# %%
COLUMNS = [0, 6]  # alcohol and flavanoids
train, test = wine().standardized().split(test=0.25, seed=0)
x, y = train.x[:, COLUMNS], train.y
x_test, y_test = test.x[:, COLUMNS], test.y


def scatter(ax, rows, labels, **more):
    for k in range(3):
        own = rows[labels == k]
        look = {"color": PALETTE[k], "marker": "os^"[k], **more}
        ax.scatter(own[:, 0], own[:, 1], s=16, label=f"class {k}", **look)
    ax.set(
        xlabel="alcohol (standard deviations)", ylabel="flavanoids (standard deviations)"
    )


with style():
    figure, ax = plt.subplots(figsize=(4.4, 3.4))
    scatter(ax, x, y)
    ax.set_title("Wines of three cultivars")
    ax.legend()

# %% [check]
assert (len(wine()), len(wine().features), len(wine().classes)) == (178, 13, 3)
assert (len(x), len(x_test)) == (134, 44)
assert [wine().features[i] for i in COLUMNS] == ["alcohol", "flavanoids"]

# %% [markdown]
# ## Two joints
#
# In this library a model *is* its joint distribution, written in one line. Print two models:

# %%
generative = GaussianNaiveBayes(classes=3, features=2)
discriminative = LogisticRegression(classes=3, features=2)
print(generative)
print(discriminative)

# %% [markdown]
# Read each line as a recipe, from left to right; every factor says how one variable is drawn. The parameters
# are drawn, too: their factors say how credible each of their values is before any data are seen. That is
# called their **prior**.
#
# * **Naive Bayes**: draw the class frequencies `pi`, then for every class and feature a precision `tau` (one
#   over the variance) and a mean `mu`. For each wine draw its class `y` from `pi`, *then draw its
#   measurements* `x` from Normal distributions with the class's means and precisions. It is *naive* because
#   the features of a wine are independent once its class is known.
# * **Logistic regression**: draw weights `w`. For each wine *take its measurements* `x` *as they are*, and
#   draw its class `y` with probabilities that depend on `x` and `w`.
#
# The whole difference stands in one place: `x` is **left** of a bar in the first line, so the model generates
# it. In the second, `x` stands only **right** of a bar: it is given. Nowhere does that line say what wines
# look like.

# %% [check]
assert str(generative) == "p(pi) p(tau) p(mu | tau) p(y | pi) p(x | y, mu, tau)"
assert str(discriminative) == "p(w) p(y | x, w)"

# %% [markdown]
# The same as graphs: an arrow for every "depends on", a circle for what is drawn, a square for what is given,
# and a box round what repeats. (The grey line under each joint is for lesson 5.)

# %%
generative

# %%
discriminative

# %% [markdown]
# ## Both classify
#
# `fit` infers everything hidden (`pi`, `tau`, `mu`; or `w`) from the rows. What it returns is the
# **posterior**: how credible each value of the hidden variables is once the rows are seen. `ask` takes the
# question as a textbook writes it; the most probable class of its answer is `answer.mode`. Naive Bayes has no
# factor $p(y \mid x)$. It answers by **Bayes' rule**,
# $$p(y \mid x) = \frac{p(y)\, p(x \mid y)}{\sum_{y'} p(y')\, p(x \mid y')},$$
# which needs nothing but the joint. Logistic regression has that very factor.

# %%
naive_bayes = fit(generative, x=x, y=y)
logistic = fit(discriminative, x=x, y=y)
for posterior in (naive_bayes, logistic):
    answer = ask(posterior, "p(y | x)", x=x_test)
    right = int((answer.mode == y_test).sum())
    print(
        f"{type(posterior.model).__name__:20} {right} of {len(y_test)} right,", answer.how
    )

# %% [check]
rights = {
    p: int((ask(p, "p(y | x)", x=x_test).mode == y_test).sum())
    for p in (naive_bayes, logistic)
}
assert min(rights.values()) > 0.9 * 44  # "more than nine in ten"
assert abs(rights[naive_bayes] - rights[logistic]) <= 2  # "about as well"
assert ask(naive_bayes, "p(y | x)", x=x_test).how == "enumerated"
by_hand = ask(naive_bayes, "p(y)").probs * torch.stack(
    [ask(naive_bayes, "p(x | y)", y=k).log_prob(x=x_test).exp() for k in range(3)], 1
)
torch.testing.assert_close(
    ask(naive_bayes, "p(y | x)", x=x_test).probs, by_hand / by_hand.sum(1, keepdim=True)
)

# %% [markdown]
# They do about as well: each is right about more than nine wines in ten. The second half of each line says
# how the answer was obtained: naive Bayes **enumerated** the classes in Bayes' rule, which is exact; logistic
# regression averaged its factor over the posterior of the weights.
#
# Where they differ is between and beyond the wines. Below, the background has the colour of the class, mixed
# where more than one is likely.

# %%
side = torch.linspace(-6, 6, 80, dtype=torch.float64)
grid = torch.cartesian_prod(side, side)
colours = torch.tensor(
    [plt.matplotlib.colors.to_rgb(colour) for colour in PALETTE[:3]]
).double()


def regions(ax, posterior, rows, title):
    probs = ask(posterior, "p(y | x)", x=grid).probs.reshape(80, 80, 3)
    mixed = probs @ colours  # the classes' colours, by their probabilities
    paper = 1 - 0.5 * (1 - mixed)
    ax.imshow(
        paper.transpose(0, 1).numpy(),
        origin="lower",
        extent=(-6, 6, -6, 6),
        interpolation="bilinear",
    )
    scatter(ax, x[rows], y[rows], edgecolors="white", linewidths=0.4)
    ax.set_title(title)
    ax.grid(False)


def compared(rows=134):
    """Both models, fitted to some of the wines."""
    some = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:rows]
    with style():
        figure, axes = plt.subplots(1, 2, figsize=(7.4, 4.0), sharex=True, sharey=True)
        for ax, model, name in zip(
            axes,
            (generative, discriminative),
            ("naive Bayes", "logistic regression"),
            strict=True,
        ):
            regions(ax, fit(model, x=x[some], y=y[some]), some, f"{name}, {rows} wines")
        axes[1].set_ylabel("")
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3
        )


compared()

# %% [check]
across = torch.linspace(-6, 6, 2401, dtype=torch.float64)


def bend(posterior):
    """How far the border of classes 0 and 1 is from straight, between three heights."""
    crossings = []
    for height in (1.0, 2.5, 4.0):
        probs = ask(
            posterior, "p(y | x)", x=torch.stack([across, 0 * across + height], 1)
        ).probs
        crossings.append(across[int((probs[:, 0] > probs[:, 1]).nonzero()[0])])
    return abs(float(crossings[0] - 2 * crossings[1] + crossings[2]))


assert bend(logistic) < 0.1  # "all but straight"
assert bend(naive_bayes) > 0.3  # "curves"

# %% [markdown]
# Logistic regression draws borders that are all but straight: given the weights, the logarithm of the ratio
# of two class probabilities is linear in `x`. Naive Bayes draws curves, since here each class has variances
# of its own.
#
# If you run this notebook, move the slider: how do the borders change when there are fewer wines? From eight,
# they look like this.

# %%
compared(8)
few = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:8]
for model in (generative, discriminative):
    answer = ask(fit(model, x=x[few], y=y[few]), "p(y | x)", x=x_test)
    print(
        f"{type(model).__name__:20} {answer.probs.amax(1).mean():.0%} sure of the test wines,",
        f"{(answer.mode == y_test).double().mean():.0%} right",
    )

# %%
if importlib.util.find_spec("ipywidgets"):
    from ipywidgets import interact

    _ = interact(compared, rows=(8, len(x), 14))

# %% [check]
assert torch.bincount(y[few]).tolist() == [2, 5, 1]
assert abs(x[few][y[few] == 0][:, 1].diff()) < 0.1  # "nearly the same flavanoids"
pairs = x[y == 0][:, 1]
assert (pairs[:, None] - pairs).abs().median() > 0.3  # which two seldom have
bands = []  # "a mark of the class": were the two apart, its band would be wider
first = (y[few] == 0).nonzero()[0]
upwards = torch.stack([0 * across + x[few][y[few] == 0][:, 0].max(), across], 1)
for apart in (0.0, 1.0):
    moved = x[few].clone()
    moved[first, 1] += apart
    probs = ask(fit(generative, x=moved, y=y[few]), "p(y | x)", x=upwards).probs
    bands.append(int((probs[:, 0] > 0.5).sum()))
assert bands[1] > 2 * bands[0] > 0
sure, right, clear = {}, {}, {}
for model in (generative, discriminative):
    for rows in (few, slice(None)):
        posterior = fit(model, x=x[rows], y=y[rows])
        answer, key = ask(posterior, "p(y | x)", x=x_test), (model, rows is few)
        sure[key] = float(answer.probs.amax(1).mean())
        right[key] = float((answer.mode == y_test).double().mean())
        most = ask(posterior, "p(y | x)", x=grid).probs.amax(1)
        clear[key] = float((most > 0.9).double().mean())
assert all(
    sure[model, True] < sure[model, False] for model in (generative, discriminative)
)
assert clear[generative, True] > 0.6  # sharp over most of the picture
assert clear[discriminative, True] < 0.2
assert clear[discriminative, False] > 0.6
assert sure[generative, True] > right[generative, True] + 0.1
assert sure[discriminative, True] < right[discriminative, True] - 0.1

# %% [markdown]
# How sure a model is: the probability of the class that it decides for, on average. Both are less sure of the
# test wines now. `fit` finds not one value of the parameters but all that the wines allow, weighted by how
# well they fit, and few wines allow many. But look at the colours. Those of logistic
# regression run into one another nearly everywhere: it is less sure than it is right. Naive Bayes still
# draws sharp bands, and is surer than it is right. The two wines of class 0 happen to have nearly the same
# flavanoids, and it takes that for a mark of the class. The fewer the rows, the more depends on what a model
# assumes, and it has assumed more.
#
# ## What each can be asked
#
# Here are five questions to both, unfitted: which of them can be answered is decided by the joint, before any
# data. An answer that a joint cannot give is refused, in words.

# %%
questions = {
    "p(y | x)": {"x": [0.0, 0.0]},  # classify
    "p(x | y)": {"y": 2},  # generate a wine of class 2
    "p(x)": {},  # how likely is a wine?
    "p(y)": {},  # how frequent is each class?
    "p(x, y)": {},  # generate wines with their class
}
print(f"{'':10} naive Bayes   logistic regression")
refusals = {}
for question, given in questions.items():
    told = []
    for model in (generative, discriminative):
        try:
            ask(model, question, **given)
            told.append("answers")
        except Unanswerable as refusal:
            told.append("refuses")
            refusals[question] = refusal
    print(f"{question:10} {told[0]:13} {told[1]}")
print("\n", refusals["p(x | y)"], sep="")

# %% [check]
assert set(refusals) == {"p(x | y)", "p(x)", "p(y)", "p(x, y)"}
for question, given in questions.items():
    ask(generative, question, **given)  # all of them

# %% [markdown]
# Naive Bayes answers all five, logistic regression one. Even $p(y)$ is out of its reach: how frequent a class
# is depends on which wines come, and it has no distribution of wines.
#
# So why would anybody be discriminative? Because modelling less means fewer assumptions that can be wrong.
# Lesson 3 measures when that wins.
#
# ## Conditional generation
#
# The joint runs forwards, too: fix the class, and draw wines of it. Nothing more is needed than the factor
# $p(x \mid y)$, averaged over what the data leave open of its parameters.

# %%
drawn = torch.cat(
    [ask(naive_bayes, "p(x | y)", y=k).sample(50, seed=k) for k in range(3)]
)
labels = torch.arange(3).repeat_interleave(50)
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.4), sharex=True, sharey=True)
    scatter(axes[0], x, y)
    scatter(axes[1], drawn, labels)
    axes[0].set_title("real wines")
    axes[1].set_title("wines drawn from p(x | y)")
    axes[1].set_ylabel("")
    axes[0].legend()

# %% [check]
for k in range(
    3
):  # the drawn wines have the real ones' means, up to 5 standard errors of 2,000 draws and of the rows
    many, own = ask(naive_bayes, "p(x | y)", y=k).sample(2000, seed=0), x[y == k]
    error = (own.var(0) / len(own) + many.var(0) / 2000).sqrt()
    assert bool(((many.mean(0) - own.mean(0)).abs() < 5 * error + 0.05).all())
    assert bool(((many.std(0) / own.std(0)).log().abs() < 0.3).all())  # and their spread
    assert abs(torch.corrcoef(many.T)[0, 1]) < 5 / 2000**0.5  # "drawn ones are"
assert torch.corrcoef(x[y == 0].T)[0, 1] > 0.3  # "real features are not independent"
refused = 0
try:
    ask(logistic, "p(x | y)", y=2)
except Unanswerable:
    refused = 1
assert refused

# %% [markdown]
# At a glance they could be mistaken for one another: each class lies where it should, and spreads as it
# should. But look at the blue dots. Real wines of class 0 with more alcohol have more flavanoids; in drawn
# ones the two have nothing to do with each other. That is the naive assumption, and lesson 2 looks at it more
# closely.
#
# Missing cells are the same idea. Someone forgot to measure the alcohol of a wine: a joint that generates `x`
# sums the missing number out. A model that is *given* `x` needs all of it.

# %%
half_known = torch.tensor([[float("nan"), -1.5]], dtype=torch.float64)
print(
    "naive Bayes:",
    ask(naive_bayes, "p(y | x)", x=half_known).probs.round(decimals=3).tolist()[0],
)
try:
    ask(logistic, "p(y | x)", x=half_known).probs
except ValueError as refusal:
    print("logistic regression:", refusal)

# %% [check]
probs = ask(naive_bayes, "p(y | x)", x=half_known).probs[0]
assert probs[2] > 0.8
refused = 0
try:
    ask(logistic, "p(y | x)", x=half_known).probs
except ValueError:
    refused = 1
assert refused

# %% [markdown]
# Few flavanoids alone make class 2 the likely one, though nothing is known of the alcohol.
#
# ## What goes wrong: sure of something never seen
#
# Show both a wine like no other: 8 standard deviations more alcohol than the average, and 8 more flavanoids.
# It may be a typing error, or no wine at all.

# %%
strange = torch.tensor([[8.0, 8.0]], dtype=torch.float64)
for posterior in (naive_bayes, logistic):
    probs = ask(posterior, "p(y | x)", x=strange).probs[0]
    print(
        f"{type(posterior.model).__name__:20} class {int(probs.argmax())}",
        f"with probability {probs.max():.4f}",
    )

# %% [markdown]
# Each is all but certain, and they contradict one another. Both are right by their own lights: *if* it is one
# of the three cultivars, and the model's assumptions hold that far out, then it is this one. A probability
# $p(y \mid x)$ says nothing about whether `x` belongs here at all.
#
# **How to see it**: ask for $p(x)$, the density of the wine itself, and hold it beside those of the test
# wines. Only the generative model can. Densities are compared by their natural logarithms, in *nats*: one nat
# less is a factor of 2.7.

# %%
usual = ask(naive_bayes, "p(x)").log_prob(x=x_test)
odd = ask(naive_bayes, "p(x)").log_prob(x=strange)[0]
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 2.4), width_ratios=(1.3, 1))
    axes[0].plot(usual, 0 * usual, "|", color=PALETTE[0], markersize=30)
    axes[0].plot(odd, 0, "D", color=PALETTE[3])
    for at, words, k in ((usual.mean(), "44 test wines", 0), (odd, "the strange one", 3)):
        axes[0].text(at, 0.5, words, color=PALETTE[k], ha=("right", "left")[k // 3])
    axes[0].set(ylim=(-1, 1), yticks=[], title="A density tells what was never seen")
    axes[1].hist(usual, bins=12, color=PALETTE[0])
    axes[1].set(ylabel="wines", title="The test wines, closer", yticks=range(0, 16, 5))
    for ax in axes:
        ax.set_xlabel("log p(x) in nats")
print(f"least likely test wine: {usual.min():.1f} nats; the strange one: {odd:.1f} nats")

# %% [check]
told = [
    ask(posterior, "p(y | x)", x=strange).probs[0]
    for posterior in (naive_bayes, logistic)
]
assert min(probs.max() for probs in told) > 0.99
assert told[0].argmax() != told[1].argmax()
assert odd < usual.min() - 10  # far below every one of them
trained = ask(naive_bayes, "p(x)").log_prob(x=x)
assert odd < trained.min() - 10  # and below the wines it was fitted to

# %% [markdown]
# The strange wine lies far below every test wine. A rule such as "do not decide below the least likely
# training wine" would have caught it. (It is no cure-all: deep models of images gave higher
# densities to pictures of another kind than to their own, Nalisnick and others 2019.)
#
# ## The same with numbers: regression
#
# Nothing above needs `y` to be a class. Take irises: `x` is the length of a petal, `y` its width, both in
# standard deviations. The discriminative model is linear regression: a line, and Normal noise about it. The
# generative one draws the width first, and then a length that fits it.

# %%
petals = iris().standardized().x
length, width = petals[:, 2:3], petals[:, 3]
forwards, backwards = LinearRegression(features=1), GaussianRegression(features=1)
print(forwards)
print(backwards)
given_length = fit(forwards, x=length, y=width)
both = fit(backwards, x=length, y=width)

# %% [markdown]
# (`tau` and `kappa` are precisions, and `w` are the intercept and slope of a line: of widths over lengths in
# the first model, of lengths over widths in the second.) Where is `x` in the two lines? Right of a bar only
# in the first; left of one in the second. So the first
# answers $p(y \mid x)$ and no more. The second answers it by Bayes' rule, in which the sum over classes
# became an integral over widths, and it can be turned round: $p(x \mid y)$, lengths for a given width.

# %%
lengths = torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]
widths = torch.tensor([-1.2, 0.2, 1.4], dtype=torch.float64)
invented = [
    ask(both, "p(x | y)", y=w).sample(40, seed=i)[:, 0] for i, w in enumerate(widths)
]
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.4), sharex=True, sharey=True)
    for ax in axes:
        ax.scatter(
            length[:, 0],
            width,
            s=10,
            color=PALETTE[6],
            alpha=0.5,
            label="150 irises",
            linewidths=0,
        )
        ax.set(xlabel="petal length x (standard deviations)")
    axes[0].plot(
        lengths,
        ask(given_length, "p(y | x)", x=lengths).mean,
        color=PALETTE[1],
        label="linear regression",
    )
    axes[0].plot(
        lengths,
        ask(both, "p(y | x)", x=lengths).mean,
        "--",
        color=PALETTE[0],
        label="by Bayes' rule",
    )
    axes[0].set(ylabel="petal width y (standard deviations)", title="mean of p(y | x)")
    for i, w in enumerate(widths):
        axes[1].scatter(invented[i], w.repeat(40), s=12, marker="|", color=PALETTE[i])
    axes[1].set_title("lengths drawn from p(x | y), three widths")
    axes[0].legend(fontsize=9)

# %% [check]
assert str(forwards) == "p(tau) p(w | tau) p(y | x, w, tau)"
assert (
    str(backwards)
    == "p(tau) p(mu | tau) p(kappa) p(w | kappa) p(y | mu, tau) p(x | y, w, kappa)"
)
lines = [ask(p, "p(y | x)", x=lengths).mean for p in (given_length, both)]
assert (lines[0] - lines[1]).abs().max() < 0.05  # "lie on one another"
assert ask(given_length, "p(y | x)", x=lengths).how == "exact"
assert torch.stack([d.mean() for d in invented]).diff().min() > 0.5  # wider: longer
refused = 0
try:
    ask(given_length, "p(x | y)", y=0.2)
except Unanswerable:
    refused = 1
assert refused

# %% [markdown]
# On the left, the two lines lie on one another. The second model says that length and width are jointly
# Normal; the conditional of a joint Normal is just such a line, and that is all that the first one says. On
# the right is what only the second can do. Wider petals come with longer ones.
#
# ## Exercises
#
# Try each before you open its solution.
#
# **1.** Without running it: can `GaussianNaiveBayes` answer $p(y \mid x)$ if *all* cells of a row are
# missing? What should the answer be? Then try.
#
# <details><summary>Solution</summary>
#
# Yes: both features are summed out, and what is left of Bayes' rule is $p(y)$, the class frequencies.
#
# ```python
# nothing = torch.full((1, 2), float("nan"), dtype=torch.float64)
# answer = ask(naive_bayes, "p(y | x)", x=nothing).probs[0]
# prior = ask(naive_bayes, "p(y)").probs
# print(answer, prior)
# assert torch.allclose(answer, prior)
# ```
#
# </details>
#
# **2.** Draw 1,000 wines *with* their classes from $p(x, y)$. How often does naive Bayes, asked $p(y \mid
# x)$, find the class that each was drawn with? Is that better or worse than on the real test wines, and why
# might that be?
#
# <details><summary>Solution</summary>
#
# On its own wines the model is the truth, so no classifier does better there on average; still, two features
# do not tell all wines apart. On the real ones it does as well, so its assumptions cost little here.
#
# ```python
# own = ask(naive_bayes, "p(x, y)").sample(1000, seed=0)
# found = ask(naive_bayes, "p(y | x)", x=own["x"]).mode
# share = (found == own["y"]).double().mean()
# real = (ask(naive_bayes, "p(y | x)", x=x_test).mode == y_test).double().mean()
# print(f"{share:.1%} of its own wines, {real:.1%} of real ones")
# assert 0.85 < share < 0.97
# assert abs(share - real) < 0.08
# ```
#
# </details>
#
# **3.** Write down the joint of a spam filter that is given a mail `x` and draws "spam or not" `y`, and that
# of one that draws `y` first and then the words. Which can write spam?
#
# <details><summary>Solution</summary>
#
# $p(w)\,p(y \mid x, w)$, and $p(\pi)\,p(\theta)\,p(y \mid \pi)\,p(x \mid y, \theta)$, where $\theta$ says how
# frequent each word is in mails of each kind. The second can: only there is `x` left of a bar.
#
# The library has it; lesson 4 fits it to texts. Its line has one factor more: whoever writes a mail must also
# know how long it is to be, so `lam`, the number of words to be expected, is a parameter, too.
#
# ```python
# from ppl_gen.models import MultinomialNaiveBayes
#
# print(MultinomialNaiveBayes(classes=2, features=1000))
# assert "p(lam)" in str(MultinomialNaiveBayes(classes=2, features=1000))
# ```
#
# </details>
#
# **4.** Find the wine on the line from the mean `(0, 0)` to the strange one `(8, 8)` at which naive Bayes's
# $\log p(x)$ falls below that of every test wine. How sure is logistic regression there?
#
# <details><summary>Solution</summary>
#
# ```python
# steps = torch.linspace(0, 1, 81, dtype=torch.float64)[:, None]
# line = steps * strange
# density = ask(naive_bayes, "p(x)").log_prob(x=line)
# first = int((density < usual.min()).nonzero()[0])
# sure = ask(logistic, "p(y | x)", x=line[first : first + 1]).probs.max()
# print(f"at {line[first].tolist()}: logistic regression is {sure:.1%} sure")
# sureness = ask(logistic, "p(y | x)", x=line[first:]).probs.amax(1)
# assert sure > 0.9
# assert bool((sureness.diff() > -1e-9).all())
# ```
#
# It is sure long before anything was ever seen there, and it grows surer the further one goes.
#
# </details>
#
# ## Further reading
#
# * C. M. Bishop, *Pattern Recognition and Machine Learning* (2006), sections 1.5.4 and 4.2–4.3: the two ways,
#   with the trade-offs between them.
# * A. Y. Ng and M. I. Jordan, "On Discriminative vs. Generative Classifiers: A comparison of logistic
#   regression and naive Bayes", *NIPS* 14 (2001): which learns faster, and which ends up better. Lesson 3
#   repeats it.
# * T. Minka, "Discriminative models, not discriminative training", Microsoft Research TR-2005-144 (2005): two
#   pages on what the difference is, and what it is not.
# * K. P. Murphy, *Probabilistic Machine Learning: An Introduction* (2022), chapter 9: generative classifiers.
# * E. Nalisnick, A. Matsukawa, Y. W. Teh, D. Gorur and B. Lakshminarayanan, "Do Deep Generative Models Know
#   What They Don't Know?", *ICLR* (2019).
#
# The data: M. Forina et al., *PARVUS* (1988), https://doi.org/10.24432/C5PC7J; R. A. Fisher, *Annals of
# Eugenics* 7 (1936).

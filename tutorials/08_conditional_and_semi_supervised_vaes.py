# %% [markdown]
# # 8 · Conditional and semi-supervised VAEs
#
# A written digit is two things at once: *which* digit it is, and *how* it was written, thick or thin, upright
# or slanted. The first is its **class**, `y`; the second we call its **style**, `z`. This lesson builds a
# joint that keeps them apart. It draws a seven in the hand that wrote your three. And it learns to name
# digits from fifty named ones and a thousand that nobody named.
#
# **You will learn** to give a class to a variational autoencoder, to swap the class while the style stays, to
# classify by asking a generative model which class explains a picture best, and to learn from rows without
# labels, with what can go wrong there.
#
# **You need** Python, and from probability: conditional distributions, Bayes' rule, expectations. Lesson 7
# tells more about autoencoders; what is needed of it is repeated here.
#
# **It takes** about 40 minutes; the code runs in about a minute, on data that need no download.

# %% [install]
import importlib.util

# Where ppl-gen is missing, as on Colab. This needs a released version; before the first,
# install it from a copy of its source: `pip install .` there.
if importlib.util.find_spec("ppl_gen") is None:
    get_ipython().run_line_magic("pip", "install --quiet ppl-gen")  # noqa: F821

# %%
import textwrap
import warnings

import matplotlib.pyplot as plt
import torch

from ppl_gen import SVI, Importance, ask, fit
from ppl_gen.data import digits
from ppl_gen.errors import NotGenerated, Unreliable
from ppl_gen.models import (
    VAE,
    BernoulliNaiveBayes,
    ConditionalVAE,
    LogisticRegression,
    SemiSupervisedVAE,
)
from ppl_gen.plot import images, sample_grid, style
from ppl_gen.plot.style import PALETTE

# That an integral is rough is printed below, by `.how`.
warnings.simplefilter("ignore", Unreliable)

# %% [markdown]
# ## Digits in ink
#
# Each picture has 8 × 8 pixels. We make them black and white: a pixel is ink, 1, where its grey level is more
# than 7 of 16, and paper, 0, elsewhere. Seven in ten pictures are for learning, the others for tests.

# %%
train, test = digits().split(test=0.3, seed=0)
x, y = (train.x > 7).float(), train.y
x_test, y_test = (test.x > 7).float(), test.y
two = [torch.nonzero(y == k)[:2, 0] for k in range(10)]  # of each class
first = torch.stack(two, 1)
with style():
    images(x[first.flatten()], columns=10).set_title(
        f"{len(x):,} digits to learn from: two of each class"
    )

# %% [check]
assert x.shape == (1258, 64)
assert len(x_test) == 539
assert set(x.unique().tolist()) == {0.0, 1.0}
assert train.x.max() == 16

# %% [markdown]
# ## A VAE, in short
#
# A **variational autoencoder** says that each picture comes from a short hidden code `z`, here two numbers.
# Draw the code from a standard Normal; a neural network, the **decoder**, turns it into 64 probabilities of
# ink; draw the pixels. (A neural network is a function with very many parameters, its weights, which can be
# bent to almost any shape.) Print it; `latent` is the length of the code, and each network has one inner
# layer of 128 units:

# %%
plain = VAE(features=64, latent=2, hidden=(128,))
print(plain)

# %% [markdown]
# To learn, we want parameters of the decoder that make $p(x) = \int p(z)\,p(x \mid z)\,dz$ large. That
# integral has no closed form. A second network, the **encoder**, is given a picture and guesses its code: it
# is the *guide* $q(z \mid x)$, a Normal distribution. Both networks climb the evidence lower bound,
# $$\mathrm{ELBO} = \mathbb{E}_{q(z \mid x)}\big[\log p(z) + \log p(x \mid z) - \log q(z \mid x)\big]
# \;\le\; \log p(x),$$
# in units called nats (natural logarithms). Here $\mathbb{E}_{q(z \mid x)}$ is the mean over codes drawn
# from the guide. `SVI`, stochastic variational inference, is that climb: a small step up for every batch of
# rows, many times.

# %%
vae = fit(plain, SVI(steps=1500, learning_rate=5e-3), x=x)
print(
    f"ELBO: {vae.elbo[0] / len(x):.1f} nats a picture at the start,",
    f"{vae.elbo[-100:].mean() / len(x):.1f} now",
)

# %% [check]
assert str(plain) == "p(z) p(x | z)"
assert vae.elbo[-100:].mean() / len(x) > vae.elbo[0] / len(x) + 3

# %% [markdown]
# The code of a plain VAE must tell everything about a picture, its class included. But we know the class.
#
# ## Give it the class
#
# Put `y` to the right of the bar, where what is *given* stands:

# %%
conditional = ConditionalVAE(classes=10, features=64, latent=2, hidden=(128,))
print(conditional)
conditional

# %% [markdown]
# This is a **conditional VAE**. (The name is that of Sohn, Lee and Yan 2015, whose code may depend on what is
# given; a code independent of the class, and the swaps below, are of Kingma, Mohamed, Rezende and Welling
# 2014.) The decoder sees the code *and* the class; so does the encoder, $q(z \mid x, y)$. Two things can be
# read off the line. `y` has no factor of its own: the model never says which digits come, only what each
# looks like. And `z` has no `y` to its right: **before a picture is seen, code and class are independent**.
# What the class tells, the code need not tell again, and two numbers are all it has. So it has reason to
# spend them on what the class leaves open: the style.
#
# Fit it to the same pictures, and draw four digits of each class.

# %%
cvae = fit(conditional, SVI(steps=1500, learning_rate=5e-3), x=x, y=y)
drawn = ask(cvae, "p(x | y)", y=torch.arange(10)).sample(4, seed=0)  # (4, 10, 64)
with style():
    ax = sample_grid(
        {"real": x[first[0]]} | {f"drawn {i + 1}": drawn[i] for i in range(4)}
    )
    ax.set_title("digits drawn from p(x | y), y = 0 … 9")

# %% [markdown]
# Every pixel was drawn on its own, given the 64 probabilities, hence the crumbs. Are they what was asked for?
# Let a judge decide, one that learned from the real pictures to name digits: logistic regression.

# %%
judge = fit(LogisticRegression(classes=10, features=64), SVI(steps=500), x=x, y=y)
asked = torch.arange(10).repeat_interleave(100)
thousand = ask(cvae, "p(x | y)", y=asked).sample(seed=1)
named = {
    "of 1,000 drawn digits": ask(judge, "p(y | x)", x=thousand).mode == asked,
    "of the test digits": ask(judge, "p(y | x)", x=x_test).mode == y_test,
    "of those it learned from": ask(judge, "p(y | x)", x=x).mode == y,
}
for name, hits in named.items():
    share = hits.double().mean()
    error = (share * (1 - share) / len(hits)).sqrt()
    print(f"{name:25} the judge names {share:.0%} ± {2 * error:.0%} rightly")

# %% [check]
assert str(conditional) == "p(z) p(x | z, y)"
assert (
    cvae.elbo[-100:].mean() > vae.elbo[-100:].mean()
)  # "what the class tells, the code need not"
agrees, real, known_to_it = (hits.double().mean() for hits in named.values())
assert agrees > 0.75  # "most"
assert 0.85 < real < agrees < known_to_it

# %% [markdown]
# Most of the drawn digits are what was asked for. (± is two standard errors of the share.) They are even
# named rightly more often than real test digits: model and judge have learned from the same pictures, and the
# judge knows those best. What can this model *not* be asked? It was given the class, so it cannot find it:

# %%
try:
    ask(cvae, "p(y | x)", x=x_test)
except NotGenerated as refusal:
    print(refusal)

# %% [check]
refused = 0
try:
    ask(cvae, "p(y | x)", x=x_test)
except NotGenerated:
    refused = 1
assert refused

# %% [markdown]
# ## Style against class
#
# Did the two part? Look at the codes: for each training picture, the mean of the guide, which is the first
# half of what the encoder gives. Each is marked by its digit; five of the ten are shown.

# %%
with torch.no_grad():
    marks = torch.nn.functional.one_hot(
        y, 10
    ).float()  # the class as ten numbers: nine zeros and a one
    codes = {
        "VAE, q(z | x)": vae.model.encoder(x)[:, :2],
        "conditional VAE, q(z | x, y)": cvae.model.encoder(torch.cat([x, marks], 1))[
            :, :2
        ],
    }
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.6), sharex=True, sharey=True)
    for ax, (name, z) in zip(axes, codes.items(), strict=True):
        for k in range(5):
            own = z[y == k]
            ax.scatter(
                own[:, 0],
                own[:, 1],
                s=26,
                color=PALETTE[k],
                marker=f"${k}$",
                linewidths=0,
            )
        ax.set(title=name, xlabel="first number of z", xlim=(-4, 4), ylim=(-4, 4))
    axes[0].set_ylabel("second number of z")


def told(z):
    """How often the picture with the nearest code is of the same class."""
    distances = torch.cdist(z, z).fill_diagonal_(torch.inf)
    return (y[distances.argmin(1)] == y).double().mean()


for name, z in codes.items():
    print(
        f"{name:29} the nearest code is of the same class in {told(z):.0%} of the cases"
    )

# %% [check]
shares = [told(z) for z in codes.values()]
assert shares[0] > 0.5
assert 0.1 < shares[1] < 0.25  # nearly chance, and a little more
assert shares[1] < shares[0] - 0.3
away = [
    max(float(z[y == k].mean(0).norm()) for k in range(10)) for z in codes.values()
]  # the middle of a class from that of the plane
assert away[1] < away[0] / 2  # "on top of one another: near the centre"

# %% [markdown]
# The plain VAE sorts its plane by class, because there the class has to be told by the code. In the
# conditional one the classes lie nearly on top of one another: near the centre of the plane is the ordinary
# way of writing *each* digit. By chance alone, one in ten nearest codes would be of the same class; what is
# more than that is a little of the class that stays in the code.
#
# So now we can turn one knob and leave the other. On the left, one style for each row and the ten classes
# side by side; from row to row the style goes straight up the plane, its second number from −2 to 2 and its
# first 0. On the right, one class, its style running over the whole plane.

# %%
styles = torch.tensor([[0.0, 2.0], [0.0, 1.0], [0.0, 0.0], [0.0, -1.0], [0.0, -2.0]])
swapped = ask(
    cvae, "p(x | z, y)", z=styles.repeat_interleave(10, 0), y=torch.arange(10).repeat(5)
).mean
side = torch.linspace(-2, 2, 7)
plane = torch.cartesian_prod(side.flip(0), side).flip(1)  # rows from the top down
ones = ask(cvae, "p(x | z, y)", z=plane, y=torch.ones(49)).mean
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 2.7), width_ratios=(1.75, 1))
    rows = {
        f"({a:g}, {b:g})".replace("-", "−"): swapped[10 * i :][:10]
        for i, (a, b) in enumerate(styles)
    }
    sample_grid(rows, ax=axes[0]).set(title="five styles z, ten classes")
    images(ones, columns=7, ax=axes[1]).set_title("y = 1, z over the plane")

# %% [check]
feet = ones.reshape(49, 8, 8)[:, 7].sum(1)  # ink of the lowest row of pixels
assert feet.max() > feet.min() + 2  # "with a foot and without"
by_style = swapped.reshape(5, 10, 64)
ends = (by_style[0] - by_style[4]).square().sum(1)
steps = (by_style[1:] - by_style[:-1]).square().sum(2)
assert (steps < ends).all()  # "row to row": each class changes little by little
assert ends.min() > 0.5

# %% [markdown]
# Shown are the probabilities of ink, the mean of $p(x \mid z, y)$, so there are no crumbs. Read a row on the
# left: ten different digits in one hand; and down a column: one digit, from hand to hand. On the right, ones
# of many hands, with a foot and without: `z` runs from (−2, −2) at the lower left to (2, 2) at the upper
# right. If you run this notebook, move the sliders.

# %%
if importlib.util.find_spec("ipywidgets"):
    from ipywidgets import FloatSlider, interact

    def written(first=0.0, second=0.0):
        z = torch.tensor([[first, second]]).repeat(10, 1)
        with style():
            images(ask(cvae, "p(x | z, y)", z=z, y=torch.arange(10)).mean, columns=10)
        plt.show()

    knob = {"min": -2, "max": 2, "step": 0.25, "continuous_update": False}
    _ = interact(written, first=FloatSlider(0, **knob), second=FloatSlider(0, **knob))

# %% [markdown]
# ## Analogies
#
# The same with a *real* digit. Ask for its style, $p(z \mid x, y)$; keep it, and swap the class. "What would
# a 7 look like, if the one who wrote this 3 had written it?"
#
# What can be measured of a hand is its **lean**: how far the ink moves to the right from the bottom of the
# picture to its top (the covariance of a pixel's column and its height, weighted by the ink). We take of
# three classes the test digit that leans least to the right, and the one that leans most.

# %%
across, up = torch.arange(8.0).repeat(8), 7 - torch.arange(8.0).repeat_interleave(8)


def lean(pictures):
    share = pictures.double() / pictures.sum(1, keepdim=True)
    return (share * across * up).sum(1) - (share * across).sum(1) * (share * up).sum(1)


sources = []
for k in (3, 4, 7):
    rows = torch.nonzero(y_test == k)[:, 0]
    order = rows[lean(x_test[rows]).argsort()]
    sources += [int(order[0]), int(order[-1])]
style_of = ask(cvae, "p(z | x, y)", x=x_test[sources], y=y_test[sources])
z = style_of.mean.float()
analogies = ask(
    cvae, "p(x | z, y)", z=z.repeat_interleave(10, 0), y=torch.arange(10).repeat(6)
).mean
sheet = torch.cat([x_test[sources][:, None], analogies.reshape(6, 10, 64)], 1)
with style():
    ax = images(sheet.flatten(0, 1), columns=11)
    ax.axvline(8, color=PALETTE[3])
    ax.set_title("left a real digit, right its style in ten classes")
print(style_of.how)

# %% [markdown]
# (The printed line is about the mean of $p(z \mid x, y)$, which was found with draws from the guide: "s.e."
# is its standard error, and "k-hat" tells whether the guide is near enough to the posterior; below 0.7 it
# is.)
#
# And for all test digits at once: how a digit leans, beside how its style makes the nine *other* classes
# lean.

# %%
with torch.no_grad():
    its = torch.nn.functional.one_hot(y_test, 10).float()
    hands = cvae.model.encoder(torch.cat([x_test, its], 1))[:, :2]
every = ask(
    cvae,
    "p(x | z, y)",
    z=hands.repeat_interleave(10, 0),
    y=torch.arange(10).repeat(len(hands)),
).mean


def beside_its_swaps(measure):
    """A measure of each real digit and of its nine swaps, beside their classes' means."""
    swaps = measure(every).reshape(-1, 10)
    swaps = swaps - swaps.mean(0)
    usual = torch.stack([measure(x_test[y_test == k]).mean() for k in range(10)])
    others = swaps.masked_fill(its.bool(), 0).sum(1) / 9
    return torch.stack([measure(x_test) - usual[y_test], others])


own, others = leans = beside_its_swaps(lean)
inks = beside_its_swaps(lambda pictures: pictures.double().sum(1))
with style():
    figure, ax = plt.subplots(figsize=(4.4, 3.0))
    ax.scatter(own, others, s=9, color=PALETTE[0], linewidths=0)
    ax.set(
        xlabel="lean of the real digit (pixels²)", ylabel="of its nine swaps (pixels²)"
    )
    ax.set_title("Who leans in one class leans in all")
correlation = torch.corrcoef(leans)[0, 1]
print(f"correlation of lean: {correlation:.2f}")
print(f"       of thickness: {torch.corrcoef(inks)[0, 1]:.2f}")

# %% [check]
assert correlation > 0.4
assert torch.corrcoef(inks)[0, 1].abs() < min(0.3, correlation - 0.2)  # "hardly anything"

# %% [markdown]
# Nobody told the model what "leaning" is, or that a leaning 3 and a leaning 7 have anything in common. Since
# `z` and `y` are independent in the joint, each class has to use the whole plane of codes; and since all
# classes share one decoder, one code comes to mean the same hand in each. (The joint does not *force* that: a
# decoder could turn the plane round for every class. And other sides of a hand find little room in a code of
# two numbers. How thick a digit is, its sum of ink, says hardly anything of its swaps.)
#
# ## Add one factor, and it classifies
#
# To find the class by Bayes' rule, the joint must generate it. One factor is missing, $p(y)$. (The code has
# four numbers this time. `dropout` silences a tenth of the networks' inner units at each step of the climb,
# others each time, so that no unit comes to rely on few others.)

# %%
network = {"classes": 10, "features": 64, "latent": 4, "hidden": (128,), "dropout": 0.1}
semi = SemiSupervisedVAE(**network)
print(semi)

# %% [markdown]
# Now `y` is left of a bar, and the class can be asked for:
# $$p(y \mid x) = \frac{p(y)\,p(x \mid y)}{\sum_{y'} p(y')\,p(x \mid y')}, \qquad
# p(x \mid y) = \int p(z)\,p(x \mid y, z)\,dz.$$
# In words: imagine each of the ten digits in every style, and
# see which makes this picture most likely. The sum over classes is **enumerated**, term by term. The integral
# over styles is an average over draws of the guide, weighted so that the guide's errors cancel: importance
# sampling.
#
# There is more. A class that the joint generates may also be *hidden*. A picture that nobody named still
# teaches what pictures look like: its likelihood is $p(x) = \sum_y p(y)\,p(x \mid y)$. That is
# **semi-supervised learning**: few rows with a label, many without. Here the label of a row is kept for five
# pictures of each class; of all others it is NaN, "not observed".


# %%
def few_labels(each):
    """Which rows keep their label: so many of every class, drawn at random."""
    generator = torch.Generator().manual_seed(0)
    own = [torch.nonzero(y == k)[:, 0] for k in range(10)]
    return torch.cat(
        [rows[torch.randperm(len(rows), generator=generator)[:each]] for rows in own]
    )


def hidden_but(kept):
    """The labels of these rows, NaN for all others."""
    known = torch.full((len(y),), torch.nan)
    known[kept] = y[kept].float()
    return known


labelled = few_labels(5)
known = hidden_but(labelled)
print(f"{(~known.isnan()).sum()} rows with a label, {known.isnan().sum():,} without")

# %% [markdown]
# What is climbed (Kingma, Mohamed, Rezende and Welling 2014) is built of two bounds. For a picture with its
# class, the ELBO with that class put in:
# $$\mathcal{L}(x, y) = \mathbb{E}_{q(z \mid x, y)}\big[\log p(y) + \log p(z) + \log p(x \mid y, z) -
# \log q(z \mid x, y)\big] \;\le\; \log p(x, y).$$
# For a picture without, the guide must guess the class too.
# A third network, the **classifier** $q(y \mid x)$, does, and the bound averages over its guesses:
# $$\mathcal{U}(x) = \sum_y q(y \mid x)\,\big[\mathcal{L}(x, y) - \log q(y \mid x)\big] \;\le\; \log p(x).$$
# Look for the classifier in $\mathcal{L}$: it is not there. Rows *with* a label, the only ones that know
# something about names, would teach the classifier nothing. So a third term is added for them, $\alpha \log
# q(y \mid x)$, which has nothing to do with the joint. The library takes $\alpha = 10$. We come back to it.
# The note of the fit tells what that term came to, "beside" the ELBO: some nats below 0 (at 0 the classifier
# would be certain of all fifty). The sum of the two bounds nothing.

# %%
climb = SVI(steps=1000, learning_rate=5e-3, batch_size=50)
posterior = fit(semi, climb, x=x, y=known)
print(textwrap.fill(posterior.note, 88))

# %% [check]
assert str(semi) == "p(y) p(z) p(x | y, z)"
assert (~known.isnan()).sum() == 50
assert known.isnan().sum() == 1208
assert semi.alpha == 10
assert "no bound" in posterior.note
assert (
    -100 < float(posterior.note.split(" nats beside")[0].split()[-1]) < 0
)  # "some nats"

# %% [markdown]
# And beside it those who learn from the fifty labels alone: a discriminative twin, logistic regression, and
# the plain generative one, naive Bayes. A fourth learner shows what the nameless pictures are worth: the very
# same VAE, fitted to the fifty named ones only. Then its classifier is an ordinary neural network trained on
# fifty rows.

# %%
alone = fit(
    semi, SVI(steps=400, learning_rate=5e-3, batch_size=50), x=x[labelled], y=y[labelled]
)
logistic = fit(LogisticRegression(classes=10, features=64), x=x[labelled], y=y[labelled])
bayes = fit(BernoulliNaiveBayes(classes=10, features=64), x=x[labelled], y=y[labelled])


def right(classes):
    return (classes == y_test).double().mean().item()


by_the_joint = ask(posterior, "p(y | x)", Importance(100), x=x_test)
named = {
    "semi-supervised VAE: p(y | x) of the joint": right(by_the_joint.mode),
    "semi-supervised VAE: its classifier q(y | x)": right(
        posterior.model.classifier(x_test).argmax(1)
    ),
    "the same classifier, 50 labels alone": right(
        alone.model.classifier(x_test).argmax(1)
    ),
    "naive Bayes, 50 labels alone": right(ask(bayes, "p(y | x)", x=x_test).mode),
    "logistic regression, 50 labels alone": right(
        ask(logistic, "p(y | x)", x=x_test).mode
    ),
}
with style():
    figure, ax = plt.subplots(figsize=(6.6, 2.3))
    ax.barh(list(named), list(named.values()), color=[PALETTE[0]] * 2 + [PALETTE[6]] * 3)
    ax.bar_label(ax.containers[0], fmt="{:.0%}", padding=3)
    ax.set(
        xlim=(0, 1), xlabel="share of 539 test digits named rightly", title="Fifty labels"
    )
    ax.invert_yaxis()
    ax.grid(False)
print(by_the_joint.how)

# %% [check]
shares = list(named.values())
assert min(shares[:2]) > max(shares[2:]) + 0.01  # "both ahead of all three"
assert abs(shares[0] - shares[1]) < 0.06
assert by_the_joint.how.startswith("importance sampled (100 draws")

# %% [markdown]
# Both answers of the semi-supervised VAE are ahead of all who had the labels alone. The thousand nameless
# pictures teach the decoder what digits look like; the fifty names tell it which kinds of likeness are meant.
#
# The two answers are nearly as good as one another, as they should: the classifier was trained to guess what
# the joint would say. The joint's own answer costs ten decodings for each draw; the classifier's costs one
# pass. (The printed line tells how well the integral went, first the standard error and k-hat of the median
# picture. That k-hat is above 0.7 for some pictures says that of these a few draws carry nearly all the
# weight, and that their probabilities are rough.)
#
# How does the advantage change with the number of labels?

# %%
counts, curves = (
    (2, 5, 10, 30),
    {"semi-supervised VAE": [], "logistic regression": [], "naive Bayes": []},
)
for each in counts:
    kept = few_labels(each)
    found = posterior if each == 5 else fit(semi, climb, x=x, y=hidden_but(kept))
    curves["semi-supervised VAE"].append(right(found.model.classifier(x_test).argmax(1)))
    for name, model in (
        ("logistic regression", LogisticRegression),
        ("naive Bayes", BernoulliNaiveBayes),
    ):
        twin = fit(model(classes=10, features=64), x=x[kept], y=y[kept])
        curves[name].append(right(ask(twin, "p(y | x)", x=x_test).mode))
with style():
    figure, ax = plt.subplots(figsize=(5.8, 3.2))
    for k, (name, shares) in enumerate(curves.items()):
        ax.plot(
            [10 * each for each in counts],
            shares,
            marker="os^"[k],
            color=PALETTE[k],
            label=name,
        )
    ax.set_xscale("log")
    ax.set_xticks([10 * each for each in counts], [str(10 * each) for each in counts])
    ax.minorticks_off()
    ax.set(
        xlabel="rows with a label",
        ylabel="share named rightly",
        title="What rows without labels add",
    )
    ax.legend(loc="lower right")

# %% [check]
vae_curve, logistic_curve, bayes_curve = (torch.tensor(c) for c in curves.values())
gains = vae_curve - logistic_curve
assert gains[1:].mean() > 0.03  # "ahead from fifty labels on"
assert gains[1:].min() > 0
assert gains[1] > gains[3]  # "by little"
assert (vae_curve[1:] - bayes_curve[1:]).min() > 0
assert vae_curve[0] < vae_curve[1] - 0.05  # "with twenty it is far worse"
assert vae_curve[0] < bayes_curve[0]  # "no longer ahead"

# %% [markdown]
# From fifty labels on, the VAE is ahead, though with three hundred by little. With twenty, two of each
# class, it is far worse than with fifty, and no longer ahead of naive Bayes. It still sorts the nameless
# rows into ten heaps of alike pictures, but two examples do not tell it enough about *which* likeness is
# meant: heaps may then cut across the classes.
#
# One draw of the labels is one draw: `benchmarks/VAE_LABELS.md` in the library's repository repeats the
# comparison with a hundred labels ten times, with intervals.
#
# ## What goes wrong: a good bound and wrong classes
#
# Leave the classification term out: $\alpha$ all but zero. What remains is a proper bound on the log evidence
# of all the rows, and nothing but that. Surely the purer objective?

# %%
pure = fit(SemiSupervisedVAE(**network, alpha=1e-6), climb, x=x, y=known)
for name, each in (("with the term", posterior), ("without", pure)):
    bound, error = each.estimate_elbo(5)
    share = right(each.model.classifier(x_test).argmax(1))
    print(
        f"{name:14} ELBO {bound:,.0f} ± {error:.0f} nats, {bound / len(x):.1f} a picture,",
        f"{share:.0%} of the test digits named rightly",
    )

# %% [markdown]
# A picture's bounds differ by a fraction of a nat. The names differ far more. The bound asks for ten heaps of
# pictures that look alike; fifty labels among 1,258 rows hardly weigh in it. Heaps form early in the climb,
# wherever the random start leads. Here some of them take parts of two digits, so that not even the best names
# for the heaps would help. Over all rows the fractions add up, and the fit with the better names has the
# better bound: the pure objective has a better top than the one that this climb found, and who has only the
# one fit cannot know.
#
# **How to see it.** Not by the bound. Ask the model to draw: the joint says what it takes each name for. Here
# are the ten classes as either fit would draw them, as probabilities of ink: in the ordinary style, `z` = 0,
# and in two others.

# %%
with style():
    figure, axes = plt.subplots(2, 1, figsize=(6.6, 4.4))
    codes = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    hands = {"z = 0": torch.zeros(4), "one z": codes[0], "another": codes[1]}
    for ax, each, name in zip(
        axes, (posterior, pure), ("with the term", "without it"), strict=True
    ):
        rows = {
            hand: ask(each, "p(x | y, z)", y=torch.arange(10), z=code.repeat(10, 1)).mean
            for hand, code in hands.items()
        }
        sample_grid(rows, ax=ax).set_title(f"{name}: y = 0 … 9")

# %% [check]
import math

(best, error), (stuck, its) = (each.estimate_elbo(5) for each in (posterior, pure))
assert abs(best - stuck) / len(x) < 1  # "a fraction of a nat"
assert best - stuck > 5 * math.hypot(error, its)  # "over all rows the fractions add up"
wrong, good = (
    right(each.model.classifier(x_test).argmax(1)) for each in (pure, posterior)
)
assert wrong < good - 0.05
heaps = torch.nn.functional.one_hot(pure.model.classifier(x_test).argmax(1), 10)
best = (heaps.T @ torch.nn.functional.one_hot(y_test, 10)).amax(1).sum() / len(y_test)
assert best < good - 0.05  # "not even the best names for the heaps would help"
judged = [
    (
        ask(judge, "p(y | x)", x=ask(each, "p(x | y)", y=asked).sample(seed=0)).mode
        == asked
    )
    .double()
    .mean()
    for each in (posterior, pure)
]
assert judged[1] < judged[0] - 0.05  # drawing shows it

# %% [markdown]
# In the lower block some columns are a mixture of two digits, or show another than their number. Three habits
# follow.
# *Keep some labels back* and measure on them; the bound measures something else. *Draw from $p(x \mid y)$*
# and look. And remember that rows without labels help only as far as the model is right about them: they pull
# it to whatever makes them likely, and if that is not the classes you mean, more of them hurt (Cozman, Cohen
# and Cirelo 2003).
#
# ## Exercises
#
# Try each before you open its solution.
#
# **1.** In the semi-supervised joint, what is $p(z \mid y)$? Read it off the line, then compare the log
# densities of $p(z)$ and $p(z \mid y)$ at a few codes.
#
# <details><summary>Solution</summary>
#
# `z` has no `y` to its right, and `x`, which depends on both, is not seen: they are independent, so
# $p(z \mid y) = p(z)$.
#
# ```python
# z = torch.randn(5, 4)
# prior = ask(posterior, "p(z)").log_prob(z=z)
# given = ask(posterior, "p(z | y)", y=torch.arange(5)).log_prob(z=z)
# print(prior, given)
# assert torch.allclose(prior, given)
# ```
#
# Once `x` is seen they are not independent any more: a given picture is a 1 in one style *or* a 7 in another.
#
# </details>
#
# **2.** Somebody put a coffee cup on the lower half of the pictures: rows 4 to 7 are NaN. Ask the joint for
# $p(y \mid x)$ of 100 test digits. Can logistic regression answer?
#
# <details><summary>Solution</summary>
#
# The joint sums the missing pixels out; logistic regression is given `x`, and must have all of it.
#
# ```python
# covered = x_test[:100].clone()
# covered[:, 32:] = torch.nan
# half = ask(posterior, "p(y | x)", Importance(200), x=covered)
# share = (half.mode == y_test[:100]).double().mean()
# print(f"{share:.0%} right from the upper half alone")
# try:
#     ask(logistic, "p(y | x)", x=covered).probs
#     refused = False
# except ValueError as refusal:
#     print(refusal)
#     refused = True
# assert refused
# assert share > 0.3
# ```
#
# </details>
#
# **3.** Make a classifier of the *conditional* VAE after all: it has $p(x \mid y)$. Take $p(y) = 1/10$ and
# use Bayes' rule by hand on 60 test digits. (`LowerBound(k=50)` of the library bounds $\log p(x \mid y)$.)
#
# <details><summary>Solution</summary>
#
# ```python
# from ppl_gen import LowerBound
#
# some = x_test[:60]
# method = LowerBound(draws=100, k=50)
# named = [torch.full((60,), k) for k in range(10)]
# scores = [ask(cvae, "p(x | y)", method, y=each).log_prob(x=some) for each in named]
# probs = torch.stack(scores, 1).softmax(1)  # p(y) is the same for all, and cancels
# share = (probs.argmax(1) == y_test[:60]).double().mean()
# print(f"{share:.0%} right")
# assert share > 0.75
# ```
#
# It was fitted with all labels, of course.
#
# </details>
#
# **4.** Walk from one real 2 to another in the plane of styles, in six steps. Then walk the same way with the
# class 5.
#
# <details><summary>Solution</summary>
#
# ```python
# two = torch.nonzero(y_test == 2)[[0, 1], 0]
# ends = ask(cvae, "p(z | x, y)", x=x_test[two], y=y_test[two]).mean.float()
# way = torch.lerp(ends[0], ends[1], torch.linspace(0, 1, 6)[:, None])
# walks = [ask(cvae, "p(x | z, y)", z=way, y=torch.full((6,), k)).mean for k in (2, 5)]
# with style():
#     images(torch.cat(walks), columns=6)
# assert walks[0].shape == (6, 64)
# ```
#
# </details>
#
# ## Further reading
#
# * D. P. Kingma and M. Welling, "Auto-Encoding Variational Bayes", *ICLR* (2014): the VAE.
# * K. Sohn, H. Lee and X. Yan, "Learning Structured Output Representation using Deep Conditional Generative
#   Models", *NIPS* 28 (2015): the conditional VAE by that name, with a prior of the code
#   that depends on what is given.
# * D. P. Kingma, S. Mohamed, D. J. Rezende and M. Welling, "Semi-supervised Learning with Deep Generative
#   Models", *NIPS* 27 (2014): the model of the second half, there called M2, and analogies. Ours of the first
#   half is M2 without its $p(y)$.
# * K. Nigam, A. K. McCallum, S. Thrun and T. Mitchell, "Text Classification from Labeled and Unlabeled
#   Documents using EM", *Machine Learning* 39 (2000): the same idea with naive Bayes.
# * F. G. Cozman, I. Cohen and M. C. Cirelo, "Semi-Supervised Learning of Mixture Models", *ICML* (2003): why
#   rows without labels can hurt.
#
# The data: E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits* (1998),
# https://doi.org/10.24432/C50P49.

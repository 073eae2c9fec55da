# %% [markdown]
# # 7 · From PCA to autoencoders to VAEs
#
# A picture of 64 pixels is 64 numbers, but nobody needs 64 numbers to say "a 3, leaning left". Few numbers,
# the **code**, should do. This lesson finds codes in four ways, each a small change of the one before:
# principal components, autoencoders, denoising autoencoders, and variational autoencoders (VAEs). Only some
# of them are joint distributions, and only those can be asked for new pictures.
#
# **You will learn** what changes at each step; why a VAE's gradient goes *through* the draw; what the two
# terms of its bound say, and what an encoder shared by all rows costs; and how to see that a code has
# collapsed.
#
# **You need** Python and the Normal distribution; of linear algebra, that a matrix maps short vectors to long
# ones. Two more words will do. The **gradient** of a function lists its slopes, one for each number that goes
# in; who takes small steps along it climbs. A **network** is a function made of layers: each multiplies by a
# matrix of adjustable numbers, adds others, and bends the result; gradients tell how to adjust them.
#
# **It takes** about 50 minutes; the code runs in about a minute, on data that need no download.

# %% [install]
import importlib.util

# Where ppl-gen is missing, as on Colab. This needs a released version; before the first,
# install it from a copy of its source: `pip install .` there.
if importlib.util.find_spec("ppl_gen") is None:
    get_ipython().run_line_magic("pip", "install --quiet ppl-gen")  # noqa: F821

# %%
import warnings

import matplotlib.pyplot as plt
import torch

from ppl_gen import SVI, ask, fit
from ppl_gen.data import digits
from ppl_gen.diagnostics import (
    amortization_gap,
    elbo_terms,
    gradient_variance,
    reconstruct,
)
from ppl_gen.distributions import BetaBinomial
from ppl_gen.engine import LowerBound
from ppl_gen.errors import Unanswerable
from ppl_gen.models import PPCA, VAE, Autoencoder, DenoisingAutoencoder
from ppl_gen.plot import kl_terms, latent, sample_grid, style
from ppl_gen.plot.style import PALETTE

# %% [markdown]
# ## Principal components, as a joint
#
# The data: handwritten digits of 8 × 8 pixels, each with a grey level from 0 to 16. We learn from 1,497
# pictures and keep 300 for the test.
#
# **Principal component analysis** (PCA) finds the few directions in which the pictures vary most; a picture's
# code is how far it goes along each. As a joint distribution it is called *probabilistic* PCA:

# %%
train, test = digits().split(test=300, seed=0)
x, x_test, y_test = train.x.float(), test.x.float(), test.y

linear = {size: fit(PPCA(features=64, latent=size), x=train.x) for size in (2, 8, 32)}
print(linear[8].model)

# %% [markdown]
# For each picture draw a code `z` from the standard Normal distribution; then the pixels `x` from Normal
# distributions around $Wz + b$, a linear function of the code, all with one variance $\sigma^2$. The matrix
# $W$, the vector $b$ and $\sigma$ are learned, by maximum likelihood, in closed form (Tipping and Bishop,
# 1999). Let each picture be squeezed into its code, and rebuilt from it, for codes of 2, 8 and 32 numbers:

# %%
shown = [int((y_test == k).nonzero()[0, 0]) for k in range(10)]
rebuilt = {
    f"{size} numbers": reconstruct(p, x=test.x[shown]) for size, p in linear.items()
}


def pictures(title, groups, columns=10):
    """Rows of pictures, clipped to the grey levels that there are."""
    with style():
        ax = sample_grid(
            {name: rows.detach().clamp(0, 16) for name, rows in groups.items()},
            columns=columns,
        )
        ax.set_title(title)


pictures("Test digits, rebuilt from their codes", {"the digit": x_test[shown], **rebuilt})


def error(again):
    """The mean squared error of a pixel of the test digits, in squared grey levels."""
    return float((again - x_test).square().mean())


for size, p in linear.items():
    print(f"{size:2} numbers: mean squared error {error(reconstruct(p, x=test.x)):.1f}")

# %% [check]
assert (len(x), len(x_test), x.shape[1]) == (1497, 300, 64)
assert x.unique().tolist() == list(range(17))
assert str(linear[8].model) == "p(z) p(x | z)"
by_size = [error(reconstruct(p, x=test.x)) for p in linear.values()]
assert by_size == sorted(by_size, reverse=True)
values, vectors = torch.linalg.eigh(torch.cov(train.x.T, correction=0))
values, vectors = values.flip(0), vectors.flip(1)
weights = linear[8].model.linear().weights.detach()
inside = vectors[:, :8] @ (vectors[:, :8].T @ weights)
torch.testing.assert_close(inside, weights)  # the same directions as PCA

# %% [markdown]
# Two numbers hardly tell the digits apart; with 32 one must look closely to see what is lost. And since it is
# a joint, it also answers other questions, all exactly: how probable is a picture, which codes may it have
# had, and what do new ones look like?

# %%
print(ask(linear[8], "p(x)"), "|", ask(linear[8], "p(z | x)", x=test.x[:1]))
drawn = {
    f"{size} numbers": ask(p, "p(x)").sample(10, seed=1) for size, p in linear.items()
}
pictures("Drawn from p(x) of probabilistic PCA", drawn)

# %% [check]
assert ask(linear[8], "p(x)").how == "exact"
assert ask(linear[8], "p(z | x)", x=test.x[:1]).how == "exact"
assert (
    ask(linear[8], "p(x)").sample(200, seed=1) < -1
).double().mean() > 0.1  # levels that no pixel can have

# %% [markdown]
# They are ghosts of digits, in noise. A linear map of Normal codes is a Normal distribution of pictures: one
# bump in 64 dimensions, and digits are not one bump. It even draws negative grey. We need maps that bend.
#
# ## Autoencoders
#
# Replace both linear maps by networks: an **encoder** from picture to code, a **decoder** back. Train both to
# rebuild the picture. That is an **autoencoder**, an old idea, and a strong one since networks are deep
# (Hinton and Salakhutdinov, 2006). (`SVI` takes that many steps along the gradient; `learning_rate` sets how
# long a step is.)

# %%
bent = {}
for size in (2, 8):
    model = Autoencoder(features=64, latent=size)
    bent[size] = fit(
        model, SVI(steps=1000, learning_rate=3e-3, progress=False), x=x, noisy=x
    )
    again = ask(bent[size], "p(x | noisy)", noisy=x_test).mean
    by_pca = error(reconstruct(linear[size], x=test.x))
    print(f"{size:2} numbers: mean squared error {error(again):.1f}, of PCA {by_pca:.1f}")
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.5))
    codes = ask(linear[2], "p(z | x)", x=test.x).mean, bent[2].model.encode(x_test)
    for ax, z, name in zip(axes, codes, ("PCA", "autoencoder"), strict=True):
        z = z.detach()
        latent(z, y_test, ax=ax)
        # a few codes lie farther out
        low, high = z.quantile(0.02, 0).numpy(), z.quantile(0.98, 0).numpy()
        room = 0.15 * (high - low)
        ax.set(
            xlim=(low[0] - room[0], high[0] + room[0]),
            ylim=(low[1] - room[1], high[1] + room[1]),
        )
        ax.set_title(f"two-number codes by {name}")

# %% [check]
for size in (2, 8):
    again = ask(bent[size], "p(x | noisy)", noisy=x_test).mean
    assert error(again) < 0.95 * error(reconstruct(linear[size], x=test.x))

# %% [markdown]
# With as many numbers, the autoencoder rebuilds unseen digits better than PCA, which is the best that
# *linear* maps can do on the pictures they were fitted to. (A badge marks the middle of the codes of each
# class; nobody told either model of classes. The few codes farthest out lie outside of the frames.) But what
# is it as a joint?

# %%
print(bent[8].model)
try:
    ask(bent[8], "p(x)")
except Unanswerable as refusal:
    print(refusal)

# %% [check]
assert str(bent[8].model) == "p(x | noisy)"
refused = 0
try:
    ask(bent[8], "p(x)")
except Unanswerable as refusal:
    refused = "no p(z)" in str(refusal)
assert refused

# %% [markdown]
# It is discriminative: given a picture (`noisy`, for a reason that comes next) it predicts a picture. There
# is no $p(z)$, so nobody knows which codes are likely. It cannot draw a digit, and cannot say whether
# something is one.
#
# ## Denoising
#
# An autoencoder with a roomy code could learn to copy. Make the task harder: show it a *corrupted* picture,
# and ask for the clean one (Vincent and others, 2008). Now it must know what digits look like. We add Normal
# noise with a standard deviation of 4 grey levels, to four copies of each picture.

# %%
cleaner = DenoisingAutoencoder(features=64, latent=32, hidden=(128,), noise=4.0)
corrupted = torch.cat([cleaner.corrupted(x, seed=seed) for seed in range(4)])
denoising = fit(
    cleaner,
    SVI(steps=1000, learning_rate=3e-3, progress=False),
    x=x.repeat(4, 1),
    noisy=corrupted,
)
noisy = cleaner.corrupted(x_test, seed=99)
clean = ask(denoising, "p(x | noisy)", noisy=noisy).mean
pictures(
    "Noise that the network never saw, on digits it never saw",
    {"the digit": x_test[shown], "with noise": noisy[shown], "cleaned": clean[shown]},
)
print(f"mean squared error {error(noisy):.1f} with noise, {error(clean):.1f} cleaned")

# %% [check]
assert abs(error(noisy) - 16) < 0.6
assert error(clean) < 0.5 * error(noisy)

# %% [markdown]
# Such noise has a mean square of $4^2 = 16$; most of it is gone. There is more to this than clean
# pictures. The way from the noisy picture to the cleaned one points to where pictures are more probable: up
# to a factor it estimates the slope of $\log p(x)$ of noisy pictures (Vincent, 2011; Alain and Bengio, 2014).
# Diffusion models draw pictures by following it, from pure noise on, with less and less noise (Song and
# Ermon, 2019; Ho, Jain and Abbeel, 2020).
#
# ## The variational autoencoder
#
# Go back to the joint of PCA, $p(z)\,p(x \mid z)$, and let only the map bend: codes from the standard Normal,
# a network that turns a code into distributions of the 64 pixels. That is the **variational autoencoder**
# (Kingma and Welling, 2014; Rezende, Mohamed and Wierstra, 2014). Grey levels are whole numbers from 0 to 16,
# so each pixel gets a distribution over these: the beta-binomial, a binomial whose probability is itself
# random, which makes its width free. (`hidden=(128,)` gives each network one inner layer of 128 numbers.)

# %%
vae_model = VAE(64, 8, BetaBinomial(17), hidden=(128,))
print(vae_model)

# %%
vae_model

# %% [check]
assert str(vae_model) == str(linear[8].model)
assert vae_model.approximation == "q(z | x)"

# %% [markdown]
# The line is PCA's to the letter. What is lost is the algebra: $p(x) = \int p(z)\,p(x \mid z)\,dz$ has no
# closed form when a network stands inside. So an encoder guesses which codes a picture may have had: given
# $x$, it puts out a mean and a standard deviation for each number of the code, a Normal distribution $q(z
# \mid x)$. Whatever it guesses,
# $$\log p(x) \;\ge\; \underbrace{\mathbb{E}_{q(z \mid x)}\left[\log p(x \mid
# z)\right]}_{\text{reconstruction}} \;-\; \underbrace{\mathrm{KL}\left(q(z \mid x) \,\|\,
# p(z)\right)}_{\text{what the code costs}}.$$
#
# The right side is the **ELBO**, the *evidence lower bound*: $\log p(x)$ is also called the log evidence. All
# of it is in **nats**, the unit of natural logarithms. $\mathbb{E}_q$ is the average over codes drawn from
# $q$, so the first term is high if such codes rebuild the picture. In the second, KL is the
# Kullback-Leibler divergence, $\mathbb{E}_q[\log q(z \mid x) - \log p(z)]$: nil if the encoder answers
# every picture with the prior, and the larger, the more its answer tells. Training climbs the ELBO, decoder
# and encoder at once.
#
# ## The split, where everything is known
#
# Probabilistic PCA is the VAE whose networks are linear, and there nothing is hidden from us. Its best
# encoder is the exact posterior, so its ELBO *is* $\log p(x)$. The KL of dimension $j$, averaged over the
# rows, is $\tfrac12 \log(\lambda_j / \sigma^2)$, where $\lambda_j$ is the pictures' variance in the $j$-th
# principal direction: a code pays for how far a direction stands out of the noise. Let us see. (The
# reconstruction is averaged over draws of the code, so the last digits of the ELBO may differ.)

# %%
split = elbo_terms(linear[8])
variances = torch.linalg.eigvalsh(torch.cov(train.x.T, correction=0)).flip(0)
sigma2 = linear[8].model.linear().variance[0].detach()
print(split)
print("log p(x) a row:", round(linear[8].log_evidence / len(x), 3))
print("KL as measured:", [round(v, 3) for v in split.kl.tolist()])
print(
    "   by formula: ",
    [round(v, 3) for v in (variances[:8] / sigma2).log().div(2).tolist()],
)

# %% [check]
torch.testing.assert_close(split.kl, (variances[:8] / sigma2).log() / 2)
assert abs(split.elbo - linear[8].log_evidence / len(x)) < 6 * split.error + 1e-6
assert abs(split.elbo - (split.reconstruction - float(split.kl.sum()))) < 1e-9

# %% [markdown]
# ## Gradients through a draw
#
# For networks the ELBO must be climbed by gradients, and one is awkward: the reconstruction is an average
# over draws of $q$, and the gradient is wanted with respect to the parameters *of that* $q$. Take the
# smallest example: $z$ is Normal with mean $m$ and variance 1, and we want the slope of $\mathbb{E}[z^2]$ in
# $m$. By hand: $\mathbb{E}[z^2] = m^2 + 1$, so the slope is $2m$. Two ways to estimate it from draws:
#
# * **Score function** (Williams, 1992): average $z^2 \cdot \frac{\partial}{\partial m} \log q(z) = z^2 (z -
#   m)$. (The slope of a log density in its parameter is called its score.) It needs only the value $z^2$. It
#   says: be drawn more often where the value was high.
# * **Reparameterisation**: write the draw as $z = m + \varepsilon$ with $\varepsilon$ standard Normal, and
#   differentiate *through* it: average $2z$. It uses the slope of what is averaged.
#
# Both are right on average. Their variances are not alike: 4 for the second; for the first
# $m^4 + 14 m^2 + 15$.

# %%
m, draws = 1.0, 200_000
mean = torch.full((draws,), m, dtype=torch.float64, requires_grad=True)
noise = torch.randn(
    draws, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
)
z = mean + noise  # a function of the mean …
(through,) = torch.autograd.grad((z**2).sum(), mean)
z = z.detach()  # … and only a number
log_q = torch.distributions.Normal(mean, 1.0).log_prob(z)
(score,) = torch.autograd.grad((z**2 * log_q).sum(), mean)

for name, estimates in (("reparameterised", through), ("score function", score)):
    print(
        f"{name:16} mean {estimates.mean():.2f} (exact 2), variance {estimates.var():.1f}"
    )


def variances_of_slope(dimensions, draws=4000):
    """Of the slope of E[z·z] in the mean of the first of many dimensions, all means 1."""
    generator = torch.Generator().manual_seed(dimensions)
    noise = torch.randn(draws, dimensions, dtype=torch.float64, generator=generator)
    z = 1.0 + noise
    return float((2 * z[:, 0]).var()), float(((z**2).sum(1) * noise[:, 0]).var())


sizes = [1, 2, 4, 8, 16, 32, 64, 128]
spread = torch.tensor([variances_of_slope(size) for size in sizes])
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.0))
    for i, (name, estimates) in enumerate(
        (("reparameterised", through), ("score function", score))
    ):
        line = {"color": PALETTE[i], "linestyle": ("-", "--")[i]}
        axes[0].hist(
            estimates, bins=120, range=(-30, 60), log=True, histtype="step", **line
        )
        axes[1].loglog(sizes, spread[:, i], marker="os"[i], markersize=4, **line)
        place = (1.2, float(spread[2, i]))
        axes[1].annotate(
            name, place, xytext=(0, 10), textcoords="offset points", color=PALETTE[i]
        )
    axes[0].set(
        xlabel="estimate of the slope (exact: 2)",
        ylabel="draws",
        title="one draw at a time",
    )
    axes[1].set(xlabel="dimensions of z", ylabel="variance", title="more dimensions")

# %% [check]
for estimates, variance in ((through, 4.0), (score, 1.0 + 14 + 15)):
    assert abs(estimates.mean() - 2) < 5 * (variance / draws) ** 0.5
    kurtosis = ((estimates - estimates.mean()) ** 4).mean() / estimates.var() ** 2
    assert abs(estimates.var() / variance - 1) < 6 * ((kurtosis - 1) / draws) ** 0.5
assert (spread[:, 0] - 4).abs().max() < 0.8  # whatever the dimensions
assert spread[-1, 1] > 200 * spread[0, 1]
assert bool((spread[1:, 1] > spread[:-1, 1]).all())

# %% [markdown]
# The reparameterised estimate keeps its variance whatever the number of dimensions; that of the score
# function grows without end, since all other dimensions shake the value by which each draw is weighed. (The
# score function has its place: it works where $z$ is discrete and there is nothing to differentiate through.)
#
# ## A trained VAE
#
# The library's SVI (stochastic variational inference: climbing an ELBO by gradients of random draws) uses
# reparameterised ones. After the climb we estimate the encoder's gradient in both ways, 100 times, and print
# by how much the estimates scatter.

# %%
vae = fit(vae_model, SVI(steps=1000, learning_rate=3e-3, progress=False), x=x)
slopes = gradient_variance(vae, x=x_test[:50], draws=100)
for name, (_, variance) in slopes.items():
    print(f"{name:16} variance of the gradient: {float(variance.mean()):,.0f}")
found = elbo_terms(vae, x=x_test)
print("test digits:", found)
pictures(
    "A VAE with codes of eight numbers",
    {
        "the digit": x_test[shown],
        "rebuilt": reconstruct(vae, x=x_test[shown]),
        "drawn": ask(vae, "p(x)").sample(10, seed=3),
        "… its mean": ask(vae, "p(x | z)", z=ask(vae, "p(z)").sample(10, seed=3)).mean,
    },
)

# %% [check]
ratio = slopes["score function"][1].mean() / slopes["reparameterised"][1].mean()
assert ratio > 300
early = vae.elbo[:20].mean() / len(x)
assert found.elbo > early + 10
assert found.active.all()
assert found.alarm == ""
draws_of = ask(vae, "p(x)").sample(100, seed=3)
assert draws_of.min() >= 0
assert draws_of.max() <= 16

# %% [markdown]
# On this network, too, the score function's gradient is far noisier: hundreds of times, or more. The VAE
# rebuilds digits, and draws new ones, pixel noise and all; the last row shows the mean without that noise.
# Some drawn codes give no digit anybody would name: the bound is an average, and eight numbers after so short
# a training are not a painter. (PCA's bound above was a log *density* of real numbers, on the pictures it had
# learned from; this one is a log *probability* of whole grey levels, on new pictures. Do not compare them.)
#
# Since codes have a distribution, we can walk between two of them. Half way between the *pixels* of two
# digits lies a double exposure; half way between their *codes* lies a picture that the model holds possible:

# %%
ends = x_test[[shown[0], shown[4]]]
places = torch.linspace(0, 1, 9)[:, None]


def encoded(rows):
    """The means of q(z | x): the first half of what the encoder puts out."""
    return vae.model.encoder(vae.model.units(rows)).chunk(2, 1)[0].detach()


def walk(a, b):
    return (1 - places) * a + places * b


codes = encoded(ends)
decoded = ask(vae, "p(x | z)", z=walk(codes[0], codes[1])).mean
pictures(
    "From a 0 to a 4", {"pixels": walk(ends[0], ends[1]), "codes": decoded}, columns=9
)

# %% [markdown]
# Is that so? Pair 150 test digits with the other 150, and ask the model for its bound on $\log p(x)$ of what
# lies half way, rounded to whole grey levels. (`LowerBound(50)` asks for the ELBO, from 50 draws of the
# code.)

# %%
first, second = x_test[:150], x_test[150:]
between = {
    "pixels": (first + second) / 2,
    "codes": ask(vae, "p(x | z)", z=(encoded(first) + encoded(second)) / 2).mean,
}
heights = {
    name: ask(vae, "p(x)", LowerBound(50)).log_prob(x=rows.round())
    for name, rows in between.items()
}
for name, height in heights.items():
    print(
        f"bound on log p(x), half way between {name}: {height.mean():.1f} nats on average"
    )

# %% [check]
apart = heights["codes"] - heights["pixels"]
assert apart.mean() > max(2, 3 * apart.std() / 150**0.5)

# %% [markdown]
# Between codes is the better place, by several nats.
#
# If you run this notebook, move the sliders: two of the eight numbers of a digit's code.

# %%
if importlib.util.find_spec("ipywidgets"):
    from ipywidgets import interact

    def moved(first=0.0, second=0.0):
        code = codes[:1].clone()
        code[0, :2] += torch.tensor([first, second])
        pictures("", {"decoded": ask(vae, "p(x | z)", z=code).mean})

    _ = interact(moved, first=(-3.0, 3.0), second=(-3.0, 3.0))

# %% [markdown]
# ## What a shared encoder costs
#
# How far is the ELBO below $\log p(x)$? There are two reasons for a gap. The exact $p(z \mid x)$ is no Normal
# with independent numbers, and one encoder must serve all pictures: it is **amortized**, its price paid once,
# in training. The dear way would be to look for the best mean and standard deviations of each picture by
# itself. For thirty test digits we do that, and estimate $\log p(x)$ too, by a weighted average over many
# draws (*importance sampling*):

# %%
thirty = x_test[:30]
bound = ask(vae, "p(x)", LowerBound(200)).log_prob(x=thirty)
gaps, errors = amortization_gap(vae, x=thirty, steps=300, draws=200)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    evidence = ask(vae, "p(x)").log_prob(x=thirty)
print(f"encoder's bound             {bound.mean():8.2f} nats a digit")
print(f"each digit's own best q     {(bound + gaps).mean():8.2f}")
print(f"log p(x), by importance     {evidence.mean():8.2f}")
for warning in caught:
    print(warning.message)
order = gaps.argsort()
with style():
    figure, ax = plt.subplots(figsize=(5.8, 2.8))
    ax.bar(
        range(30),
        gaps[order].numpy(),
        color=PALETTE[0],
        alpha=0.6,
        label="each digit's own best q",
    )
    ax.plot(
        range(30),
        (evidence - bound)[order].numpy(),
        "D",
        color=PALETTE[1],
        markersize=5,
        label="log p(x)",
    )
    ax.set(
        xlabel="thirty test digits, sorted",
        ylabel="above the encoder's bound (nats)",
        title="Two gaps",
    )
    ax.set_xticks([])
    ax.legend(fontsize=9)

# %% [check]
assert gaps.mean() > 0.05
assert (gaps > -5 * errors - 0.05).all()
assert gaps.max() > 3 * gaps.min()
assert gaps.mean() > (evidence - bound - gaps).mean() + 0.3
assert evidence.mean() > (bound + gaps).mean() - 0.2

# %% [markdown]
# The bar is what sharing costs; from its top to the diamond is what the simple form of $q$ costs. Here
# sharing costs more, and not all digits alike: the dearest pays several times what the cheapest does.
# (Cremer, Li and Duvenaud, 2018, measured the two so.) If the library printed a warning: for some digits a
# few of the draws carry all the weight. Then the estimate of $\log p(x)$ is more likely too low than too
# high, and the second cost larger than drawn. A diamond inside of its bar is such an estimate, or noise: no
# $q$ has a bound above $\log p(x)$.
#
# ## What goes wrong: the code collapses
#
# The code has a price, the KL. If it does not pay, the best encoder is one that ignores the picture:
# **posterior collapse**. In probabilistic PCA we can say exactly when. Fix the noise instead of learning it:
# if we tell the model that pixels have more noise than a direction has variance, $\sigma^2 > \lambda_j$, then
# that direction is all noise to it. Its dimension carries nothing (Lucas and others, 2019).
#
# In a VAE the same can be done by a large weight $\beta$ on the KL (Higgins and others, 2017), or by a
# decoder so strong that it needs no code (Bowman and others, 2016). We overdo $\beta$.

# %%
loud = fit(PPCA(64, 8, noise=8.0), x=train.x)
costly = fit(
    vae_model, SVI(steps=400, learning_rate=3e-3, beta=20.0, progress=False), x=x
)
fits = {
    "PCA, noise learned": linear[8],
    "PCA, noise said to be 8": loud,
    "VAE": vae,
    "VAE, KL counted 20 times": costly,
}
splits = {name: elbo_terms(p, draws=20) for name, p in fits.items()}
with style():
    figure, axes = plt.subplots(2, 2, figsize=(7.4, 4.6), sharey="row")
    for ax, (name, terms) in zip(axes.flat, splits.items(), strict=True):
        kl_terms(terms.kl, active=terms.active, ax=ax)
        ax.set_title(name)
        ax.label_outer()
        if terms.kl.sum() < 0.05:
            ax.annotate(
                "next to nothing", (0.5, 0.5), xycoords="axes fraction", ha="center"
            )
for name, terms in splits.items():
    print(f"{name}: {terms}")

# %% [check]
expected = (variances[:8] / 64).log().div(2).clamp(min=0)
_, off, _, dead = splits.values()
torch.testing.assert_close(off.kl, expected, atol=1e-6, rtol=1e-6)
assert off.active.sum() == (variances[:8] > 64).sum() < 8
assert "posterior collapse: 0 of 8" in dead.alarm
assert dead.kl.sum() < 0.05  # "next to nothing", in the picture
assert costly.elbo[-50:].mean() > costly.elbo[:20].mean()  # nothing to see in the climb
real = ask(costly, "p(x | z)", z=ask(costly, "p(z)").sample(50, seed=0)).mean
assert (
    real.std(0).max()
    < 0.5 * ask(vae, "p(x | z)", z=ask(vae, "p(z)").sample(50, seed=0)).mean.std(0).max()
)

# %% [markdown]
# **How to see it**: not in the climb, which went up like any other, but in the split. Look at the KL
# dimension by dimension; `elbo_terms` does, and says how many are *active*, that is, how many have means
# that differ from picture to picture (Burda, Grosse and Salakhutdinov, 2016). Where none is, the decoder
# paints the same blurred average whatever code it gets. In PCA the number of active dimensions is that of
# the variances above $\sigma^2 = 8^2 = 64$, as promised.
#
# What often helps: a likelihood that fits the pixels; $\beta = 1$; a slow rise of $\beta$ at the start,
# `SVI(beta=lambda done: min(1.0, 4 * done))` (Bowman and others, 2016); or some nats of KL that are not
# charged for, `SVI(free_bits=0.1)` (Kingma and others, 2016). And a dimension or two that collapse need be no
# accident: a VAE that leaves out what it cannot use has chosen its own size.
#
# ## Exercises
#
# Try each before you open its solution.
#
# **1.** You fit `PPCA(64, 20, noise=5.0)`. From `variances` alone: how many of the 20 dimensions will be
# active? Then fit it.
#
# <details><summary>Solution</summary>
#
# As many as there are variances above $5^2 = 25$, and at most 20.
#
# ```python
# predicted = int((variances[:20] > 25).sum())
# measured = int(elbo_terms(fit(PPCA(64, 20, noise=5.0), x=train.x)).active.sum())
# print(predicted, measured)
# assert predicted == measured < 20
# ```
#
# </details>
#
# **2.** The score function has an old remedy: subtract a constant $b$, the *baseline*, from the value before
# weighing. Average $(z^2 - b)(z - m)$. Why is the mean still right? Try $b = 2$, the mean of $z^2$ at $m =
# 1$.
#
# <details><summary>Solution</summary>
#
# $\mathbb{E}[b\,(z - m)] = 0$ for every constant, so the mean stays. The variance falls, but not to 4.
#
# ```python
# plain, based = z**2 * (z - m), (z**2 - 2) * (z - m)
# print(based.mean(), plain.var(), based.var())
# assert abs(based.mean() - 2) < 0.1
# assert 4 < based.var() < 0.8 * plain.var()
# ```
#
# </details>
#
# **3.** An autoencoder has no $p(z)$. Give it one: fit a Normal distribution to the codes of the training
# digits, draw codes from it, decode. What have you built, and what does it still lack?
#
# <details><summary>Solution</summary>
#
# A sampler, with codes from $\mathcal{N}(\text{mean}, \text{covariance})$. Nothing made the codes Normal in
# training, so many draws fall where the decoder never was. It still has no honest $p(x)$: that needs a
# distribution around the decoded picture, and a bound that was trained.
#
# ```python
# codes_of = bent[8].model.encode(x).detach()
# normal = torch.distributions.MultivariateNormal(codes_of.mean(0), torch.cov(codes_of.T))
# torch.manual_seed(0)
# decoded = bent[8].model.decode(normal.sample((10,))).detach()
# pictures("", {"from the autoencoder": decoded})
# assert decoded.shape == (10, 64)
# ```
#
# </details>
#
# **4.** `importance_bounds(vae, (1, 5, 50), draws=200, x=thirty)` averages several draws *inside* the
# logarithm. For 1 it is the ELBO. What happens with more, and why can it never exceed $\log p(x)$ on average?
#
# <details><summary>Solution</summary>
#
# It rises towards $\log p(x)$. The average inside estimates $p(x)$ without bias, and the logarithm of an
# unbiased estimate is too low on average, since the logarithm is concave (Jensen's inequality); the less so,
# the less the estimate scatters.
#
# ```python
# from ppl_gen.diagnostics import importance_bounds
#
# bounds, its_errors = importance_bounds(vae, (1, 5, 50), draws=200, x=thirty)
# print((bounds / 30).tolist(), evidence.mean())
# assert bounds[0] < bounds[1] < bounds[2] < evidence.sum() + 5 * its_errors[2]
# ```
#
# </details>
#
# ## Further reading
#
# * M. E. Tipping and C. M. Bishop, "Probabilistic principal component analysis", *Journal of the Royal
#   Statistical Society B* 61 (1999).
# * G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks",
#   *Science* 313 (2006).
# * P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol, "Extracting and composing robust features with
#   denoising autoencoders", *ICML* (2008); P. Vincent, "A connection between score matching and denoising
#   autoencoders", *Neural Computation* 23 (2011); G. Alain and Y. Bengio, "What regularized auto-encoders
#   learn from the data-generating distribution", *JMLR* 15 (2014).
# * D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", *ICLR* (2014); D. J. Rezende, S. Mohamed
#   and D. Wierstra, "Stochastic backpropagation and approximate inference in deep generative models", *ICML*
#   (2014).
# * R. J. Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement
#   learning", *Machine Learning* 8 (1992): the score function.
# * Y. Song and S. Ermon, "Generative modeling by estimating gradients of the data distribution", *NeurIPS*
#   (2019); J. Ho, A. Jain and P. Abbeel, "Denoising diffusion probabilistic models", *NeurIPS* (2020).
# * C. Cremer, X. Li and D. Duvenaud, "Inference suboptimality in variational autoencoders", *ICML* (2018).
# * J. Lucas, G. Tucker, R. Grosse and M. Norouzi, "Don't blame the ELBO! A linear VAE perspective on
#   posterior collapse", *NeurIPS* (2019); Y. Burda, R. Grosse and R. Salakhutdinov, "Importance weighted
#   autoencoders", *ICLR* (2016).
# * S. R. Bowman et al., "Generating sentences from a continuous space", *CoNLL* (2016); D. P. Kingma et al.,
#   "Improved variational inference with inverse autoregressive flow", *NIPS* (2016): free bits; I. Higgins et
#   al., "beta-VAE: Learning basic visual concepts with a constrained variational framework", *ICLR* (2017).
#
# The data: E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits* (1998),
# https://doi.org/10.24432/C50P49.

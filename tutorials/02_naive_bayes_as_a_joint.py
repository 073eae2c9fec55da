# %% [markdown]
# # 2 · Naive Bayes as a joint
#
# Naive Bayes is the smallest generative classifier: draw a class, then draw every feature by itself. Its
# joint distribution fits on one line, is learned by counting, and answers more than "which class?". It
# draws new rows, it shrugs at missing cells, and it is far too sure of itself. All of that follows from the
# one line.
#
# **You will learn** what the line assumes and what that saves; to turn it round by Bayes' rule, on paper
# and in floating point (where the textbook formula breaks); to learn, generate and read half-hidden digits
# with it; and to see that its probabilities are not to be believed, and why.
#
# **You need** Python, and from probability: conditional distributions, independence, Bayes' rule.
#
# **It takes** about 45 minutes; the code runs in under a minute, on data that need no download.

# %% [install]
import importlib.util

# Where ppl-gen is missing, as on Colab. This needs a released version; before the first,
# install it from a copy of its source: `pip install .` there.
if importlib.util.find_spec("ppl_gen") is None:
    get_ipython().run_line_magic("pip", "install --quiet ppl-gen")  # noqa: F821

# %%
import matplotlib.pyplot as plt
import torch

from ppl_gen import MAP, MaximumLikelihood, ask, explain, fit, imputed, plot, reliability
from ppl_gen.data import digits, gaussian_classes, wine
from ppl_gen.models import BernoulliNaiveBayes, GaussianNaiveBayes
from ppl_gen.plot import style
from ppl_gen.plot.style import PALETTE

# %% [markdown]
# ## One line, and what it assumes
#
# Somebody comes to a doctor with a cold or a flu: the class $y$. The doctor notes two features
# $x = (x_1, x_2)$, each yes (1) or no (0): fever and cough. Print the model:

# %%
doctor = BernoulliNaiveBayes(classes=2, features=2)
print(doctor)

# %% [markdown]
# Every factor says how one variable comes about, from left to right. `pi` and `theta` are the model's
# parameters: `pi[y]` is how frequent class $y$ is, `theta[y, j]` how often feature $j$ is a yes in class
# $y$. (That they have factors of their own, $p(\pi)$ and $p(\theta)$, will matter when we learn them.)
# Given both, each patient has a class $y$, drawn with the frequencies `pi`, and features $x$, drawn as
# flips of coins whose bias depends on the class. A yes-or-no variable is called *Bernoulli*; hence the name
# of the model.
#
# The same as a graph, with an arrow for every "depends on", and boxes round what repeats. (The grey line
# under the joint is for a later lesson: it is the form in which a posterior is sought where none can be
# computed.)

# %%
doctor

# %% [markdown]
# The word **naive** hides in the last factor. The coins of one patient are flipped *independently* once the
# class is known, so that with $d$ features
# $$p(x \mid y, \theta) = \prod_{j=1}^{d} p(x_j \mid y, \theta).$$
# Among people with a cold, those who cough have a fever neither more nor less often than the rest. Nobody
# believes that exactly. But look at what it saves. With 64 features, one probability for every row that could
# occur in each of ten classes is a table that no computer holds. Naive Bayes needs one number a feature and
# class:

# %%
print(f"any joint of 10 classes and 64 yes/no features: {10 * 2**64 - 1:,} numbers")
print(f"naive Bayes:                                    {10 - 1 + 10 * 64:,} numbers")

# %% [check]
assert str(doctor) == "p(pi) p(theta) p(y | pi) p(x | y, theta)"
assert 10 * 2**64 - 1 > 1e20
assert 10 - 1 + 10 * 64 == 649

# %% [markdown]
# ## Bayes' rule cuts out a piece and rescales it
#
# Say that nine in ten of these patients have a cold. A fever comes with one cold in ten and with nine flus
# in ten; a cough with six colds in ten and eight flus in ten. (The numbers are made up.) That is `pi` and
# `theta`, and the joint is complete: here is its probability of everything that can happen, asked in one
# question. The question puts `pi` and `theta` right of the bar, since we *give* them.

# %%
known = dict(pi=[0.9, 0.1], theta=[[0.1, 0.6], [0.9, 0.8]])
cases = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])  # fever, cough
CASES = ["neither", "cough only", "fever only", "both"]
joint = torch.stack(
    [
        ask(doctor, "p(x, y | pi, theta)", **known)
        .log_prob(x=cases, y=torch.full((4,), y))
        .exp()
        for y in (0, 1)
    ]
)
print("      " + "  ".join(f"{case:>10}" for case in CASES))
for name, row in zip(("cold", "flu"), joint, strict=True):
    print(f"{name:5}", "  ".join(f"{p:10.3f}" for p in row))
print(f"all eight together: {joint.sum():.3f}")

# %% [check]
by_hand = [
    [p * (f if x1 else 1 - f) * (c if x2 else 1 - c) for x1, x2 in cases.tolist()]
    for p, (f, c) in zip(known["pi"], known["theta"], strict=True)
]
torch.testing.assert_close(joint, torch.tensor(by_hand, dtype=torch.float64))
assert abs(joint.sum() - 1) < 1e-12

# %% [markdown]
# The next patient has a fever and does not cough. Draw the table as a square of side 1, in which every case
# has the area of its probability. What we saw leaves two pieces of it, one in each column, in full colour.
# **Bayes' rule** keeps these two and rescales them until they add up to one:
# $$p(y \mid x) = \frac{p(y)\, p(x \mid y)}{\sum_{y'} p(y')\, p(x \mid y')}.$$

# %%
seen = 2  # fever only
with style():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.5), width_ratios=(3, 1.4))
    start = 0.0
    for y, colour in enumerate(PALETTE[:2]):
        width, floor = known["pi"][y], 0.0
        for case, p in enumerate(joint[y]):
            height = float(p) / width  # p(x | y)
            look = dict(
                color=colour, edgecolor="white", alpha=1.0 if case == seen else 0.22
            )
            left.bar(start, height, width, floor, align="edge", **look)
            if y == 0 and case != seen:
                left.text(0.02, floor + height / 2, CASES[case], va="center")
            floor += height
        left.text(
            start + width / 2,
            1.03,
            ("cold", "flu")[y],
            ha="center",
            color=colour,
            weight="bold",
        )
        start += width
    left.annotate(
        "fever only",
        (0.5, 0.91),
        (0.36, 0.72),
        arrowprops={"arrowstyle": "->"},
        weight="bold",
    )
    left.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="p(y): the width", ylabel="p(x | y): the heights"
    )
    left.set_title("the joint", pad=20)
    kept = joint[:, seen] / joint[:, seen].sum()
    right.bar(["cold", "flu"], kept.tolist(), color=PALETTE[:2])
    for y in (0, 1):
        right.text(y, kept[y] + 0.02, f"{kept[y]:.2f}", ha="center")
    right.set(ylim=(0, 1), ylabel="p(y | fever only)")
    right.set_title("what was seen, rescaled", pad=20)
    for ax in (left, right):
        ax.grid(False)

answer = ask(doctor, "p(y | x, pi, theta)", x=[1, 0], **known)
print("cold {:.3f}, flu {:.3f},".format(*answer.probs), answer.how)

# %% [check]
torch.testing.assert_close(answer.probs, kept)
torch.testing.assert_close(
    answer.probs, torch.tensor([2 / 3, 1 / 3], dtype=torch.float64)
)
assert answer.how == "enumerated"

# %% [markdown]
# A cold is twice as likely as a flu. `ask` did the same sum: "enumerated" says that it went through all
# classes, so the answer is exact.
#
# In **odds**, one probability divided by the other, naive Bayes can be done in the head. Colds are 9 times
# as frequent as flus. The fever is 9 times as likely under flu: the two cancel. *No* cough is twice as
# likely under a cold (4 in 10, against 2 in 10). Odds for the cold: $9 \times \tfrac19 \times 2 = 2$.
# Independence made it a product with one factor a feature. In logarithms it is a sum, and every feature has
# a say of its own. `explain` prints these **log odds**, in natural logarithms (the unit is the *nat*; 0.69
# nats are a factor of 2):

# %%
why = explain(
    doctor, [1, 0], features=["fever", "cough"], classes=["cold", "flu"], **known
)
print(why)

# %% [check]
said = dict(zip(why.features, why.log_odds.exp().tolist(), strict=True))
assert abs(said["fever"] - 1 / 9) < 1e-9
assert abs(said["cough"] - 2) < 1e-9
assert abs(said["(prior)"] - 9) < 1e-9
assert abs(why.log_odds.sum().exp() - 2) < 1e-9
assert why.chosen == "cold"
assert abs(torch.tensor(2.0).log() - 0.69) < 0.005

# %% [markdown]
# ## Deciding: the MAP class
#
# A doctor has to say something. The most probable class, $\arg\max_y p(y \mid x)$, is called the **MAP**
# class, for *maximum a posteriori*: "a posteriori" means after seeing $x$. If all mistakes are equally bad,
# no rule makes fewer of them on average, as long as the joint is right (exercise 2 has mistakes that are
# not equally bad). It is `answer.mode`: 0, the cold.
#
# ## Learning is counting
#
# In life nobody tells us `pi` and `theta`. We learn them from rows whose class is known. Here are
# handwritten digits of 8 × 8 pixels, each either ink (1) or paper (0): ten classes, 64 features. We learn
# from 1,258 of them and keep 539 for the test.

# %%
train, test = digits().split(test=0.3, seed=0)
x, y = (train.x >= 8).double(), train.y
x_test, y_test = (test.x >= 8).double(), test.y
scribe = BernoulliNaiveBayes(classes=10, features=64)
posterior = fit(scribe, x=x, y=y)
decided = ask(posterior, "p(y | x)", x=x_test).mode
print(f"{int((decided == y_test).sum())} of {len(y_test)} test digits recognised")

with style():
    plot.images(ask(posterior, "p(theta)").mean, columns=10)
    plt.title("What was learned: how often each pixel is ink (theta), digit by digit")

# %% [check]
assert (len(x), len(x_test)) == (1258, 539)
right = (decided == y_test).double().mean()
assert right > 0.85  # "nearly nine in ten"
assert right < 0.93
n = torch.bincount(y, minlength=10)[:, None]
ink = torch.stack([x[y == k].sum(0) for k in range(10)])
torch.testing.assert_close(ask(posterior, "p(theta)").mean, (ink + 1) / (n + 2))

# %% [markdown]
# Nearly nine in ten, by nothing but counting, with pixels that know nothing of their neighbours. To guess
# would find one in ten.
#
# What exactly was counted? Take one pixel and one class, of which $n$ pictures were seen, $k$ with ink
# there. Before any picture, `theta` may be any number from 0 to 1, and this model holds all equally likely:
# that is its **prior** $p(\theta)$. After the pictures, Bayes' rule again gives the **posterior**
# $$p(\theta \mid \text{pictures}) \propto p(\theta)\; \theta^{k} (1 - \theta)^{n - k},$$
# a curve that is known as a Beta distribution. ("$\propto$" says: up to a factor that makes the area 1.)
# Three such curves:

# %%
side = torch.linspace(1e-4, 1 - 1e-4, 400, dtype=torch.float64)
with style():
    figure, ax = plt.subplots(figsize=(6, 3))
    for i, (k, n) in enumerate([(0, 4), (0, 20), (10, 20)]):
        ax.plot(side, torch.distributions.Beta(1 + k, 1 + n - k).log_prob(side).exp())
        mean = (k + 1) / (n + 2)
        height = (
            torch.distributions.Beta(1 + k, 1 + n - k).log_prob(torch.tensor(mean)).exp()
        )
        ax.plot([mean], [height], "o", color=PALETTE[i])
        ax.annotate(
            f"ink in {k} of {n}",
            (mean, height),
            (8, 4),
            textcoords="offset points",
            color=PALETTE[i],
        )
    ax.set(xlabel="theta", ylabel="posterior density", ylim=(0, 12), xlim=(0, 1))
    ax.set_title("Where theta may be; the dots are the means")

# %% [markdown]
# Which single number would you use? The **peak** of the curve is the *MAP estimate* of `theta`: the same
# idea as above, for a parameter. Under this flat prior it is $k/n$, which is also the
# **maximum-likelihood** estimate, the value that makes the pictures most probable. For a pixel that was
# never ink, the peak is 0: *impossible*, after four pictures. The **mean** of the curve is more modest:
# $(k + 1)/(n + 2)$, as if one picture with and one without ink had been seen before (Laplace's rule of
# succession). `fit` keeps the whole curve, and `ask` averages over it; for the next pixel, that average is
# just the mean.
#
# A zero is dangerous, because it is a factor in a product: *one* pixel of ink where none was ever seen in
# the class, and the class has probability zero, whatever the other 63 pixels say. See what that costs when
# we learn from only 100 digits. (`MaximumLikelihood(smoothing=0)` takes the peaks as they are; without a
# method, `fit` keeps the whole posterior.)

# %%
few = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:100]
for name, method in [
    ("peak (maximum likelihood)", MaximumLikelihood(smoothing=0)),
    ("whole posterior", None),
]:
    learned = fit(scribe, method, x=x[few], y=y[few])
    found = ask(learned, "p(y | x)", x=x_test).mode
    print(f"{name:26} {int((found == y_test).sum())} of {len(y_test)} right")

counts = [
    torch.stack([(x[few][y[few] == k] == v).sum(0) for k in range(10)]) for v in (0, 1)
]
never = ((counts[1] == 0)[y_test] & (x_test == 1)) | (
    (counts[0] == 0)[y_test] & (x_test == 0)
)
print(
    "test digits with a pixel that their true class never showed:",
    int(never.any(1).sum()),
)

# %% [check]
peak = fit(scribe, MaximumLikelihood(smoothing=0), x=x[few], y=y[few])
whole = fit(scribe, x=x[few], y=y[few])
shares = [
    (ask(p, "p(y | x)", x=x_test).mode == y_test).double().mean() for p in (peak, whole)
]
assert shares[1] - shares[0] > 0.06  # "about one digit in ten"
assert shares[1] - shares[0] < 0.15
assert 0.4 < never.any(1).double().mean() < 0.6  # "about half"
own = counts[1].double() / (counts[0] + counts[1])
torch.testing.assert_close(ask(peak, "p(theta)").mean, own, atol=1e-9, rtol=0)

# %% [markdown]
# About half of the test digits show their true class something it "cannot" have. Averaging over the
# posterior costs nothing more, and recognises about one digit in ten more.
#
# (A peak has another weakness: it moves when the axis is drawn differently. On the scale of log odds, which
# `fit(model, MAP(), …)` uses, the same posterior has its peak at $(k+1)/(n+2)$. Means of what you ask for do
# not depend on how you draw the axis.)

# %% [check]
coin = fit(
    BernoulliNaiveBayes(classes=1, features=1),
    MAP(),
    x=torch.zeros(4, 1).double(),
    y=[0] * 4,
)
assert abs(float(ask(coin, "p(theta)").mean) - 1 / 6) < 1e-4

# %% [markdown]
# ## Underflow, and the log-sum-exp that prevents it
#
# Bayes' rule as the textbook writes it multiplies one probability for every feature. Computers round: the
# smallest positive number in double precision is about $5 \times 10^{-324}$, and anything smaller becomes
# zero. Let us scan the digits finer, 64 × 64 pixels (each pixel becomes 8 × 8 equal ones), and multiply
# pixel by pixel.

# %%


def finer(rows):
    return (
        rows.reshape(-1, 8, 8).repeat_interleave(8, 1).repeat_interleave(8, 2).flatten(1)
    )


scans = fit(BernoulliNaiveBayes(classes=10, features=64 * 64), x=finer(x), y=y)
theta, one = ask(scans, "p(theta)").mean, finer(x_test[25:26])
factors = torch.where(one == 1, theta, 1 - theta)  # p(x_j | y), (classes, pixels)
products = factors.cumprod(1)
print("products over all pixels:", products[:, -1].tolist())
print("Bayes' rule:", (products[:, -1] / products[:, -1].sum()).tolist())

# %%
with style():
    figure, ax = plt.subplots(figsize=(6.4, 3.3))
    for k in range(10):
        own = k == int(y_test[25])
        look = dict(
            color=PALETTE[0] if own else PALETTE[6],
            linewidth=2 if own else 0.9,
            alpha=1 if own else 0.6,
        )
        ax.plot(factors[k].log10().cumsum(0), **look)
    ax.axhspan(-2200, -323.3, color=PALETTE[3], alpha=0.12, linewidth=0)
    ax.text(
        60, -2150, "here double precision has only zero", color=PALETTE[3], va="bottom"
    )
    ax.set(
        xlabel="pixels multiplied so far",
        ylabel="log10 of the product",
        ylim=(-2200, 60),
        xlim=(0, 4096),
    )
    ax.set_title(f"A {int(y_test[25])} under the ten classes (its own in blue)")

# %% [check]
assert bool((products[:, -1] == 0).all())
assert bool((products[:, -1] / products[:, -1].sum()).isnan().all())
assert 5e-324 > 0.0
assert 2e-324 == 0.0
torch.testing.assert_close(
    factors.log().sum(1),
    torch.stack([ask(scans, "p(x | y)", y=k).log_prob(x=one[0]) for k in range(10)]),
)
assert int(y_test[25]) == int(factors.log().sum(1).argmax())

# %% [markdown]
# All ten products end as zero, and $0/0$ is "not a number" (`nan`). The *logarithms* are harmless: sums of
# moderate numbers, shown by the curves. So keep $a_y = \log p(y) + \log p(x \mid y)$. But the denominator
# of Bayes' rule needs $\log \sum_y e^{a_y}$, and $e^{a_y}$ is the zero that we fled. The way out is to take
# the largest, $m = \max_y a_y$, out of the sum:
# $$\log \sum_y e^{a_y} = m + \log \sum_y e^{a_y - m}.$$
# Nothing was approximated. The largest term is now $e^0 = 1$, so the sum lies between 1 and the number
# of classes. Terms that still underflow are too small to matter. This is the **log-sum-exp** trick.

# %%


def log_sum_exp(a):
    m = a.max()
    return m + (a - m).exp().sum().log()


a = ask(scans, "p(y)").probs.log() + factors.log().sum(1)
probs = (a - log_sum_exp(a)).exp()
print("log p(x):", f"{log_sum_exp(a):.1f} nats;", "naively:", a.exp().sum().log().item())
print("p(y | x):", [f"{p:.3f}" for p in probs])

# %% [check]
torch.testing.assert_close(log_sum_exp(a), a.logsumexp(0))
torch.testing.assert_close(log_sum_exp(a), ask(scans, "p(x)").log_prob(x=one[0]))
torch.testing.assert_close(probs, ask(scans, "p(y | x)", x=one[0]).probs)
assert a.exp().sum().log() == -torch.inf
lost = ask(scans, "p(y | x)", x=finer(x_test)).log_joint.exp().sum(1) == 0
assert lost.double().mean() > 0.8  # "most"

# %% [markdown]
# Of the finer test digits, most are lost without it. The library works in logarithms throughout:
# `ask(…).probs` is safe, `.log_prob` gives you the logarithms, and PyTorch has the trick as
# `torch.logsumexp`.
#
# ## Running the joint forwards: wines and digits
#
# To generate a row of class $y$, draw every feature from $p(x_j \mid y)$. Wines first: 178 of three
# cultivars with thirteen measurements, which `GaussianNaiveBayes` models as one Normal distribution for
# each class and measurement. It learns in standard deviations from the mean; we turn the draws back into
# the units of the table.

# %%
wines = wine()
rows = wines.standardized()
cellar = fit(GaussianNaiveBayes(classes=3, features=13), x=rows.x, y=rows.y)
print(cellar.model)
print(f"{'':22}{'new, class 0':>14}{'new, class 1':>14}{'new, class 2':>14}")
new = torch.stack([ask(cellar, "p(x | y)", y=k).sample(seed=k) for k in range(3)])
new = wines.x.mean(0) + wines.x.std(0, correction=0) * new
for name, values in list(zip(wines.features, new.T, strict=True))[:7]:
    print(f"{name:22}" + "".join(f"{value:14.2f}" for value in values))
print("… and six more")

# %% [check]
assert str(cellar.model) == "p(pi) p(tau) p(mu | tau) p(y | pi) p(x | y, mu, tau)"
assert (len(wines), len(wines.features), len(wines.classes)) == (178, 13, 3)
centre, spread = wines.x.mean(0), wines.x.std(0, correction=0)
torch.testing.assert_close(centre + spread * rows.x, wines.x)
for k in range(3):  # "plausible, measurement by measurement"
    own = wines.x[wines.y == k]
    assert ((new[k] - own.mean(0)) / own.std(0)).abs().max() < 4

# %% [markdown]
# Three bottles that nobody ever filled. They look plausible, measurement by measurement. Now look at two
# measurements at once, *within* one class: total phenols and flavanoids. (Flavanoids are phenols.)

# %%
pair, of = [5, 6], rows.y == 0
drawn = ask(cellar, "p(x | y)", y=0).sample(59, seed=0)
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.2), sharex=True, sharey=True)
    for ax, points, name, marker in zip(
        axes,
        (rows.x[of], drawn),
        ("59 real wines of class 0", "59 drawn by naive Bayes"),
        "o^",
        strict=True,
    ):
        ax.scatter(*points[:, pair].T, s=16, color=PALETTE[0], marker=marker)
        correlation = f"{torch.corrcoef(points[:, pair].T)[0, 1]:.2f}".replace("-", "−")
        ax.set_title(f"{name}: correlation {correlation}", fontsize=10)
        ax.set_xlabel("total phenols (standard deviations)")
    axes[0].set_ylabel("flavanoids (standard deviations)")

# %% [check]
assert [wines.features[j] for j in pair] == ["total_phenols", "flavanoids"]
assert int(of.sum()) == 59
true = torch.corrcoef(rows.x[of][:, pair].T)[0, 1]
many = ask(cellar, "p(x | y)", y=0).sample(20_000, seed=1)[:, pair]
assert true > 0.7
assert abs(torch.corrcoef(many.T)[0, 1]) < 5 / 20_000**0.5  # none
own = rows.x[of][:, pair]  # "each axis is right"
assert (many.mean(0) - own.mean(0)).abs().max() < 0.05
assert (many.std(0) / own.std(0)).log().abs().max() < 0.1

# %% [markdown]
# There is the naive assumption, made visible: each axis is right, the cloud is wrong. The same in digits. A
# stroke of a pen is many pixels that agree; naive Bayes flips a coin for each.

# %%
per_class = {"real digits": torch.stack([x[y == k][0] for k in range(10)])}
per_class["drawn"] = ask(posterior, "p(x | y)", y=torch.arange(10)).sample(seed=0)
per_class["drawn again"] = ask(posterior, "p(x | y)", y=torch.arange(10)).sample(seed=1)
with style():
    plot.sample_grid(per_class)
    plt.title("Coins where strokes should be")


def neighbours(rows, labels):
    """The correlation of each pixel with the one below it, within classes."""
    inside = torch.cat(
        [rows[labels == k] - rows[labels == k].mean(0) for k in range(10)]
    ).reshape(-1, 8, 8)
    above, below = inside[:, :-1], inside[:, 1:]
    return float(
        (above * below).sum() / (above.square().sum() * below.square().sum()).sqrt()
    )


invented = ask(posterior, "p(x, y)").sample(len(x), seed=0)
real, coins = neighbours(x, y), neighbours(invented["x"], invented["y"])
print(f"correlation with the pixel below: real {real:.2f}, drawn {coins:.2f}")

# %% [check]
assert real > 0.2
assert abs(coins) < 0.03

# %% [markdown]
# The right pixels in the right places, mostly; but no pen moves like that. Remember the two correlations.
# They come back to bite us.
#
# ## Missing features drop out
#
# A page is torn, and only the top half of a digit is left. In a joint, what was not seen is **summed out**:
# add up $p(x \mid y)$ over every value that the missing pixels could have. In naive Bayes each such sum
# stands alone, and $\sum_{x_j} p(x_j \mid y) = 1$: the factor simply drops out of the product. Mark missing
# cells with `nan` and ask as before. Here one digit is uncovered from the top.

# %%
HIDDEN = torch.nan
reader = x_test[25]


def uncovered(digit, lines):
    """The digit with only its first so many lines of pixels known."""
    known_part = digit.clone()
    known_part[8 * lines :] = HIDDEN
    return known_part


def read(axes, lines):
    """Above: what is known, and below: which digit it may be."""
    known_part = uncovered(reader, lines)
    probs = ask(posterior, "p(y | x)", x=known_part).probs
    axes[0].imshow(known_part.reshape(8, 8).numpy(), cmap="gray_r", vmin=0, vmax=1)
    axes[0].set_facecolor("#c9d3e3")
    axes[0].set(xticks=[], yticks=[])
    axes[0].grid(False)
    axes[0].set_title(f"{lines} of 8 lines")
    colours = [PALETTE[3] if k == int(probs.argmax()) else PALETTE[6] for k in range(10)]
    axes[1].bar(range(10), probs.tolist(), color=colours)
    axes[1].set(ylim=(0, 1), xticks=range(10), xlabel="digit")
    axes[1].tick_params(axis="x", labelsize=8)


with style():
    figure, axes = plt.subplots(
        2, 5, figsize=(7.4, 3.4), sharey="row", height_ratios=(1, 1.1)
    )
    for column, lines in zip(axes.T, (0, 2, 4, 6, 8), strict=True):
        read(column, lines)
    axes[1, 0].set_ylabel("p(y | seen)")

# %% [check]
found = [int(ask(posterior, "p(y | x)", x=uncovered(reader, n)).mode) for n in (0, 4, 8)]
assert int(y_test[25]) == found[2] == 3
assert found[1] == 7
torch.testing.assert_close(
    ask(posterior, "p(y | x)", x=uncovered(reader, 0)).probs, ask(posterior, "p(y)").probs
)
top = fit(BernoulliNaiveBayes(classes=10, features=32), x=x[:, :32], y=y)
torch.testing.assert_close(
    ask(top, "p(y | x)", x=reader[:32]).probs,
    ask(posterior, "p(y | x)", x=uncovered(reader, 4)).probs,
)

# %% [markdown]
# With nothing known, the answer is how frequent each digit is, $p(y)$. Half-way it takes the digit for a 7;
# the lower half makes it a 3. No second model was needed: a model fitted to the top half alone would say
# the same. If you run this notebook, move the slider.

# %%
if importlib.util.find_spec("ipywidgets"):
    from ipywidgets import interact

    def shown(lines=4):
        with style():
            read(plt.subplots(2, 1, figsize=(2.6, 3.6))[1], lines)

    _ = interact(shown, lines=(0, 8))

# %% [markdown]
# Which pixels change its mind? Each has a say of its own, in log odds, as the symptoms had. To hear one pixel
# alone, hide all the others:

# %%
one_pixel = torch.eye(64, dtype=torch.bool)  # 64 rows
alone = torch.where(one_pixel, reader, HIDDEN)
says = [ask(posterior, "p(x | y)", y=k).log_prob(x=alone) for k in (3, 7)]
votes = says[0] - says[1]
with style():
    figure, ax = plt.subplots(figsize=(3.9, 3.0))
    shown = ax.imshow(votes.reshape(8, 8).numpy(), cmap="PuOr", vmin=-4, vmax=4)
    down, across = reader.reshape(8, 8).nonzero().T
    ax.scatter(across, down, s=16, color="black")
    ax.set(xticks=[], yticks=[], title="A 3 rather than a 7? Each pixel's say")
    ax.grid(False)
    figure.colorbar(shown, label="for 7  ←  nats  →  for 3")
print(
    f"top half: {votes[:32].sum():+.1f} nats for 3,",
    f"bottom half: {votes[32:].sum():+.1f} nats",
)

# %% [check]
both = ask(posterior, "p(y | x)", x=reader).log_joint[[3, 7]]
prior = ask(posterior, "p(y)").probs.log()[[3, 7]]
torch.testing.assert_close(votes.sum() + prior[0] - prior[1], both[0] - both[1])
assert votes[:32].sum() < 0 < votes[32:].sum()
assert int(votes.argmax()) == 8 * 6 + 5
assert reader[8 * 6 + 5] == 1
assert votes[8 * 4 + 3] > 1.5
assert reader[8 * 4 + 3] == 0

# %% [markdown]
# The dots are the ink. The top half leans to a 7. In the bottom half it is outvoted: by the ink at the
# right, where a 7 has none, and by the *paper* to the left of the stroke, where a 7 would have its stem.
# What is not there has its say, too.
#
# The same joint can fill in what is missing: once each class has its probability, the missing pixels have
# their expectations. And how much of a digit does it take? Hide pixels at random and count.

# %%
torn = torch.stack([uncovered(row, 4) for row in x_test[:10]])
with style():
    plot.sample_grid(
        {
            "top half + expected": imputed(posterior, x=torn),
            "the whole digit": x_test[:10],
        }
    )
    plt.title("What the joint expects below the tear, in grey")

shares = [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0]
hits = []
for share in shares:
    gone = torch.rand(x_test.shape, generator=torch.Generator().manual_seed(1)) >= share
    hits.append(
        float(
            (
                ask(posterior, "p(y | x)", x=x_test.masked_fill(gone, HIDDEN)).mode
                == y_test
            )
            .double()
            .mean()
        )
    )
with style():
    figure, ax = plt.subplots(figsize=(5, 2.8))
    ax.plot([100 * s for s in shares], [100 * h for h in hits], marker="o")
    ax.axhline(10, color=PALETTE[6], linestyle="--")
    ax.text(100, 12, "guessing", ha="right", color=PALETTE[6])
    ax.set(xlabel="pixels seen (%)", ylabel="digits recognised (%)", ylim=(0, 100))
    ax.set_title("It degrades gently")

# %% [check]
assert hits == sorted(hits)
assert 2 / 3 < hits[shares.index(0.4)] < 0.8  # "more than two thirds"
assert hits[0] > 0.2  # far above guessing, with three pixels
guess = ask(posterior, "p(y | x)", x=torn).probs @ ask(posterior, "p(theta)").mean
torch.testing.assert_close(imputed(posterior, x=torn)[:, 32:], guess[:, 32:])

# %% [markdown]
# With four pixels in ten it still reads more than two thirds of the digits. One warning: summing out is right
# if *that* a pixel is missing tells nothing about its value beyond what the pixels that are seen tell
# (statisticians say "missing at random"). A sensor that fails whenever it sees ink would need a model of
# the failing, too.
#
# ## What goes wrong: it is far too sure
#
# How sure is naive Bayes of its decisions, and how often is it right? `reliability` fits it to four fifths of
# the training digits, predicts the other fifth, and goes round until each has been predicted unseen.

# %%
trust = reliability(posterior, progress=False)
print(trust)
_ = trust.figure()

# %% [check]
sure, right_share, error = trust.confidence
assert sure > 0.93
assert right_share < 0.91
assert trust.p_value < 0.01
unsure = trust.curve.predicted < 0.999
assert len(trust.curve.predicted) == 10
assert unsure.sum() >= 4
assert bool((trust.curve.observed[unsure] < trust.curve.predicted[unsure]).all())

# %% [markdown]
# This is a **reliability diagram**. The digits are put in order of the probability of the class decided
# for, and cut into ten groups; each dot is a group. If "95 % sure" meant right in 95 of 100 cases, dots
# would lie on the diagonal. Wherever the model admits any doubt they lie below: it is **over-confident**.
# (The bars are 95 % intervals, and ± is a standard error. The *expected calibration error* is the mean
# distance from the diagonal; the *tail probability* is how often chance alone would make it as large if the
# probabilities were right.)
#
# Why? Think of the odds in the doctor's head. Suppose the nurse writes "fever" in two columns. Naive Bayes
# multiplies by 9 twice: it hears one witness twice and believes in two. Neighbouring pixels that agree,
# phenols and flavanoids: correlated features are witnesses who talked to one another before the trial.
# Watch it happen where we know the truth: two classes, three features that *are* independent in each class,
# and then the same table with every column copied.

# %%
copied, table = {}, []
for copies, name in [(0, "no copies"), (1, "one copy"), (3, "three copies")]:
    world = gaussian_classes(4000, features=3, copies=copies, seed=1)
    model = GaussianNaiveBayes(classes=2, features=3 * (copies + 1))
    fitted = fit(model, x=world.x[:2000], y=world.y[:2000])
    copied[name] = probs = ask(fitted, "p(y | x)", x=world.x[2000:]).probs
    sure = float(probs.amax(1).mean())
    hit = float((probs.argmax(1) == world.y[2000:]).double().mean())
    table.append((copies, sure, hit))
    print(f"{name}: sure {sure:.1%}, right {hit:.1%}")
with style():
    plot.calibration(copied, world.y[2000:])

# %% [check]
assert [c for c, _, _ in table] == [0, 1, 3]
assert abs(table[0][1] - table[0][2]) < 0.03  # calibrated
assert table[1][1] > table[1][2] + 0.04
assert table[2][1] > table[2][2] + 0.08
decisions = [probs.argmax(1) for probs in copied.values()]
for later in decisions[1:]:
    assert (later == decisions[0]).double().mean() > 0.98  # "decides as before"
base, more = (copied[name].clamp(1e-12).log() for name in ("no copies", "one copy"))
slope = ((more[:, 1] - more[:, 0]) / (base[:, 1] - base[:, 0])).median()
assert abs(slope - 2) < 0.05  # log odds twice as large
most = copied["three copies"].clamp(1e-12).log()
slope = ((most[:, 1] - most[:, 0]) / (base[:, 1] - base[:, 0])).median()
assert abs(slope - 4) < 0.1  # and four times
assert 6000 < 9**4

# %% [markdown]
# Without copies the dots are near the diagonal: the assumption holds, and so do the probabilities. One copy
# doubles all log odds, three copies make them four times as large (the two classes are equally frequent, so
# the prior adds nothing). Odds of 9 become $9^4$, more than six
# thousand. And still it decides as before: doubling a number does not change its sign. This is why naive
# Bayes is often a good *classifier* and a bad judge of its own certainty (Domingos and Pazzani 1997).
#
# **How to see it**: never trust probabilities from a model that assumes independence before you have drawn
# a reliability diagram of rows that it has not seen. **What helps**: a model without the assumption (lesson
# 3), or cooling the odds afterwards (exercise 4).
#
# ## Exercises
#
# Try each before you open its solution.
#
# **1.** In an epidemic, half of the patients have a flu. All else is as before. Work out in your head, by
# odds, what the doctor now thinks of a fever without a cough. Then ask.
#
# <details><summary>Solution</summary>
#
# The odds of flu against cold are $1 \times 9 \times \tfrac12 = 4.5$, so
# $p(\text{flu} \mid x) = 4.5 / 5.5 = 9/11$. The symptoms are the same; the prior turned the answer round.
#
# ```python
# epidemic = known | {"pi": [0.5, 0.5]}
# flu = ask(doctor, "p(y | x, pi, theta)", x=[1, 0], **epidemic).probs[1]
# print(flu)
# assert abs(flu - 9 / 11) < 1e-9
# ```
#
# </details>
#
# **2.** Back to nine colds in ten. To send a flu home as a cold costs 10; to treat a cold as a flu costs 1.
# What should the doctor do with the patient with the fever and no cough? From which probability of flu on
# should she treat?
#
# <details><summary>Solution</summary>
#
# Treat, although a cold is more likely: the expected cost of treating is $\tfrac23 \cdot 1$, of sending
# home $\tfrac13 \cdot 10$. Treat when $10\,p > 1 - p$, that is, from $p = 1/11$ on. A decision needs the
# probabilities *and* the costs; the MAP class is the decision for equal costs only. And it needs
# probabilities that can be believed.
#
# ```python
# costs = torch.tensor([[0.0, 1.0], [10.0, 0.0]]).double()  # of [true class, decision]
# expected = ask(doctor, "p(y | x, pi, theta)", x=[1, 0], **known).probs @ costs
# print(expected)
# assert expected.argmin() == 1
# assert torch.allclose(expected, torch.tensor([10 / 3, 2 / 3], dtype=torch.float64))
# ```
#
# </details>
#
# **3.** Log-sum-exp saves from *overflow*, too. What is $\log(e^{1000} + e^{1001})$? Try it naively first.
#
# <details><summary>Solution</summary>
#
# It is $1001 + \log(1 + e^{-1}) \approx 1001.313$. Naively it is infinite. Densities, unlike
# probabilities, can be larger than 1, so their products can overflow as well.
#
# ```python
# large = torch.tensor([1000.0, 1001.0], dtype=torch.float64)
# print(large.exp().sum().log(), log_sum_exp(large))
# assert large.exp().sum().isinf()
# assert abs(log_sum_exp(large) - 1001.3133) < 1e-3
# ```
#
# </details>
#
# **4.** Cool the digits' odds: replace $p(y \mid x)$ by something proportional to $p(y \mid x)^{1/T}$ and
# choose the *temperature* $T$ that makes the true classes of some rows not used in the fit most probable.
# Does it change decisions? Is it better calibrated on others?
#
# <details><summary>Solution</summary>
#
# `answer.log_joint` is $\log p(x, y)$ for every class, of which we take the share $1/T$ before the
# exponential. A power changes no decision, since it keeps the order of the classes. $T$ comes out at about
# 2: two pixels are worth about one independent witness. We choose it on half of the test digits, and look
# at the other half.
#
# ```python
# from ppl_gen import calibration_curve
#
# logits = ask(posterior, "p(y | x)", x=x_test).log_joint
# half = len(logits) // 2
#
#
# def log_loss(T):
#     return torch.nn.functional.cross_entropy(logits[:half] / T, y_test[:half])
#
#
# temperatures = torch.linspace(0.5, 5, 91, dtype=torch.float64)
# T = float(min(temperatures, key=log_loss))
# before, after = (
#     calibration_curve((logits[half:] / t).softmax(1), y_test[half:]).error
#     for t in (1.0, T)
# )
# print(f"T = {T:.2f}: expected calibration error {before:.3f} before, {after:.3f} after")
# assert 1.7 < T < 2.5
# assert after < before
# assert bool(((logits / T).argmax(1) == logits.argmax(1)).all())
# ```
#
# </details>
#
# **5.** Of one bottle you know only the flavanoids: 2 standard deviations below the mean. Which class is it?
# What does the joint now expect of its colour intensity (column 9), and what would it expect of a bottle of
# which nothing is known? Why does the one tell of the other, although features are "independent"?
#
# <details><summary>Solution</summary>
#
# They are independent only once the class is *known*. Here it is not: the flavanoids tell of the class, and
# the class of the colour.
#
# ```python
# bottles = torch.full((2, 13), float("nan"), dtype=torch.float64)
# bottles[0, 6] = -2.0
# probs = ask(cellar, "p(y | x)", x=bottles).probs
# colour = imputed(cellar, x=bottles)[:, 9]
# print(probs, colour)
# assert wines.features[9] == "color_intensity"
# assert probs[0].argmax() == 2
# assert colour[0] > 0.4
# assert abs(colour[1]) < 0.1
# ```
#
# </details>
#
# ## Further reading
#
# * K. P. Murphy, *Machine Learning: A Probabilistic Perspective* (2012), section 3.5: naive Bayes, its
#   priors, and the log-sum-exp trick.
# * P. Domingos and M. Pazzani, "On the Optimality of the Simple Bayesian Classifier under Zero-One Loss",
#   *Machine Learning* 29 (1997): why the decisions survive where the probabilities do not.
# * D. J. Hand and K. Yu, "Idiot's Bayes: Not So Stupid After All?", *International Statistical Review* 69
#   (2001).
# * A. Niculescu-Mizil and R. Caruana, "Predicting Good Probabilities with Supervised Learning", *ICML*
#   (2005): reliability diagrams of naive Bayes and others, and what mends them.
# * D. B. Rubin, "Inference and Missing Data", *Biometrika* 63 (1976): when summing out is right.
# * P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and softmax
#   functions", *IMA Journal of Numerical Analysis* 41 (2021).
#
# The data: E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits* (1998),
# https://doi.org/10.24432/C50P49; M. Forina et al., *PARVUS* (1988), https://doi.org/10.24432/C5PC7J.

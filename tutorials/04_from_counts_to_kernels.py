# %% [markdown]
# # 4 · From counts to kernels
#
# In the lessons before this one, a feature was a coin, or a number with a Normal distribution. But a word is
# neither, and many numbers are not Normal. Naive Bayes asks only for *some* distribution of each feature
# given the class. In this lesson we change that one factor, $p(x \mid y)$: from dice and coins to texts,
# and from there to densities that the data draw by themselves.
#
# **You will learn** to model words, counts and categories; why one adds 1 to a count, and which prior that
# is; how a filter tells texts apart, and why; and what to do with a feature that is not bell-shaped.
#
# **You need** Python, and from probability: Bayes' rule, the coin, the die, the Normal distribution.
#
# **It takes** about 40 minutes; the code runs in under a minute. The texts come with Python itself.

# %% [install]
import importlib.util

# Where ppl-gen is missing, as on Colab. This needs a released version; before the first,
# install it from a copy of its source: `pip install .` there.
if importlib.util.find_spec("ppl_gen") is None:
    get_ipython().run_line_magic("pip", "install --quiet ppl-gen")  # noqa: F821

# %%
import importlib
import inspect
import re
from collections import Counter

import matplotlib.pyplot as plt
import torch
from matplotlib.patheffects import withStroke

from ppl_gen import MaximumLikelihood, ask, explain, fit
from ppl_gen.data import iris
from ppl_gen.models import (
    BernoulliNaiveBayes,
    CategoricalNaiveBayes,
    GaussianNaiveBayes,
    KernelNaiveBayes,
    MultinomialNaiveBayes,
)
from ppl_gen.plot import log_odds, style
from ppl_gen.plot.style import PALETTE

# %% [markdown]
# ## Two kinds of text
#
# A spam filter learns from mails of two kinds. We have no mails at hand, but Python ships texts: the
# documentation of its modules. We take eight modules that handle electronic mail, and eight that calculate,
# with fractions, statistics, random numbers and the like; call these two kinds *mail* and *maths*. We cut
# their documentation into sentences, and each sentence into lower-case words of two letters or more. The
# task: given a sentence, which kind of module does it come from?

# %%
MAIL = (
    "email.header email.headerregistry email.message email.policy "
    "imaplib mailbox poplib smtplib"
)
MATHS = "decimal fractions heapq itertools math numbers random statistics"


def documentation(module):
    """The texts of a module: its own, and those of its functions, classes and methods."""
    yield module.__doc__
    for thing in vars(module).values():
        if getattr(thing, "__module__", None) == module.__name__:
            yield thing.__doc__
            if isinstance(thing, type):
                yield from (
                    part.__doc__ for part in vars(thing).values() if callable(part)
                )


def sentences(modules):
    """Every different sentence as a tuple of words, and the module that it is from."""
    found = {}
    for name in modules.split():
        for text in documentation(importlib.import_module(name)):
            text = inspect.cleandoc(text or "")
            text = re.sub(r"(?m)^.*(>>>|=).*$", "", text)  # no code
            for sentence in re.split(r"\n\s*\n|(?<=[.:])\s", text):
                words = tuple(re.findall("[a-z]{2,}", sentence.lower()))
                if len(words) >= 4:
                    found.setdefault(words, name)
    return found


mail, maths = sentences(MAIL), sentences(MATHS)
both = mail.keys() & maths.keys()  # a sentence that both have has no one class
texts = [words for words in (*mail, *maths) if words not in both]
y = torch.tensor([int(words not in mail) for words in texts])
KINDS = ["mail", "maths"]

order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0)).tolist()
train, test = order[len(texts) // 4 :], order[: len(texts) // 4]
print(f"{len(train):,} sentences to learn from, {len(test)} for the test; for example")
for i in test[:5]:
    print(f"  {KINDS[y[i]]:6}", " ".join(texts[i][:12]))

# %% [check]
assert 1300 < len(texts) < 2000
assert len(MAIL.split()) == len(MATHS.split()) == 8
assert 0.4 < y.double().mean() < 0.6  # so that a coin puts about half of them right
assert min(len(words) for words in texts) >= 4
assert min(len(word) for words in texts for word in words) >= 2
assert len(set(texts)) == len(texts)
assert not set(train) & set(test)

# %% [markdown]
# No sentence is there twice: one that is both learnt from and tested would be no test. (One caution remains.
# Sentences of the same module land on both sides, and a module likes its own words. The last exercise
# measures how much that flatters us.)
#
# ## A die: the first word
#
# Begin with one feature only: the first word of a sentence. It is a **category**, one of a list without
# order. Given the class, it is a throw of a die with one face for each word. We take the 49 commonest
# first words, and a fiftieth face for all others.

# %%
firsts = Counter(texts[i][0] for i in train)
faces = [word for word, _ in firsts.most_common(49)] + ["another"]
face_of = {word: j for j, word in enumerate(faces)}
first = torch.tensor([[face_of.get(words[0], 49)] for words in texts])

die = CategoricalNaiveBayes(classes=2, features=1, levels=50)
print(die)
thrown = fit(die, x=first[train], y=y[train])

# %% [markdown]
# Read the line from left to right. Draw how frequent each class is, `pi`. For each class draw the
# probabilities of the die's faces, `theta`. Then for each sentence draw its class `y`, and throw the die of
# that class, which gives `x`.
#
# Where does `theta` come from? Before any sentence is seen, every die is as credible as any other. That is
# the **Dirichlet** distribution with a 1 for each face, the uniform distribution over all dice. Now let us
# throw. If face $j$ came up $n_j$ times in $N$ throws of a die with $J$ faces, Bayes' rule gives for the next
# throw
# $$p(x = j \mid \text{throws so far}) = \frac{n_j + 1}{N + J}.$$
# That is Laplace's rule: **add one** to every count. It is often taught as a trick against zeros. It is no
# trick, but what follows from a prior; and the 1 that is added is the 1 of the Dirichlet. Another number
# $\alpha$ there is another prior, which behaves as if every face had been seen $\alpha$ times before.

# %%
shares = torch.stack(
    [
        ask(thrown, "p(x | y)", y=k).log_prob(x=torch.arange(50)[:, None]).exp()
        for k in (0, 1)
    ]
)
counts = torch.stack(
    [torch.bincount(first[train, 0][y[train] == k], minlength=50) for k in (0, 1)]
).double()
add_one = (counts + 1) / (counts.sum(1, keepdim=True) + 50)
print("largest difference from add-one:", float((shares - add_one).abs().max()))

with style():
    figure, ax = plt.subplots(figsize=(7.0, 2.9))
    for k in (0, 1):
        ax.bar(
            [j + 0.4 * k - 0.2 for j in range(12)],
            shares[k, :12].tolist(),
            width=0.38,
            color=PALETTE[k],
            label=KINDS[k],
        )
    ax.set_xticks(range(12), faces[:12], rotation=30)
    ax.set(
        ylabel="p(first word | class)",
        title="How a sentence begins: the twelve commonest words",
    )
    ax.grid(axis="x", visible=False)
    ax.legend()

right = (ask(thrown, "p(y | x)", x=first[test]).mode == y[test]).double().mean()
print(f"by the first word alone, {right:.0%} of the test sentences are put right")

# %% [check]
torch.testing.assert_close(shares, add_one, atol=1e-12, rtol=0)
torch.testing.assert_close(shares.sum(1), torch.ones(2).double())
assert 0.5 < right < 2 / 3
assert str(die) == "p(pi) p(theta) p(y | pi) p(x | y, theta)"

# %% [markdown]
# Tossing a coin would put about one in two right, and the first word does not manage two in three: one word
# says little. A filter should read on.
#
# ## A coin for each word, or one die thrown often
#
# A sentence has many words. First we fix a **vocabulary**: all words that occur in two or more of the
# training sentences. Words outside it are skipped. Each sentence becomes a row of counts, one for each word
# of the vocabulary; in which order the words came is forgotten. Hence the name **bag of words**.

# %%
spread = Counter(word for i in train for word in dict.fromkeys(texts[i]))
vocabulary = [word for word, rows in spread.most_common() if rows >= 2]
place = {word: j for j, word in enumerate(vocabulary)}


def bag(words):
    """How often each word of the vocabulary occurs in a text."""
    row = torch.zeros(len(vocabulary), dtype=torch.float64)
    for word in words:
        if word in place:
            row[place[word]] += 1
    return row


x = torch.stack([bag(words) for words in texts])
heard = (x > 0).double()  # only whether a word occurs
empty, several = (x == 0).double().mean(), (x > 1).double().mean()
print(
    f"{len(vocabulary):,} words; {empty:.1%} of all counts are 0, {several:.2%} above 1"
)

# %% [check]
assert 800 < len(vocabulary) < 1600
assert (x == 0).double().mean() > 0.98
assert (x > 1).double().mean() < 0.005

# %% [markdown]
# There are two ways to give such a row a distribution, and both are called naive Bayes.
#
# * **Bernoulli**: every word of the vocabulary is a coin. For each sentence all coins are tossed, and heads
#   means that the word occurs. It is told only *whether* a word occurs, and a word that is absent counts as
#   evidence, too.
# * **Multinomial**: one die for each class, with a face for every word, thrown once for each word of the
#   sentence. It is told *how often* each word occurs; absent words matter only in that others came.

# %%
coins = BernoulliNaiveBayes(classes=2, features=len(vocabulary))
dice = MultinomialNaiveBayes(classes=2, features=len(vocabulary))
print("Bernoulli:  ", coins)
print("multinomial:", dice)

by_coins = fit(coins, x=heard[train], y=y[train])
by_dice = fit(dice, x=x[train], y=y[train])
for name, posterior, rows in (
    ("Bernoulli", by_coins, heard),
    ("multinomial", by_dice, x),
):
    answer = ask(posterior, "p(y | x)", x=rows[test])
    print(
        f"{name:12} {(answer.mode == y[test]).double().mean():.1%}",
        "of the test sentences right",
    )

# %% [check]
assert str(coins) == "p(pi) p(theta) p(y | pi) p(x | y, theta)"
assert str(dice) == "p(pi) p(lam) p(theta) p(y | pi) p(x | y, lam, theta)"
reads = [
    (ask(posterior, "p(y | x)", x=rows[test]).mode == y[test]).double().mean()
    for posterior, rows in ((by_coins, heard), (by_dice, x))
]
assert min(reads) > 0.9
assert abs(reads[0] - reads[1]) < 0.04
assert min(reads) > right + 0.15

# %% [markdown]
# Both put more than nine sentences in ten right, with nothing but counted words. The multinomial line
# has one variable more: `lam` is the number of words to be expected of a sentence. A joint that generates
# texts must say how long they are. As both classes share it, length says nothing about the class.
#
# How much does the vocabulary matter? Keep only the commonest words, and see.

# %%
sizes = [s for s in (10, 30, 100, 300, 1000) if s < len(vocabulary)] + [len(vocabulary)]
rates = {"Bernoulli": [], "multinomial": []}
for size in sizes:
    for name, kind, rows in (
        ("Bernoulli", BernoulliNaiveBayes, heard),
        ("multinomial", MultinomialNaiveBayes, x),
    ):
        some = fit(kind(classes=2, features=size), x=rows[train, :size], y=y[train])
        found = ask(some, "p(y | x)", x=rows[test, :size]).mode
        rates[name].append(float((found == y[test]).double().mean()))

with style():
    figure, ax = plt.subplots(figsize=(5.4, 2.9))
    for k, (name, rate) in enumerate(rates.items()):
        ax.plot(
            sizes, [100 * r for r in rate], marker="os"[k], color=PALETTE[k], label=name
        )
    ax.set(
        xscale="log",
        xlabel="words in the vocabulary, the commonest first",
        ylabel="test sentences right (%)",
    )
    ax.set_title("Rare words decide")
    ax.legend()

# %% [check]
for rate in rates.values():
    assert rate[0] < 0.72
    assert rate[-1] > rate[0] + 0.2
    assert bool((torch.tensor(rate).diff() > -0.02).all())
    assert rate[-1] > rate[2] + 0.07  # what the words after the first hundred add
gaps = [abs(a - b) for a, b in zip(*rates.values(), strict=True)]
assert max(gaps) < 0.06
assert sizes[2] == 100
assert spread[vocabulary[100]] < len(train) / 50  # and they come in order of `spread`
assert len(vocabulary) > 500  # "hundreds"
assert {"the", "is", "of"} <= set(vocabulary[:5])
for k in (0, 1):  # "in sentences of both kinds"
    common = heard[train][y[train] == k][:, [place[word] for word in ("the", "is", "of")]]
    assert common.mean(0).min() > 0.15
assert 0.85 < (x == 1).sum() / (x > 0).sum() < 0.95  # "nine in ten"

# %% [markdown]
# The commonest words (*the*, *is*, *of*) are frequent in both kinds, and say little. What they leave open is
# decided by hundreds of rare ones: each of the words after the first hundred was seen in fewer than one
# training sentence in fifty. And the two models hardly differ, since about nine in ten words come only once
# in their sentence. Where they do differ is easy to show: say the same sentence again and again.

# %%
said = "a header of the message"
again = torch.stack([bag(said.split() * times) for times in range(1, 7)])
odds = {
    "Bernoulli": ask(by_coins, "p(y | x)", x=(again > 0).double()).log_joint,
    "multinomial": ask(by_dice, "p(y | x)", x=again).log_joint,
}
with style():
    figure, ax = plt.subplots(figsize=(5.4, 2.7))
    for k, (name, log_joint) in enumerate(odds.items()):
        ax.plot(
            range(1, 7),
            log_joint[:, 0] - log_joint[:, 1],
            marker="os"[k],
            color=PALETTE[k],
            label=name,
        )
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set(
        xlabel="how often it is said",
        ylabel="log odds for mail (nats)",
        title=f"“{said}”, repeated",
    )
    ax.legend()

# %% [check]
steps = [(log_joint[:, 0] - log_joint[:, 1]).diff() for log_joint in odds.values()]
assert steps[0].abs().max() < 1e-9
assert bool((steps[1].sign() == steps[1][0].sign()).all())
assert steps[1].min() > 1
assert bool((steps[1].diff() < 0).all())

# %% [markdown]
# The height of the curve is $\log p(\text{mail} \mid x) - \log p(\text{maths} \mid x)$, the **log odds**: 0
# means "could be either", each nat is a factor of 2.7. To the coins the repeated sentence is the same
# sentence. The die hears new evidence each time, if a little less of it: once a word has come, the model
# expects it to come again. On long texts the difference matters: McCallum and Nigam
# (1998) found the multinomial better with large vocabularies, the Bernoulli with small ones.
#
# ## Which words decide
#
# Naive Bayes is easily asked for its reasons. Given the class, the words are (all but) independent, so their
# log odds add up. First in general: the words whose share differs most between the two dice.

# %%
theta = ask(by_dice, "p(theta)").mean  # (classes, words)
lean = theta[0].log() - theta[1].log()
ends = lean.argsort()
strongest = torch.cat([ends.flip(0)[:9], ends[:9]])
with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 4.2), width_ratios=(1.6, 1))
    totals = torch.stack([x[train][y[train] == k].sum(0) for k in (0, 1)])
    never = [totals[1 - k] == 0 for k in (0, 1)]  # in the other class
    # many words have the same two counts: shake them a little, and give "never" a strip
    shake = torch.rand(totals.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    spots = torch.where(
        totals == 0, 1.7 * shake - 2.2, (totals + 0.8 * shake).clamp(0.5).log2()
    )
    for mask, k in ((~never[0] & ~never[1], 6), (never[0], 0), (never[1], 1)):
        look = dict(s=6, color=PALETTE[k], alpha=0.6, linewidths=0)
        axes[0].scatter(*spots[:, mask], **look)
    axes[0].axvspan(-3.2, -1.2, color=PALETTE[1], alpha=0.08, linewidth=0)
    axes[0].axhspan(-3.2, -1.2, color=PALETTE[0], alpha=0.08, linewidth=0)
    named = [place[word] for word in ("the", "of", "return", "data", "value", "message")]
    # some words of one class only, so far apart that their names have room
    for k in (0, 1):
        for j in (totals[k] * never[k]).argsort(descending=True).tolist():
            if totals[k, j] > 3 and all(
                not never[k][i] or totals[k, i] > 1.9 * totals[k, j] for i in named
            ):
                named.append(j)
    for j in named:
        word = axes[0].annotate(
            vocabulary[j],
            spots[:, j].tolist(),
            (3, 3),
            textcoords="offset points",
            fontsize=8.5,
            rotation=40 if never[0][j] else 0,
        )
        word.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    counted = (1, 3, 10, 30, 100, 300)
    ticks = [-2.2, *torch.tensor(counted).log2().tolist()]
    axes[0].set_xticks(ticks, ["never", *counted])
    axes[0].set_yticks(ticks, ["never", *counted])
    axes[0].set(xlabel="times in mail", ylabel="times in maths", xlim=(-3.2, 10.5))
    axes[0].set(ylim=(-3.2, 10), title="Every word of the vocabulary")
    log_odds(
        [vocabulary[j] for j in strongest],
        lean[strongest],
        label="log odds for mail (nats)",
        ax=axes[1],
    )
    axes[1].set_title("The words that lean most")
    axes[1].tick_params(labelsize=8)

# %% [check]
mailish, mathsish = (
    [vocabulary[j] for j in part] for part in (strongest[:9], strongest[9:])
)
assert {"message", "header", "mailbox", "server", "address", "mail"} & set(mailish)
assert {
    "decimal",
    "number",
    "operand",
    "random",
    "iterable",
    "distribution",
    "float",
    "numbers",
} & set(mathsish)
torch.testing.assert_close(theta[0], (totals[0] + 1) / (totals[0] + 1).sum())
assert abs(lean[place["the"]]) < 0.7 < lean[strongest[:9]].min()
assert (totals == 0).any(0).double().mean() > 0.5

# %% [markdown]
# On the left each dot is a word, moved a little at random, since many words have the same two counts. Look at
# the two strips: the blue words were never seen in maths, the orange ones never in mail. They are more than
# half of the vocabulary. Remember them; they will make trouble. On the right, blue bars speak for mail,
# orange ones for maths.
#
# Now for one sentence: why is *this* one put where it is? `explain` asks the model about each word by itself.

# %%
sentence = "return the mean of all messages on the server"
reasons = explain(by_dice, bag(sentence.split()), features=vocabulary, classes=KINDS)
top = [i for i, value in enumerate(reasons.values) if value > 0]  # the words that occur
print(f"“{sentence}”: {reasons.chosen}, with probability {reasons.probs.max():.2f}")
with style():
    figure, ax = plt.subplots(figsize=(5.0, 2.7))
    log_odds(
        [reasons.features[i] for i in top],
        reasons.log_odds[top],
        ax=ax,
        label=f"log odds for {reasons.chosen} (nats)",
    )
    ax.set_title("What each word says")

# %% [check]
assert abs(reasons.total - float(reasons.probs.log().diff().abs())) < 1e-6
assert reasons.chosen == "mail"
told = dict(zip(reasons.features, reasons.log_odds.tolist(), strict=True))
assert told["mean"] < 0 < told["server"]

# %% [markdown]
# A joint that has $p(x \mid y)$ can also write. Ask it for mail, and for maths:

# %%
for k in (0, 1):
    for row in ask(by_dice, "p(x | y)", y=k).sample(2, seed=k):
        print(
            f"{KINDS[k]:6}",
            *(
                word
                for word, n in zip(vocabulary, row.long(), strict=True)
                for _ in range(n)
            ),
        )

# %% [check]
drawn = torch.cat([ask(by_dice, "p(x | y)", y=k).sample(300, seed=k) for k in (0, 1)])
taken = ask(by_dice, "p(y | x)", x=drawn).mode == torch.arange(2).repeat_interleave(300)
assert taken.double().mean() > 0.9  # it writes what it reads
assert abs(drawn.sum(1).mean() / x[train].sum(1).mean() - 1) < 0.15

# %% [markdown]
# Nobody would take these for sentences: the bag has forgotten all order. Yet it tells mail from maths more
# than nine times in ten. A model can be plainly wrong about the world and still answer one question well.
#
# ## What goes wrong: the word that was never seen
#
# Leave out the prior. The likeliest die, by **maximum likelihood**, gives each word exactly the share that it
# had: $n_j / N$. A word that mail never used has probability *zero* in mail, so a sentence that contains it
# cannot be mail, whatever its other words say. And if another of its words was never seen in maths?

# %%
bare = fit(dice, MaximumLikelihood(smoothing=0), x=x[train], y=y[train])
impossible = ask(bare, "p(y | x)", x=x[test]).log_joint == -torch.inf
print(
    f"of {len(test)} test sentences, {int(impossible.any(1).sum())} are impossible",
    "in one class or the other,",
)
print(f"and {int(impossible.all(1).sum())} in both. For these, Bayes' rule is 0/0:")
try:
    ask(bare, "p(y | x)", x=x[test]).probs
except ValueError as refusal:
    print("  ", refusal)

# %% [check]
assert impossible.any(1).double().mean() > 0.7
assert 10 < impossible.all(1).sum() < 0.3 * len(test)
refused = 0
try:
    ask(bare, "p(y | x)", x=x[test]).probs
except ValueError:
    refused = 1
assert refused

# %% [markdown]
# The library refuses to make up a number here. Many programs add something tiny instead, such as
# $10^{-10}$, and the error is gone. The trouble is not. **How to see it**: score the test sentences by
# $\log p(y \mid x)$ of their true class. A model that says "impossible" and is wrong pays for it, which mere
# counting of right answers does not show.

# %%
alphas = torch.logspace(-10, 2, 13)
scores, correct = [], []
for alpha in alphas.tolist():
    smoothed = fit(
        MultinomialNaiveBayes(classes=2, features=len(vocabulary), pseudocount=alpha),
        x=x[train],
        y=y[train],
    )
    log_probs = ask(smoothed, "p(y | x)", x=x[test]).log_joint.log_softmax(1)
    scores.append(float(log_probs[torch.arange(len(test)), y[test]].mean()))
    correct.append(float((log_probs.argmax(1) == y[test]).double().mean()))

with style():
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 2.8), sharex=True)
    axes[0].plot(alphas, [100 * c for c in correct], "o-", color=PALETTE[0], markersize=4)
    axes[0].set(
        ylabel="test sentences right (%)", ylim=(50, 100), title="The decisions hide it …"
    )
    axes[1].plot(alphas, scores, "s-", color=PALETTE[3], markersize=4)
    axes[1].set(
        ylabel="mean log p(true class | x) (nats)", title="… the probabilities do not"
    )
    for ax, height in zip(axes, (52, min(scores)), strict=True):
        ax.axvline(1, color="0.6", linewidth=0.8)
        ax.text(0.6, height, "add one", ha="right", color="0.35")
        ax.set(xscale="log", xlabel="added to each count (α)")

# %% [check]
one = alphas.log10().abs().argmin()
assert abs(alphas[one] - 1) < 1e-6
assert scores[one] > max(scores[0] + 0.1, scores[-1] + 0.1)
assert abs(correct[0] - correct[one]) < 0.04
assert correct[-1] < correct[one] - 0.05
assert max(scores) - scores[one] < 0.03

# %% [markdown]
# With next to nothing added, nearly as many decisions are right; but where they are wrong the model swears to
# them. With 100 added to each count, the prior drowns the data. Add-one does well here. It is not always the
# best $\alpha$, and exercise 2 shows how to choose one without a single test sentence.
#
# ## Numbers as categories
#
# What if a feature is a number, and not Normal? Here are the petals of 150 irises. The class is whether a
# flower is a *versicolor*, or one of the two other species.

# %%
flowers, kept = iris().split(test=0.5, seed=0)
length, length_kept = flowers.x[:, [2]], kept.x[:, [2]]  # petal length in cm
species, species_kept = (flowers.y == 1).long(), (kept.y == 1).long()

gaussian = fit(GaussianNaiveBayes(classes=2, features=1), x=length, y=species)
edges = torch.linspace(
    0.75, 7.25, 14
).double()  # of thirteen bins, half a centimetre wide
bins, bins_kept = (torch.bucketize(rows, edges) - 1 for rows in (length, length_kept))
binned = fit(CategoricalNaiveBayes(classes=2, features=1, levels=13), x=bins, y=species)
kernels = fit(KernelNaiveBayes(classes=2, features=1), x=length, y=species)
print(gaussian.model, binned.model, kernels.model, sep="\n")

# %% [markdown]
# Three ways to draw the density $p(x \mid y)$:
#
# * **Gaussian**: one bell for each class, with a mean `mu` and a precision `tau` (one over the variance).
# * **Bins**: cut the axis into thirteen bins. Which bin a length falls into is a category, so we are back at
#   the die. This is a histogram, with one added to each count.
# * **Kernels**: put a narrow bell, the *kernel*, on every flower seen, and take the mean of them all:
#   $$p(x \mid y) = \frac1m \sum_{i=1}^m \text{Normal}(x;\ x_i,\ h),$$
#   where $x_1, \dots, x_m$ are the lengths seen in class $y$, and the width $h$ of each bell (its standard
#   deviation) is the **bandwidth**. The line has no parameter of $x$ left: the flowers themselves stand in
#   for it.

# %%
at = torch.linspace(0.76, 7.24, 400, dtype=torch.float64)[:, None]
places = torch.bucketize(at, edges) - 1
NAMES = ["another species", "versicolor"]


def densities(ax, posterior, title, given=at, width=1.0):
    """p(x | y) of both classes, over the flowers that it was learnt from."""
    for k in (0, 1):
        density = ask(posterior, "p(x | y)", y=k).log_prob(x=given).exp() / width
        ax.plot(at[:, 0], density, ("-", "--")[k], color=PALETTE[k], label=NAMES[k])
        rows = length[species == k]
        ax.plot(
            rows,
            torch.full_like(rows, -0.05 - 0.06 * k),
            "|",
            color=PALETTE[k],
            markersize=6,
        )
    ax.set(xlabel="petal length (cm)", title=title)


with style():
    figure, axes = plt.subplots(1, 3, figsize=(7.4, 2.8), sharey=True)
    densities(axes[0], gaussian, "one bell")
    densities(axes[1], binned, "bins", given=places, width=0.5)
    densities(axes[2], kernels, "kernels")
    axes[0].set_ylabel("p(x | y), per cm")
    axes[0].set_ylim(top=1.2)
    axes[0].legend(fontsize=9, loc="upper left")

# %%
rows = {
    "one bell": (gaussian, length_kept, 1.0),
    "bins": (binned, bins_kept, 0.5),
    "kernels": (kernels, length_kept, 1.0),
}
print(f"{'':10} mean log p(x | another species)   versicolor or not")
fits = {}
for name, (posterior, given, width) in rows.items():
    other = given[species_kept == 0]
    density = (
        ask(posterior, "p(x | y)", y=0).log_prob(x=other) - torch.tensor(width).log()
    ).mean()
    hits = (ask(posterior, "p(y | x)", x=given).mode == species_kept).double().mean()
    fits[name] = float(density), float(hits)
    print(f"{name:10} {density:14.2f} nats {'':12} {hits:.0%} right")

# %% [check]
assert [str(p.model) for p in (gaussian, binned, kernels)] == [
    "p(pi) p(tau) p(mu | tau) p(y | pi) p(x | y, mu, tau)",
    "p(pi) p(theta) p(y | pi) p(x | y, theta)",
    "p(pi) p(y | pi) p(x | y)",
]
assert float(edges[0]) < float(iris().x[:, 2].min())
assert float(iris().x[:, 2].max()) < float(edges[-1])
valley = torch.tensor([[2.5]], dtype=torch.float64)  # in the gap between the two species
deep = [
    float(ask(posterior, "p(x | y)", y=0).log_prob(x=given).exp() / width)
    for posterior, given, width in (
        (gaussian, valley, 1.0),
        (binned, torch.bucketize(valley, edges) - 1, 0.5),
        (kernels, valley, 1.0),
    )
]
assert deep[0] > 0.1  # a bell has much of its mass in the gap
assert max(deep[1:]) < 0.05  # "bins and kernels find the gap"
assert not bool(((iris().x[:, 2] > 2.05) & (iris().x[:, 2] < 2.95)).any())
assert min(fits["bins"][0], fits["kernels"][0]) > fits["one bell"][0] + 0.4
assert fits["kernels"][1] >= fits["one bell"][1] - 0.02
assert min(hits for _, hits in fits.values()) > 0.85
assert max(hits for _, hits in fits.values()) - fits["one bell"][1] < 0.05

# %% [markdown]
# The others are two species, so their density has two humps. One bell puts its mass where no flower is,
# between them. Bins and kernels find the gap, and their densities of the flowers kept back are far better.
# The *decisions* differ less: even a wrong density can lie on the right side of another.
#
# Bins have a flaw: density jumps at their edges, and where the edges lie was our choice. Kernels have no
# edges. But they, too, have a number to choose.
#
# ## How wide is a kernel?
#
# Move the slider, or look at three widths:


# %%
def widths(*bandwidths):
    """The densities at some bandwidths, in cm."""
    with style():
        _, axes = plt.subplots(
            1,
            len(bandwidths),
            figsize=(0.6 + 2.27 * len(bandwidths), 2.6),
            squeeze=False,
            sharey=True,
        )
        for ax, h in zip(axes[0], bandwidths, strict=True):
            posterior = fit(
                KernelNaiveBayes(classes=2, features=1, bandwidth=h), x=length, y=species
            )
            densities(ax, posterior, f"h = {h:.2g} cm")
        axes[0, 0].set_ylabel("p(x | y), per cm")


widths(0.03, 0.2, 1.0)

# %%
if importlib.util.find_spec("ipywidgets"):
    from ipywidgets import FloatLogSlider, interact

    _ = interact(
        lambda h: widths(h),
        h=FloatLogSlider(value=0.2, min=-1.7, max=0.3, description="h (cm)"),
    )

# %% [markdown]
# Too narrow, and the density is a comb: it knows by heart the flowers that it has seen, and gives next to
# nothing to a new one in between. Too wide, and the humps melt into one. The rule of maximum likelihood is no
# help: it likes the comb best, and the narrower the better, up to infinitely high spikes on what was seen.
#
# The way out is to ask of each flower how likely the density *of all others* finds it: **leave one out**. The
# sum of their logarithms needs no test set, and it has a peak. There `fit` puts `h`, for each class.

# %%
tried = torch.logspace(-2, 0.5, 26).tolist()
curves = {"flowers seen": [], "each left out": [], "flowers kept back": []}


def mean_log_density(posterior, rows, labels):
    return sum(
        float(ask(posterior, "p(x | y)", y=k).log_prob(x=rows[labels == k]).sum())
        for k in (0, 1)
    ) / len(rows)


for h in tried:
    posterior = fit(
        KernelNaiveBayes(classes=2, features=1, bandwidth=h), x=length, y=species
    )
    curves["flowers seen"].append(mean_log_density(posterior, length, species))
    curves["each left out"].append(float(posterior.model.leave_one_out) / len(length))
    curves["flowers kept back"].append(
        mean_log_density(posterior, length_kept, species_kept)
    )

with style():
    figure, ax = plt.subplots(figsize=(5.6, 3.2))
    for k, (name, curve) in enumerate(curves.items()):
        ax.plot(tried, curve, ("-", "--", ":")[k], color=PALETTE[k], label=name)
    for k, h in enumerate(kernels.model.bandwidth.flatten().tolist()):
        ax.axvline(h, color="0.6", linewidth=0.8)
        ax.annotate(
            ("chosen for others", "versicolor")[k],
            (h, -3.9),
            (3, 0),
            textcoords="offset points",
            fontsize=9,
            rotation=90,
        )
    ax.set(
        xscale="log",
        ylim=(-4, 2.5),
        xlabel="bandwidth h (cm)",
        ylabel="mean log p(x | y) (nats)",
    )
    ax.set_title("What is seen says: narrower. What is not says: stop.")
    ax.legend()
print(
    "chosen, for another species and for versicolor:",
    [round(h, 2) for h in kernels.model.bandwidth.flatten().tolist()],
    "cm",
)

# %% [check]
seen, left, new = (torch.tensor(curve) for curve in curves.values())
assert bool((seen.diff() < 0).all())
assert 0.05 < tried[int(left.argmax())] < 0.8
assert 0.05 < tried[int(new.argmax())] < 0.8
assert new.max() - new[0] > 0.5
assert left.max() - left[0] > 0.5
own = mean_log_density(kernels, length_kept, species_kept)
assert own > new.max() - 0.15
agree = (left - new).abs()[left.argmax()]
assert agree < 0.2
normal = torch.randn(
    30, 8, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64
)
fresh = torch.randn(
    500, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64
)
few = torch.tensor(
    [
        [
            float(
                ask(fit(kind(classes=1, features=1), x=rows8, y=[0] * 8), "p(x)")
                .log_prob(x=fresh)
                .mean()
            )
            for rows8 in normal
        ]
        for kind in (GaussianNaiveBayes, KernelNaiveBayes)
    ]
)
assert few[0].mean() > few[1].mean() + 0.05
assert ask(kernels, "p(x | y)", y=1).log_prob(x=[[10.0]])[0] < -50

# %% [markdown]
# The three curves part on the left. What was seen looks better and better; the flowers kept back, and those
# left out, fall off a cliff. Near their peaks these two curves, the dotted and the dashed one, nearly agree,
# without one having seen the data of the other.
#
# Kernels are no free lunch. The model keeps every row, and each question reads them all. Where the data *are*
# Normal and few, a single bell, which assumes more, is the better density. And a value far from all that a
# class has shown gets next to no density there, so that one odd feature can outvote all the others.
#
# ## Exercises
#
# Try each before you open its solution.
#
# **1.** A die with six faces was thrown three times and showed 6, 6, 6. What does add-one expect of the next
# throw? And a Dirichlet prior with 100 for each face? Which would you rather use at a gaming table?
#
# <details><summary>Solution</summary>
#
# $(3 + 1) / (3 + 6) = 4/9$ for a six, against $(3 + 100) / (3 + 600) \approx 0.17$. The first prior holds
# every die for possible, the second is all but sure that dice are fair. At a table with real dice, the
# second.
#
# ```python
# for alpha in (1.0, 100.0):
#     one_die = CategoricalNaiveBayes(classes=1, features=1, levels=6, pseudocount=alpha)
#     after = fit(one_die, x=[[5], [5], [5]], y=[0, 0, 0])
#     chance = float(ask(after, "p(x | y)", y=0).log_prob(x=[[5]]).exp())
#     print(alpha, chance)
#     assert abs(chance - (3 + alpha) / (3 + 6 * alpha)) < 1e-9
# ```
#
# </details>
#
# **2.** The exact posterior knows its **log evidence**: the log probability of all training rows with `theta`
# integrated out. A prior that makes the rows more probable suits them better. Choose $\alpha$ by it, for the
# multinomial. Does the choice do well on the test sentences?
#
# <details><summary>Solution</summary>
#
# ```python
# learnt = {}
# for alpha in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0):
#     model = MultinomialNaiveBayes(classes=2, features=len(vocabulary), pseudocount=alpha)
#     learnt[alpha] = fit(model, x=x[train], y=y[train])
# best = max(learnt, key=lambda alpha: learnt[alpha].log_evidence)
# log_probs = ask(learnt[best], "p(y | x)", x=x[test]).log_joint.log_softmax(1)
# score = float(log_probs[torch.arange(len(test)), y[test]].mean())
# print(best, round(score, 3), "the best of the curve above:", round(max(scores), 3))
# assert best in (0.1, 0.3, 1.0)
# assert score > max(scores) - 0.06
# ```
#
# It does nearly as well as the best on the curve, and no test sentence was asked. Lesson 5 is about the
# evidence.
#
# </details>
#
# **3.** Sentences in the mail to be filtered come from `smtplib` and its like nine times in ten. Our training
# set was half and half. Correct for that without fitting again.
#
# <details><summary>Solution</summary>
#
# The joint keeps $p(y)$ apart from $p(x \mid y)$, so give its `pi` with the question.
#
# ```python
# half = ask(by_dice, "p(y | x)", x=x[test]).probs
# shifted = ask(by_dice, "p(y | x, pi)", x=x[test], pi=[0.9, 0.1]).probs
# print(f"mail: {half[:, 0].mean():.0%} before, {shifted[:, 0].mean():.0%} after")
# assert bool((shifted[:, 0] >= half[:, 0] - 1e-9).all())
# ```
#
# </details>
#
# **4.** Draw 200 numbers from each of two classes, of which one is skewed: the exponential of a Normal,
# against a Normal of mean 1 and standard deviation 1. How much does `KernelNaiveBayes` gain over
# `GaussianNaiveBayes`? And with 10 numbers from each?
#
# <details><summary>Solution</summary>
#
# ```python
# def draw(rows, seed):
#     generator = torch.Generator().manual_seed(seed)
#     noise = torch.randn(2 * rows, 1, generator=generator, dtype=torch.float64)
#     classes = torch.arange(2).repeat_interleave(rows)
#     return torch.cat([noise[:rows].exp(), noise[rows:] + 1]), classes
#
# wins = {}
# for rows in (10, 200):
#     rates = []
#     for seed in range(20):
#         (a, b), (new_a, new_b) = draw(rows, seed), draw(500, 1000 + seed)
#         both = GaussianNaiveBayes, KernelNaiveBayes
#         pair = [model(classes=2, features=1) for model in both]
#         answers = [ask(fit(model, x=a, y=b), "p(y | x)", x=new_a) for model in pair]
#         rates.append([(answer.mode == new_b).double().mean() for answer in answers])
#     wins[rows] = (torch.tensor(rates)[:, 1] - torch.tensor(rates)[:, 0]).mean()
#     print(f"{rows} rows a class: kernels gain {wins[rows]:+.1%}")
# assert wins[200] > 0.02
# assert wins[10] < wins[200]
# ```
#
# </details>
#
# **5.** The test sentences came from the same modules as those we learnt from. Learn from all modules but
# `poplib` and `statistics`, and test on these two. Is the filter as good as we thought?
#
# <details><summary>Solution</summary>
#
# ```python
# source = {**maths, **mail}
# left = "poplib", "statistics"
# strangers = [i for i, words in enumerate(texts) if source[words] in left]
# others = sorted(set(range(len(texts))) - set(strangers))
# honest = fit(dice, x=x[others], y=y[others])
# rate = (ask(honest, "p(y | x)", x=x[strangers]).mode == y[strangers]).double().mean()
# usual = (ask(by_dice, "p(y | x)", x=x[test]).mode == y[test]).double().mean()
# print(f"{rate:.0%} of the sentences of modules never seen, against {usual:.0%}")
# assert 0.5 < rate < usual - 0.03
# ```
#
# It is worse: words such as *median* were never seen. A test must resemble the use. If new modules (new
# senders, new patients) will come, whole modules must be kept back.
#
# </details>
#
# ## Further reading
#
# * A. McCallum and K. Nigam, "A comparison of event models for naive Bayes text classification", *AAAI-98
#   Workshop on Learning for Text Categorization* (1998): coins against dice.
# * V. Metsis, I. Androutsopoulos and G. Paliouras, "Spam filtering with naive Bayes – which naive Bayes?",
#   *CEAS* (2006): the same question on real mail.
# * G. H. John and P. Langley, "Estimating continuous distributions in Bayesian classifiers", *UAI* (1995):
#   kernels in naive Bayes.
# * B. W. Silverman, *Density Estimation for Statistics and Data Analysis* (1986): all about bandwidths.
# * K. P. Murphy, *Machine Learning: A Probabilistic Perspective* (2012), sections 3.4–3.5: Dirichlet priors,
#   add-one, and both text models.
# * P.-S. Laplace, *Essai philosophique sur les probabilités* (1814): the rule of succession.
#
# The data: the documentation of Python's standard library; R. A. Fisher, "The use of multiple measurements in
# taxonomic problems", *Annals of Eugenics* 7 (1936): the irises.

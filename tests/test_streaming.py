"""Rows that come in parts, from files and from other workers; class priors that come with the question."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from ppl_gen import EM, SVI, Exact, Importance, MaximumLikelihood, ask, fit, load, merge, save
from ppl_gen.data import iris
from ppl_gen.errors import DataError
from ppl_gen.models import (
    GaussianNaiveBayes,
    GaussianRegression,
    LinearDiscriminantAnalysis,
    LinearRegression,
    LogisticRegression,
    QuadraticDiscriminantAnalysis,
)
from tests.models.naive_bayes import MODELS, draw

DATA = iris().standardized()
NB = GaussianNaiveBayes(classes=3, features=4)
PARTS = [{"x": DATA.x[i::3], "y": DATA.y[i::3]} for i in range(3)]
WHOLE = fit(NB, x=DATA.x, y=DATA.y)


def same(one, other):
    assert one.log_evidence == pytest.approx(other.log_evidence, rel=1e-10)
    assert one.n == other.n == 150
    assert one.shapes == other.shapes
    for name, tensor in one.model.named_buffers():
        torch.testing.assert_close(getattr(other.model, name), tensor, rtol=1e-10, atol=1e-12)


def test_batches_are_the_whole():
    same(fit(NB, None, (part for part in PARTS)), WHOLE)
    same(fit(NB, Exact(chunk=11), PARTS), WHOLE)
    with pytest.raises(DataError, match="counted twice"):
        fit(NB, Exact(), [PARTS[0], PARTS[0]])
    for arguments, data in (((EM(), PARTS), {}), ((Exact(), PARTS), PARTS[0])):
        with pytest.raises(DataError, match="batches: expected no other data"):
            fit(NB, *arguments, **data)
    with pytest.raises(DataError, match="batches: expected at least one"):
        fit(NB, Exact(), [])


def test_shards_merge_to_the_whole(tmp_path):
    shards = [fit(NB, **part) for part in PARTS]
    same(merge(*shards), WHOLE)
    same(shards[2] + (shards[0] + shards[1]), WHOLE)
    save(shards[0], tmp_path / "shard.pplgen")
    same(merge(load(tmp_path / "shard.pplgen"), *shards[1:]), WHOLE)
    torch.testing.assert_close(
        ask(merge(*shards), "p(y | x)", x=DATA.x).probs, ask(WHOLE, "p(y | x)", x=DATA.x).probs
    )


CONJUGATE = {
    **MODELS,
    "lda": lambda: LinearDiscriminantAnalysis(3, 3, loc=0.5, strength=2.0, scatter=[1.0, 2.0, 3.0]),
    "qda": lambda: QuadraticDiscriminantAnalysis(3, 3, loc=0.5, strength=2.0, scatter=0.7),
    "linear": lambda: LinearRegression(3, loc=0.5, precision=2.0),
    "gaussian regression": lambda: GaussianRegression(3, strength=2.0, precision=0.5),
}


@pytest.mark.parametrize("cuts", [(40, 90), (2, 3)])
@pytest.mark.parametrize("name", CONJUGATE)
def test_shards_of_every_conjugate_model_merge_to_the_whole(name, cuts, tmp_path):
    model = CONJUGATE[name]()
    if name in MODELS:
        x, y = draw(model, 120)
    else:
        x, y = DATA.x[:, :3], DATA.y if name in ("lda", "qda") else DATA.x[:, 3]
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    whole = fit(model, x=x, y=y)
    shards = [fit(model, x=x[rows], y=y[rows]) for rows in order.tensor_split(cuts)]
    save(shards[0], tmp_path / "shard.pplgen")
    for merged in (merge(*shards), shards[2] + (shards[1] + load(tmp_path / "shard.pplgen"))):
        assert merged.log_evidence == pytest.approx(whole.log_evidence, rel=1e-10)
        assert merged.n == len(y)
        assert merged.shapes == whole.shapes
        found = dict(merged.model.named_buffers())
        for field, value in whole.model.named_buffers():
            torch.testing.assert_close(found[field], value, rtol=1e-10, atol=1e-10)
        question = "p(y | x)" if name == "linear" else "p(x | y)"
        given, asked = ({"x": x}, {"y": y}) if name == "linear" else ({"y": y}, {"x": x})
        here, there = (ask(p, question, **given).log_prob(**asked) for p in (merged, whole))
        torch.testing.assert_close(here, there, rtol=1e-9, atol=1e-10)


# The prior does contradict the rows.
@pytest.mark.filterwarnings("ignore:[xy]. expected numbers of the size")
def test_merging_keeps_its_digits_where_the_prior_is_far_and_strong():
    """The prior's part of a shard, which is taken out, is a million times what the rows say."""
    data = iris()
    for model, y in (
        (QuadraticDiscriminantAnalysis(3, 4, loc=30.0, strength=100.0, scatter=1e3), data.y),
        (LinearDiscriminantAnalysis(3, 4, loc=30.0, strength=100.0, scatter=1e3), data.y),
        (LinearRegression(4, loc=10.0, precision=1e3, rate=1e3), data.x[:, 0] * 2),
    ):
        whole = fit(model, x=data.x, y=y)
        merged = merge(*(fit(model, x=data.x[i::5], y=y[i::5]) for i in range(5)))
        assert merged.log_evidence == pytest.approx(whole.log_evidence, rel=1e-10)
        found = dict(merged.model.named_buffers())
        for field, value in whole.model.named_buffers():
            torch.testing.assert_close(found[field], value, rtol=1e-9, atol=1e-9)


def test_what_must_not_be_merged_is_refused():
    one, other = (fit(NB, **part) for part in PARTS[:2])
    with pytest.raises(DataError, match="the same rows"):
        merge(one, other, one)
    with pytest.raises(DataError, match="different priors"):
        merge(one, fit(GaussianNaiveBayes(classes=3, features=4, strength=1.0), **PARTS[1]))
    with pytest.raises(DataError, match="different priors"):
        merge(one, fit(one, **PARTS[1]))
    with pytest.raises(DataError, match="one conjugate model by one method"):
        merge(one, fit(NB, MaximumLikelihood(), **PARTS[1]))
    lr = LogisticRegression(classes=3, features=4)
    with pytest.raises(DataError, match="one conjugate model by one method"):
        merge(*(fit(lr, SVI(steps=1), **part) for part in PARTS[:2]))
    with pytest.raises(DataError, match="expected posteriors"):
        merge(one, NB)


PROGRAM = """
import sys
import numpy as np
from ppl_gen import Exact, ask, fit
from ppl_gen.models import GaussianNaiveBayes

folder, rows, features = sys.argv[1], int(sys.argv[2]), 8

def memory():  # bytes of its own; pages of files can be dropped at any time and are not counted
    status = dict(line.split(":") for line in open("/proc/self/status"))
    return int(status["RssAnon"].split()[0]) * 1024

nb = GaussianNaiveBayes(classes=3, features=features)
warm = np.random.default_rng(0).normal(size=(200_000, features))
ask(fit(nb, x=warm, y=np.arange(200_000) % 3), "p(y | x)", x=warm).probs
del warm
x = np.memmap(f"{folder}/x", dtype=np.float64, mode="r", shape=(rows, features))
y = np.memmap(f"{folder}/y", dtype=np.int64, mode="r", shape=(rows,))
size, peak = 100_000, []
before = memory()

def batches():
    for first in range(0, rows, size):
        yield {"x": x[first : first + size], "y": y[first : first + size]}
        peak.append(memory())

streamed = fit(nb, Exact(), batches())
print(max(peak) - before)
whole = fit(nb, Exact(), x=x, y=y)
print(memory() - before)
assert abs(whole.log_evidence / streamed.log_evidence - 1) < 1e-10
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_file_is_fitted_in_the_memory_of_a_chunk(tmp_path):
    rows, features = 1_500_000, 8  # 96 MB of x and 12 MB of y; a chunk of x is 8 MB
    generator = np.random.default_rng(0)
    generator.standard_normal((rows, features)).tofile(tmp_path / "x")
    (np.arange(rows) % 3).tofile(tmp_path / "y")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(rows)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    grown = [int(line) for line in run.stdout.split()]
    assert max(grown) < 40e6, grown  # a copy of x would be 96 MB


SHIFT = [0.1, 0.1, 0.8]


def shifted(posterior, rows=DATA.x):
    """Bayes' rule with another prior of the classes: divide theirs out, multiply the new one in."""
    method = Importance(draws=200)
    log_x = torch.stack([ask(posterior, "p(x | y)", method, y=k).log_prob(x=rows) for k in range(3)], -1)
    return (log_x + torch.tensor(SHIFT, dtype=torch.float64).log()).softmax(-1)


@pytest.mark.parametrize("method", [Exact(), MaximumLikelihood()])
def test_a_class_prior_given_with_the_question(method):
    posterior = fit(NB, method, x=DATA.x, y=DATA.y)
    answer = ask(posterior, "p(y | x, pi)", x=DATA.x, pi=SHIFT)
    torch.testing.assert_close(answer.probs, shifted(posterior), rtol=1e-10, atol=1e-12)
    assert answer.how == "enumerated"
    prior = ask(posterior, "p(y | pi)", pi=SHIFT)
    torch.testing.assert_close(prior.probs, torch.tensor(SHIFT, dtype=torch.float64), rtol=1e-12, atol=0)
    total = ask(posterior, "p(x | pi)", pi=SHIFT).log_prob(x=DATA.x)
    joint = torch.stack([ask(posterior, "p(x, y | pi)", pi=SHIFT).log_prob(x=DATA.x, y=k) for k in range(3)])
    torch.testing.assert_close(total, joint.logsumexp(0), rtol=1e-10, atol=1e-12)
    drawn = ask(posterior, "p(y | pi)", pi=[0.0, 0.0, 1.0]).sample(20)
    assert (drawn == 2).all()


@pytest.mark.filterwarnings("ignore::ppl_gen.errors.Unreliable")
def test_a_class_prior_given_to_svi_averages_over_the_others():
    posterior = fit(NB, SVI(steps=300), x=DATA.x, y=DATA.y)
    answer = ask(posterior, "p(y | x, pi)", Importance(draws=200), x=DATA.x, pi=SHIFT)
    # The same draws of mu and tau stand on both sides: they agree to rounding.
    torch.testing.assert_close(answer.probs, shifted(posterior), rtol=1e-8, atol=1e-10)
    assert answer.how == "posterior average (200 draws)"

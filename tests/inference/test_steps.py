"""Several compiled steps in one call have the bits of as many calls, and stop where those stop."""

import gc
import os
import signal
import weakref

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn

from ppl_gen import SVI, ProbabilisticModel, fit
from ppl_gen.errors import Interrupted, NonFinite
from ppl_gen.inference import climb, graphs, steps
from ppl_gen.inference.checkpoints import Checkpoint

X = 2.0 + torch.randn(24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Mean(ProbabilisticModel):
    """The mean of a normal; where it is drawn above ``limit``, row 5 has no density, or that no gradient."""

    joint = "p(mu) p(x | mu)"

    def __init__(self, limit=1e9, density=False):
        super().__init__()
        self.limit, self.density = limit, density
        self.loc = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.log_scale = nn.Parameter(torch.tensor(-1.0, dtype=torch.float64))

    def model(self, n):
        mu = pyro.sample("mu", dist.Normal(torch.zeros_like(self.loc), 3.0))
        with pyro.plate("data", n):
            wrong = (torch.arange(n) == 5) & (mu > self.limit)
            left = self.limit - mu
            other = mu + (left + left.abs()).sqrt() if self.density else torch.nan
            pyro.sample("x", dist.Normal(torch.where(wrong, other, mu), 1.0))

    def guide(self):
        pyro.sample("mu", dist.Normal(self.loc, self.log_scale.exp()))


@pytest.fixture
def calls(monkeypatch):
    """How many steps each call took: more than one, or none after all. A compiler's work is not needed."""
    found = []

    def several(self, pace):
        found.append(real(self, pace))
        return found[-1]

    real = steps.Steps.several
    monkeypatch.setattr(steps.Steps, "several", several)
    monkeypatch.setattr(steps, "compiled", lambda graph, _: graph)
    monkeypatch.setattr(steps, "PATIENCE", 60.0)  # a loaded machine cuts no call short
    return found


@pytest.fixture
def interruptible():
    """Ctrl-C interrupts, also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def one_by_one(monkeypatch):
    """Do the rest of the test's fits a step a call."""
    return lambda: monkeypatch.setattr(climb, "AT_ONCE", 1)


def fitted(model=None, count=100, **how):
    settings = {"learning_rate": 0.05, "seed": 1, "progress": False, "compile": True} | how
    return fit(model or Mean(), SVI(steps=count, **settings), x=X)


def same(a, b):
    assert torch.equal(a.elbo, b.elbo)
    assert all(torch.equal(u, v) for u, v in zip(a.model.parameters(), b.model.parameters(), strict=True))


@pytest.mark.parametrize(
    "how",
    [
        {"clip": 1.0},
        {"optimizer": torch.optim.SGD, "learning_rate": 1e-3},
        {"free_bits": 0.1, "progress": True},
    ],
)
def test_several_steps_a_call_have_the_bits_of_one_a_call(how, calls, one_by_one):
    together = fitted(**how)
    assert list(map(len, calls)) == [32, 32, 32, 4]
    one_by_one()
    alone = fitted(**how)
    assert list(map(len, calls[4:])) == [1] * 100
    same(together, alone)
    assert together.elbo[:5].mean() < -60
    assert together.elbo[-20:].mean() > -50


def test_minibatches_and_replayed_graphs_go_step_by_step(calls, monkeypatch):
    monkeypatch.setattr(steps, "WORTH_A_GRAPH", 10)
    for how in ({"batch_size": 7}, {"compile": False}, {"optimizer": torch.optim.RMSprop}):
        assert len(fitted(count=20, **how).elbo) == 20
    assert calls == [[]] * 60


def test_long_steps_are_not_taken_together(calls, monkeypatch):
    monkeypatch.setattr(steps, "PATIENCE", 0.0)
    fitted(count=20)
    assert list(map(len, calls)) == [1] * 20


def test_windows_of_the_tolerance_are_whole(calls, one_by_one):
    how = {"tolerance": 5.0, "window": 25, "count": 400}
    together = fitted(**how)
    assert "converged after" in together.note
    assert list(map(len, calls))[:2] == [25, 25]
    one_by_one()
    alone = fitted(**how)
    same(together, alone)
    assert together.note == alone.note


@pytest.mark.parametrize("cause", ["draw", "update", "last update"])
def test_what_is_not_finite_stops_at_its_own_step(cause, calls, one_by_one):
    blows_up = {"draw": 2.0, "update": 0.45, "last update": 0.99}[cause]  # a fraction of the steps
    limit = float(X.mean()) + 2 / 24**0.5 if cause == "draw" else 1e9  # two standard deviations: soon drawn
    errors = []
    for _ in range(2):
        with pytest.raises(NonFinite) as caught:
            fitted(Mean(limit), schedule=lambda done: 1e308 if done == blows_up else 1.0, learning_rate=0.1)
        errors.append(caught.value)
        one_by_one()
    together, alone = errors
    assert (together.step, together.site, str(together)) == (alone.step, alone.site, str(alone))
    assert len(together.posterior.elbo) == together.step
    same(together.posterior, alone.posterior)
    assert all(bool(w.isfinite()) for w in together.posterior.model.parameters())
    if cause == "draw":
        assert "log p(x | …) of row 5 is not finite" in str(together)
    else:
        assert together.step == {"update": 46, "last update": 100}[cause]


def test_a_gradient_that_is_not_finite_is_seen_in_the_last_step_of_a_call(calls):
    found = []
    for count in (100, None):
        model = Mean(float(X.mean()) + 2 / 24**0.5, density=True)
        with pytest.raises(NonFinite, match="the gradient of loc is not finite") as caught:
            fitted(model, count or found[0] + 1, schedule="constant", learning_rate=0.1)
        found.append(caught.value.step)
    assert found[0] == found[1]


def test_a_fit_that_died_amid_a_call_goes_on_to_the_same_bits(calls, tmp_path, monkeypatch):
    through = fitted(checkpoint=Checkpoint(tmp_path / "a", steps=7))
    assert list(map(len, calls)) == [7] * 14 + [2]

    def dies(self):
        if self.done == 50:
            raise RuntimeError("the machine")
        return inputs(self)

    inputs = steps.Steps._inputs
    monkeypatch.setattr(steps.Steps, "_inputs", dies)
    with pytest.raises(RuntimeError, match="the machine"):
        fitted(checkpoint=Checkpoint(tmp_path / "b", steps=9))
    monkeypatch.setattr(steps.Steps, "_inputs", inputs)
    resumed = fitted(checkpoint=Checkpoint(tmp_path / "b", steps=9))
    assert list(map(len, calls[-7:])) == [9] * 6 + [1]  # from step 45
    same(through, resumed)


def test_ctrl_c_ends_the_fit_after_the_call_at_hand(calls, one_by_one, interruptible):
    def pressed(done):
        if done == 0.4:
            os.kill(os.getpid(), signal.SIGINT)
        return 1.0

    with pytest.warns(Interrupted, match="stopped by hand after 64 of 100 steps"):
        stopped = fitted(schedule=pressed)
    one_by_one()
    whole = fitted(schedule="constant")
    assert torch.equal(stopped.elbo, whole.elbo[:64])
    with pytest.warns(Interrupted, match="stopped by hand after 41 of 100 steps"):
        fitted(schedule=pressed)


@pytest.mark.slow
def test_a_second_ctrl_c_amid_a_call_leaves_what_was_before_it(calls, interruptible):
    def pressed(done):
        if done == 0.4:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return 1.0

    with pytest.warns(Interrupted, match="stopped by hand after 32 of 100 steps"):
        stopped = fitted(schedule=pressed)
    same(stopped, fitted(count=32, schedule="constant"))


@pytest.fixture
def compilations(monkeypatch):
    """The graphs that the compiler was given; none is compiled."""
    found = []

    def compiler(graph, _):
        found.append(graph.code)
        return graph

    from torch import _inductor

    monkeypatch.setattr(_inductor, "compile", compiler)
    monkeypatch.setattr(graphs, "_programs", {})
    return found


@pytest.mark.slow
def test_the_same_step_is_compiled_once_in_a_process(compilations):
    first = fitted()
    same(first, fitted())
    assert len(compilations) == 1
    other = fit(Mean(), SVI(steps=100, learning_rate=0.05, seed=1, progress=False, compile=True), x=X + 1.0)
    assert len(compilations) == 1
    assert other.elbo[0] < first.elbo[0] - 30  # it sees its own rows, which are farther away
    fit(Mean(), SVI(steps=100, progress=False, compile=True), x=X[:20])
    fit(Mean(), SVI(steps=100, progress=False, compile=True, clip=1.0), x=X)
    fit(Mean(), SVI(steps=100, progress=False, compile=True, optimizer=torch.optim.SGD), x=X)
    assert len(compilations) == 4


def times(number):
    return lambda w: (w * number,)


def test_threads_and_layouts_have_graphs_of_their_own(compilations):
    graph = graphs.capture(lambda w: (w + 1.0,), (torch.zeros(2, 3),))
    graphs.compiled(graph, (torch.zeros(2, 3),))
    graphs.compiled(graph, (torch.zeros(3, 2).mT,))
    assert len(compilations) == 2
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        graphs.compiled(graph, (torch.zeros(2, 3),))
    finally:
        torch.set_num_threads(threads)
    assert len(compilations) == 3


def test_compiled_graphs_are_few_and_keep_no_data(compilations, monkeypatch):
    monkeypatch.setattr(graphs, "KEPT", 3)
    tables, inputs = [torch.arange(3.0)], (torch.zeros(3),)
    known = weakref.ref(tables[0])
    graph = graphs.capture(lambda w: (w * tables[0],), inputs)
    fast = graphs.compiled(graph, inputs)
    assert torch.equal(fast(torch.ones(3))[0], torch.arange(3.0))
    assert torch.equal(graph(torch.ones(3))[0], torch.arange(3.0))  # as it was, for replays
    del graph, fast
    tables.clear()
    gc.collect()
    assert known() is None
    for number in range(2, 6):
        graphs.compiled(graphs.capture(times(number), inputs), inputs)
    assert len(graphs._programs) == 3
    assert len(compilations) == 5

"""Ctrl-C waits for the end of a step, returns what there is, and leaves the handlers as they were."""

import re
import signal
import threading

import pytest
import torch

from ppl_gen import EM, MAP, NUTS, SVI, Laplace, VariationalBayes, fit
from ppl_gen.errors import Interrupted
from ppl_gen.inference import hidden
from ppl_gen.inference.mode import Watched
from ppl_gen.inference.nuts import NUTS as METHOD
from ppl_gen.inference.signals import Signals
from ppl_gen.inference.unconstrained import Unconstrained
from ppl_gen.models import GaussianMixture, LogisticRegression
from tests.children import child

X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MIXTURE = GaussianMixture(components=3, features=2)


def ctrl_c():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _handlers_stay():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_first_waits_and_the_second_does_not():
    with Signals("A fit") as signals:
        ctrl_c()
        assert signals.pressed
        with pytest.raises(KeyboardInterrupt):
            ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        signals.obey()
    with pytest.raises(KeyboardInterrupt):
        ctrl_c()  # Python's own again


def test_at_least_one_item_is_worked_off():
    with Signals("A fit") as signals:
        assert list(signals.until_pressed("abc")) == ["a", "b", "c"]
        ctrl_c()
        assert list(signals.until_pressed("abc")) == ["a"]
        assert list(signals.until_pressed("")) == []


def test_handlers_of_the_program_are_kept():
    came = []
    before = signal.signal(signal.SIGINT, lambda *_: came.append("theirs"))
    try:
        with Signals("A fit", lambda: "") as signals:
            ctrl_c()
        assert came == ["theirs"]
        assert not signals.pressed
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("theirs", [signal.SIG_IGN, signal.SIG_DFL])
def test_sigterm_is_put_off_only_with_something_to_save(theirs):
    before = signal.signal(signal.SIGTERM, theirs)
    try:
        with Signals("A fit"):
            assert signal.getsignal(signal.SIGTERM) == theirs
        with Signals("A fit", lambda: "saved"):
            assert (signal.getsignal(signal.SIGTERM) == theirs) == (theirs == signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) == theirs
    finally:
        signal.signal(signal.SIGTERM, before)


def test_sigterm_saves_and_exits_and_twice_exits_at_once(capsys):
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with Signals("A fit", lambda: "saved in run") as signals:
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(SystemExit) as end:
                signals.obey()
            assert end.value.code == 143
            assert capsys.readouterr().err == "A fit stopped by SIGTERM; saved in run\n"
            with pytest.raises(SystemExit) as end:
                signal.raise_signal(signal.SIGTERM)
            assert end.value.code == 143
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_set_no_handlers():
    found = []

    def work():
        with Signals("A fit", lambda: ""):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


def pressing(monkeypatch, owner, name, at):
    """Press Ctrl-C in the middle of the call number ``at`` of a function."""
    real, calls = getattr(owner, name), []

    def call(*args, **kwargs):
        calls.append(1)
        if len(calls) == at:
            ctrl_c()
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize(("method", "title"), [(EM, "EM"), (VariationalBayes, "VariationalBayes")])
@pytest.mark.parametrize(("restarts", "at"), [(1, 1), (1, 9), (4, 30), (4, 85)])
def test_em_and_variational_bayes_return_what_they_had(method, title, restarts, at, monkeypatch):
    made = method(restarts=restarts, tolerance=1e-300, steps=200)
    whole = fit(MIXTURE, made, x=X)
    pressing(monkeypatch, hidden.HiddenLabels, "weigh", at)
    with pytest.warns(Interrupted, match=rf"^{title} stopped by hand after \d+ of 200 steps") as warned:
        stopped = fit(MIXTURE, made, x=X)
    assert len(warned) == 1
    assert 1 <= len(stopped.elbo) < len(whole.elbo)
    assert torch.isfinite(stopped.elbo).all()
    assert stopped.note.startswith("stopped by hand after ")
    assert str(warned[0].message).endswith("; what it had is returned")
    if restarts == 1:
        assert len(stopped.elbo) == at
        assert torch.equal(stopped.elbo, whole.elbo[:at])


def test_nuts_returns_its_whole_chains_or_nothing(monkeypatch):
    model, y = LogisticRegression(classes=2, features=2), (X[:, 0] > 0).long()
    method = NUTS(draws=8, warmup=8, chains=3)
    whole = fit(model, method, x=X, y=y)
    with monkeypatch.context() as patch:
        pressing(patch, METHOD, "_chain", 3)
        with pytest.warns(Interrupted, match="NUTS stopped by hand after 2 of 3 chains, which are returned"):
            stopped = fit(model, method, x=X, y=y)
    assert torch.equal(stopped.guide.values["w"], whole.guide.values["w"][:2])
    assert stopped.note.startswith("2 chains of 8 draws")
    with monkeypatch.context() as patch:
        pressing(patch, METHOD, "_chain", 1)
        with pytest.raises(KeyboardInterrupt):
            fit(model, method, x=X, y=y)


@pytest.mark.parametrize("method", [MAP(), MAP(newton=0)])
@pytest.mark.parametrize("twice", [False, True])
def test_map_returns_the_highest_point_that_it_saw(method, twice, monkeypatch):
    data = {"x": X, "y": (X[:, 0] + X[:, 1].sin() > 0).long()}
    model = LogisticRegression(classes=2, features=2, scale=100.0)
    whole = fit(model, method, **data)
    real, seen = Unconstrained.__call__, []

    def call(self, u):
        value = real(self, u)
        seen.append((value.item(), u.detach().clone()))
        if len(seen) == 4:
            ctrl_c()
            if twice:
                ctrl_c()
        return value

    monkeypatch.setattr(Unconstrained, "__call__", call)
    with pytest.warns(Interrupted, match=r"^MAP stopped by hand; the highest point that it saw is returned$"):
        stopped = fit(model, method, **data)
    height, best = max(seen[: 4 - twice], key=lambda each: each[0])
    assert torch.equal(stopped.point["w"].flatten(), best.flatten())
    assert len(seen) == 4 + 1  # the point that is returned is looked at for its note
    assert stopped.note == (
        f"log density of data and parameters {height:,.3f} nats where it was stopped by hand, short of the "
        f"mode, in unconstrained coordinates"
    )
    assert seen[0][0] < height < float(re.search(r"-[\d.]+", whole.note)[0])
    monkeypatch.undo()
    assert torch.equal(fit(model, method, **data).point["w"], whole.point["w"])


def test_a_lower_point_that_was_seen_later_is_not_the_highest():
    class Square:
        start = torch.zeros(1)

        def __call__(self, u):
            return -u.square().sum()

    watched = Watched(Square())
    for u in (3.0, 0.5, 2.0, torch.nan):
        watched(torch.tensor([u]))
    assert (watched.value, watched.best.item()) == (-0.25, 0.5)


def test_laplace_has_nothing_to_return_before_the_mode(monkeypatch):
    pressing(monkeypatch, Unconstrained, "__call__", 3)
    with pytest.raises(KeyboardInterrupt, match=r"Laplace was stopped before .* MAP\(\) returns the highest"):
        fit(LogisticRegression(classes=2, features=2), Laplace(), x=X, y=(X[:, 0] > 0).long())


def test_a_second_ctrl_c_ends_a_step_that_takes_too_long(monkeypatch):
    def schedule(done):
        if done == 0.5:
            ctrl_c()
            ctrl_c()
        return 1.0

    with pytest.warns(Interrupted, match="SVI stopped by hand after 5 of 10 steps; what it had is returned$"):
        posterior = fit(MIXTURE, SVI(steps=10, schedule=schedule), x=X)
    assert len(posterior.elbo) == 5


def test_what_a_person_sees():
    """One sentence, at the line of theirs that fits."""

    def program():
        fit(MIXTURE, SVI(steps=10, schedule=lambda done: ctrl_c() or 1.0 if done == 0.5 else 1.0), x=X)

    ended = child(program)
    assert ended.code == 0
    line, source = ended.said.splitlines()
    assert line.startswith(f"{__file__}:")
    assert line.endswith(": Interrupted: SVI stopped by hand after 6 of 10 steps; what it had is returned")
    assert source.strip().startswith("fit(MIXTURE")

"""A fit that was cut short goes on to the very bits it would have reached; no other fit goes on from it."""

import functools
import io
import json
import os
import pickle
import random
import signal
import struct
import warnings
import zipfile
from pathlib import Path

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ppl_gen import SVI, Batches, Checkpoint, ProbabilisticModel, ask, files, fit, fit_pyro
from ppl_gen.errors import (
    DamagedFile,
    DataError,
    ForeignFile,
    Interrupted,
    NewerFile,
    NonFinite,
    NotSaved,
)
from ppl_gen.inference import checkpoints, steps
from ppl_gen.models import PPCA, VAE, GaussianMixture, LogisticRegression
from tests.children import child
from tests.thinned import thinned

resource = pytest.importorskip("resource")  # neither limits nor fork on Windows
RNG = torch.Generator().manual_seed(0)
X = torch.randn(23, 3, generator=RNG, dtype=torch.float64)
Y = torch.arange(23) % 2
STEPS = 40
HALT: dict[int, object] = {}  # step -> what happens there


def schedule(done: float) -> float:
    """Where tests reach into the climb: right before the step that is about to come."""
    HALT.get(round(done * STEPS), int)()  # type: ignore[operator]
    return 1.0 - done


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def press() -> None:
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _nothing_halts():
    HALT.clear()
    yield
    HALT.clear()


class Net(nn.Module):
    """A decoder with all that is awkward: dropout, which draws, and batch norm, which remembers."""

    def __init__(self):
        super().__init__()
        self.all = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3))

    def forward(self, z):
        return self.all(z)


def pair_model(x):
    mu = pyro.sample("mu", dist.Normal(torch.tensor(0.0), 10.0))
    with pyro.plate("rows", len(x), subsample_size=5) as index:
        pyro.sample("x", dist.Normal(mu, 1.0), obs=x[index])


def pair_guide(x):
    loc = pyro.param("loc", torch.tensor(0.0))
    pyro.sample("mu", dist.Normal(loc, pyro.param("sd", torch.tensor(0.5), dist.constraints.positive)))


def pair_guide_2(x):
    pyro.sample("mu", dist.Normal(pyro.param("loc", torch.tensor(1.0)), 0.5))


def svi(folder=None, **settings):
    place = folder if folder is None or isinstance(folder, Checkpoint) else Checkpoint(folder, steps=7)
    settings = {"steps": STEPS, "schedule": schedule, "progress": False} | settings
    return SVI(checkpoint=place, **settings)


def mixture(folder=None, **settings):
    return fit(GaussianMixture(components=2, features=3), svi(folder, **settings), x=X)


def vae(folder=None, **settings):
    decoder = Net()
    torch.manual_seed(0)  # users' networks start where they start
    for w in decoder.parameters():
        nn.init.normal_(w, std=0.3)
    model = VAE(features=3, latent=2, hidden=(4,), decoder=decoder)
    return fit(model, svi(folder, **{"batch_size": 5} | settings), x=(X > 0).float())


def pair(folder=None, **settings):
    return fit_pyro(pair_model, pair_guide, svi(folder, **settings), X[:, 0].float())


OPTIMISERS = {
    name: getattr(torch.optim, name)
    for name in (
        "ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop",
        "Rprop",
    )
    if hasattr(torch.optim, name)
} | {
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    "amsgrad": functools.partial(torch.optim.Adam, amsgrad=True),
}  # fmt: skip
FITS = {
    "mixture": mixture,
    "minibatches, dropout, batch norm": vae,
    "Pyro's pair": pair,
    "full rank, particles": functools.partial(mixture, guide="full_rank", particles=2),
    "clipped, annealed": functools.partial(vae, clip=1.0, beta=lambda done: min(1.0, 3 * done)),
    "regression": lambda folder=None: fit(
        LogisticRegression(classes=2, features=3), svi(folder, batch_size=4), x=X, y=Y
    ),
} | {
    name: functools.partial(mixture, optimizer=optimiser, learning_rate=1e-3)
    for name, optimiser in OPTIMISERS.items()
}


def bits(found):
    """Everything that a fit leaves behind."""
    modules = [m for m in (found.model, found.guide) if isinstance(m, nn.Module)]
    tensors = [t for m in modules for t in (*m.parameters(), *m.buffers())]
    return [found.elbo, *tensors], found.note, str(found)


def same(a, b):
    (left, *words), (right, *others) = bits(a), bits(b)
    assert len(left) == len(right)
    assert all(torch.equal(u, v) for u, v in zip(left, right, strict=True))
    assert words == others
    return True


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.parametrize("kind", [*(k for k in FITS if k not in OPTIMISERS), *thinned(OPTIMISERS, 4)])
def test_a_killed_fit_resumes_to_the_same_bits(kind, tmp_path):
    expected = FITS[kind]()
    if kind not in OPTIMISERS:
        assert same(expected, FITS[kind](tmp_path / "never killed"))  # to write changes nothing
    step = random.Random(kind).randrange(8, STEPS)
    HALT[step] = die
    assert child(lambda: FITS[kind](tmp_path / "run")).code == -signal.SIGKILL
    kept = step // 7 * 7
    assert names(tmp_path / "run") == sorted(f"step-{k}.checkpoint" for k in (kept - 7, kept))
    HALT.clear()
    assert same(expected, FITS[kind](tmp_path / "run"))
    HALT[0] = press  # the fit is done: no step is left that could be halted
    assert same(expected, FITS[kind](tmp_path / "run"))


@pytest.mark.parametrize(
    "kind",
    [
        "regression",
        *(pytest.param(k, marks=pytest.mark.slow) for k in ("mixture", "minibatches, dropout, batch norm")),
    ],
)
def test_sigkill_at_twenty_random_steps(kind, tmp_path):
    expected = FITS[kind]()
    for i, step in enumerate(random.sample(range(1, STEPS), 20)):
        HALT[step] = die
        folder = Checkpoint(tmp_path / str(i), steps=random.randrange(1, 12))
        assert child(lambda folder=folder: FITS[kind](folder)).code == -signal.SIGKILL
        del HALT[step]
        assert same(expected, FITS[kind](folder)), f"killed at step {step}, {folder}"


def test_one_fit_killed_again_and_again(tmp_path):
    expected = mixture()
    for step in (3, 9, 17, 30, 38):
        HALT[step] = die
        assert child(lambda: mixture(Checkpoint(tmp_path, steps=2))).code == -signal.SIGKILL
        del HALT[step]
    assert same(expected, mixture(Checkpoint(tmp_path, steps=2)))


@pytest.mark.parametrize("where", ["write", "fsync", "replace", "unlink"])
def test_sigkill_during_a_checkpoint_leaves_the_one_before(where, tmp_path, monkeypatch):
    expected = mixture()

    def killed():
        real, calls = getattr(os, where), []

        def call(*args, **kwargs):
            calls.append(args)
            if len(calls) == (3 if where != "unlink" else 2):
                die()
            return real(*args, **kwargs)

        if where == "write":
            real = Path.write_bytes

            def half(path, content):
                calls.append(path)
                real(path, content[: len(content) // 2] if len(calls) == 3 else content)
                if len(calls) == 3:
                    die()

            monkeypatch.setattr(Path, "write_bytes", half)
        else:
            monkeypatch.setattr(os, where, call)
        mixture(tmp_path)

    assert child(killed).code == -signal.SIGKILL
    newest = [checkpoints.CHECKPOINT.read(path)[0]["done"] for path in tmp_path.glob("*.checkpoint")]
    assert newest  # whole files only
    assert where == "unlink" or len(list(tmp_path.glob("*.part"))) <= 1
    assert same(expected, mixture(tmp_path))
    assert names(tmp_path) == ["step-35.checkpoint", "step-40.checkpoint"]  # nothing half-written stays


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        (mixture, "replayed"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((vae, "replayed"), (mixture, "compiled"), (vae, "compiled"))
        ),
    ],
)
def test_steps_replayed_from_a_graph_or_compiled(how, kind, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "WORTH_A_GRAPH", 1)
    made = functools.partial(kind, compile=how == "compiled")
    if kind is vae:  # batch norm changes a tensor in place, which no graph holds
        model, x = VAE(features=3, latent=2, hidden=(4,)), (X > 0).float()
        made = lambda folder=None: fit(  # noqa: E731
            model, svi(folder, batch_size=5, compile=how == "compiled"), x=x
        )
    seen = []
    real = steps.Steps.step
    monkeypatch.setattr(
        steps.Steps, "step", lambda self, *a: (seen.append(self.fast is not None), real(self, *a))[1]
    )
    expected = made()
    assert same(expected, made(tmp_path / "never stopped"))
    HALT[25] = press
    when = "25" if how == "replayed" else r"2\d"  # compiling runs the program, too
    with pytest.warns(Interrupted, match=f"after {when} of 40 steps"):
        made(tmp_path / "run")
    HALT.clear()
    assert same(expected, made(tmp_path / "run"))
    assert all(seen)  # no step was as it is written


class Counted(TensorDataset):
    """Rows that count how often they are read."""

    reads = 0

    def __getitem__(self, index):
        Counted.reads += 1
        return super().__getitem__(index)


class Unsized:
    """Batches, again and again; how many, nobody knows."""

    def __iter__(self):
        return iter(zip(X.split(5), Y.split(5), strict=True))


def loader(**settings):
    return DataLoader(Counted(X, Y), batch_size=5, shuffle=True, **settings)


SOURCES = {  # -> what it is made by, and how many rows of the 19 steps before the last one are read again
    "data set": (lambda: Counted(X, Y), 0),
    "loader": (loader, 20),  # from the start of the epoch on
    "loader with a generator": (lambda: loader(generator=torch.Generator().manual_seed(0)), 89),
    "list": (lambda: list(Unsized()), 0),
    "iterable": (Unsized, 0),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_rows_of_steps_that_were_done_are_not_read_again(kind, tmp_path):
    make, again = SOURCES[kind]

    def made(folder=None):
        Counted.reads = 0
        method = svi(folder, batch_size=5 if kind == "data set" else None)
        source = Batches(make(), names=("x", "y"), rows=23)
        return fit(LogisticRegression(2, 3), method, source), Counted.reads

    expected, all_of_them = made()
    HALT[20] = press
    with pytest.warns(Interrupted):
        made(Checkpoint(tmp_path, steps=20))
    HALT.clear()
    found, reads = made(Checkpoint(tmp_path, steps=20))
    assert same(expected, found)
    done = 89  # rows of 19 steps: three epochs of 23, and four batches of 5
    if kind in ("data set", "loader", "loader with a generator"):
        assert all_of_them - reads == done - again


def test_the_window_of_convergence_is_kept(tmp_path):
    made = functools.partial(mixture, steps=400, tolerance=1000.0, window=40, schedule="constant")
    expected = made()
    assert len(expected.elbo) == 80
    assert "converged after 80 steps" in expected.note
    calls = []

    def count(self, *args):
        calls.append(self.done)
        if len(calls) == 60:
            raise KeyboardInterrupt
        return real(self, *args)

    real = steps.Steps.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps.Steps, "step", count)
        with pytest.warns(Interrupted):
            made(tmp_path)
    assert same(expected, made(tmp_path))
    assert same(expected, made(tmp_path))  # it is done, with 320 steps to spare


def test_a_fit_that_met_nan_meets_it_again(tmp_path):
    class Explodes(ProbabilisticModel):
        joint = "p(x)"

        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.tensor(0.9))

        def model(self, n):
            with pyro.plate("data", n):
                scale = torch.where(self.a < 1, self.a, torch.nan)
                pyro.sample("x", dist.Normal(torch.zeros(n), scale, validate_args=False))

        def guide(self):
            pass

    found = []
    for folder in (None, Checkpoint(tmp_path, steps=1), Checkpoint(tmp_path, steps=1)):
        method = svi(folder, learning_rate=0.03, schedule="constant")
        with pytest.raises(NonFinite, match=r"at step \d+: log p\(x \| …\) of rows 0, 1") as error:
            fit(Explodes(), method, x=torch.full((4,), 5.0))
        found.append((str(error.value), error.value.step, error.value.posterior))
    assert found[0][:2] == found[1][:2] == found[2][:2]
    assert found[0][2].model.a < 1
    assert same(found[0][2], found[1][2])
    assert same(found[0][2], found[2][2])  # resumed with parameters that were bad already


def test_a_posterior_is_continued_with_checkpoints(tmp_path):
    before = mixture()
    more = functools.partial(fit, before, x=X + 1)
    expected = more(svi())
    HALT[20] = die
    assert child(lambda: more(svi(tmp_path))).code == -signal.SIGKILL
    HALT.clear()
    resumed = more(svi(tmp_path))
    assert same(expected, resumed)
    assert resumed.method.checkpoint is None  # it knows how it was found, and nothing of folders
    assert len(fit(resumed, x=X).elbo)  # so that its own method goes on to other rows


# By hand, by signal ---------------------------------------------------------------------------------------


def test_ctrl_c_returns_what_there_is_and_says_where_it_goes_on(tmp_path):
    expected = mixture()
    HALT[17] = lambda: signal.raise_signal(signal.SIGINT)
    handler = signal.getsignal(signal.SIGINT)
    assert handler is signal.default_int_handler
    with pytest.warns(Interrupted) as warned:
        stopped = mixture(tmp_path)
    (message,) = (str(w.message) for w in warned)
    assert message == (
        f"SVI stopped by hand after 18 of 40 steps; what it had is returned; the same fit goes on from "
        f"{tmp_path / 'step-18.checkpoint'}"
    )  # the step at hand was finished
    assert torch.equal(stopped.elbo, expected.elbo[:18])
    assert signal.getsignal(signal.SIGINT) is handler
    HALT.clear()
    assert same(expected, mixture(tmp_path))


def test_ctrl_c_without_a_checkpoint_and_in_the_last_step():
    HALT[STEPS - 1] = lambda: signal.raise_signal(signal.SIGINT)
    with pytest.warns(
        Interrupted, match="SVI stopped by hand after 40 of 40 steps; what it had is returned$"
    ):
        assert len(mixture().elbo) == STEPS


def test_sigterm_writes_a_checkpoint_and_exits_143(tmp_path):
    expected = mixture()
    HALT[17] = lambda: os.kill(os.getpid(), signal.SIGTERM)
    ended = child(lambda: mixture(tmp_path / "run"))
    assert ended.code == 143
    place = tmp_path / "run" / "step-18.checkpoint"
    assert ended.said == f"SVI stopped by SIGTERM; the same fit goes on from {place}\n"
    assert place.exists()
    HALT.clear()
    assert same(expected, mixture(tmp_path / "run"))
    HALT[17] = lambda: os.kill(os.getpid(), signal.SIGTERM)
    assert child(mixture).code == -signal.SIGTERM  # nothing to write: as ever


def test_sigterm_goes_to_the_programs_own_handler(tmp_path):
    def program():
        said = []
        signal.signal(signal.SIGTERM, lambda *_: said.append(names(tmp_path)))
        posterior = mixture(Checkpoint(tmp_path, seconds=1e6))
        assert said == [["step-0.checkpoint", "step-18.checkpoint"]]  # ours is written by then
        assert len(posterior.elbo) == STEPS  # theirs came back, so the fit went on
        assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, None)

    HALT[17] = lambda: os.kill(os.getpid(), signal.SIGTERM)
    ended = child(program)
    assert ended.code == 0, ended.said


# Disks ----------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_one_and_says_what_is_needed(tmp_path):
    expected = mixture()

    def program():
        HALT[16] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            posterior = mixture(tmp_path)
        assert same(expected, posterior)  # the fit went on
        assert {w.category for w in warned} == {NotSaved}
        message = str(warned[0].message)
        assert "File too large: it needs " in message
        assert f" bytes in {tmp_path}, where " in message
        assert message.endswith(
            "are free: '" + str(tmp_path / "step-21.checkpoint") + "'; step-14.checkpoint is as it was"
        )

    ended = child(program)
    assert ended.code == 0, ended.said
    assert names(tmp_path) == ["step-14.checkpoint", "step-7.checkpoint"]
    assert same(expected, mixture(tmp_path))


def test_a_device_that_is_full(tmp_path, monkeypatch):
    expected = mixture()
    real = files.secrets.token_hex

    def full(size):
        name = real(size)
        (tmp_path / f".{name}.part").symlink_to("/dev/full")
        return name

    HALT[16] = lambda: monkeypatch.setattr(files.secrets, "token_hex", full)
    with pytest.warns(
        NotSaved, match=r"No space left on device: it needs [\d,]+ bytes in .*step-14.* as it was"
    ):
        assert same(expected, mixture(tmp_path))
    assert names(tmp_path) == ["step-14.checkpoint", "step-7.checkpoint"]
    monkeypatch.undo()
    HALT.clear()
    assert same(expected, mixture(tmp_path))


def test_a_folder_that_cannot_be_written_stops_the_fit_before_its_steps(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="checkpoint: expected the name of a folder, got the file"):
        mixture(tmp_path / "file")
    with pytest.raises(OSError, match="Not a directory: it needs"):
        mixture(tmp_path / "file" / "run")
    monkeypatch.setattr(os, "fsync", functools.partial(_raise, OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left on device: it needs"):
        mixture(tmp_path / "run")
    for bad in ("", 3, Checkpoint):
        with pytest.raises(DataError, match="checkpoint: expected the name of a folder"):
            SVI(checkpoint=bad)
    with pytest.raises(DataError, match="seconds: expected a positive number"):
        Checkpoint("run", seconds=0)
    with pytest.raises(DataError, match="steps: expected a whole number from 1 up"):
        Checkpoint("run", steps=0)


def _raise(error, *_):
    raise error


def test_by_time_a_short_fit_writes_its_start_and_its_end(tmp_path):
    mixture(Checkpoint(tmp_path))
    assert names(tmp_path) == ["step-0.checkpoint", "step-40.checkpoint"]
    assert (
        fit(GaussianMixture(2, 3), SVI(steps=3, checkpoint=str(tmp_path / "b")), x=X).method.checkpoint
        is None
    )
    assert names(tmp_path / "b") == ["step-0.checkpoint", "step-3.checkpoint"]


# What does not resume -------------------------------------------------------------------------------------


@pytest.fixture
def halfway(tmp_path):
    HALT[20] = press
    with pytest.warns(Interrupted):
        mixture(tmp_path)
    HALT.clear()
    return tmp_path


def other(folder, model=None, x=X, **settings):
    return fit(model or GaussianMixture(components=2, features=3), svi(folder, **settings), x=x)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (functools.partial(other, x=X + 1e-9), "the data is #[0-9a-f]{16} there, and #[0-9a-f]{16} here"),
        (functools.partial(other, x=X[:20]), r"the data x is float64 \(23, 3\) there, and float64 \(20, 3\)"),
        (
            functools.partial(other, model=GaussianMixture(3, 3)),
            "the model's components is 2 there, and 3 here",
        ),
        (
            functools.partial(other, model=GaussianMixture(2, 3, rate=2.0)),
            "the model's rate is missing there",
        ),
        (
            functools.partial(other, model=PPCA(features=3, latent=2)),
            "the model is GaussianMixture, .* PPCA, p",
        ),
        (functools.partial(other, steps=50), "steps is 40 there, and 50 here"),
        (functools.partial(other, learning_rate=0.01), "learning_rate is 0.05 there, and 0.01 here"),
        (functools.partial(other, seed=1), "seed is 0 there, and 1 here"),
        (functools.partial(other, optimizer=torch.optim.SGD), "optimizer is None there, and SGD here"),
        (functools.partial(other, schedule=lambda done: 1.0), "schedule is schedule #.* there, and "),
        (functools.partial(other, guide="full_rank"), "guide is None there, and 'full_rank' here"),
    ],
)
def test_another_fit_is_refused_by_name(halfway, call, words):
    before = {path.name: path.read_bytes() for path in halfway.iterdir()}
    with pytest.raises(ForeignFile, match=rf"step-14.checkpoint: it is of another fit: .*{words}"):
        call(halfway)
    assert {path.name: path.read_bytes() for path in halfway.iterdir()} == before


def program_of_scale(scale, held=False):
    class Mine(ProbabilisticModel):
        joint = "p(mu) p(x | mu)"

        def __init__(self):
            super().__init__()
            self.register_buffer("held", torch.tensor(scale if held else 1.0))

        def model(self, n):
            mu = pyro.sample("mu", dist.Normal(torch.tensor(0.0), 1.0 if held else scale))
            with pyro.plate("data", n):
                pyro.sample("x", dist.Normal(mu, self.held))

    return Mine()


def test_a_program_that_was_edited_is_refused(tmp_path):
    for held, words in ((False, "the program of the model or of the guide has changed: .* ELBO"),
                        (True, "the model's tensor held is float32")):  # fmt: skip
        folder = tmp_path / str(held)
        HALT[20] = press
        with pytest.warns(Interrupted):
            fit(program_of_scale(3.0, held), svi(folder), x=X[:, 0])
        HALT.clear()
        with pytest.raises(ForeignFile, match=words):
            fit(program_of_scale(2.0, held), svi(folder), x=X[:, 0])
        assert len(fit(program_of_scale(3.0, held), svi(folder), x=X[:, 0]).elbo) == STEPS


def test_a_pair_knows_its_arguments(tmp_path):
    pair(tmp_path)
    with pytest.raises(ForeignFile, match=r"argument 1 is float32 \(23,\) #.* there, and float32 \(23,\) #"):
        fit_pyro(pair_model, pair_guide, svi(tmp_path), X[:, 1].float())
    with pytest.raises(ForeignFile, match=r"the guide is pair_guide #.* there, and pair_guide.2 #.* here"):
        fit_pyro(pair_model, pair_guide_2, svi(tmp_path), X[:, 0].float())


def test_a_network_that_starts_elsewhere_resumes(tmp_path):
    """Weights are what is learned, so where another process would start is nothing to compare."""
    expected = vae()
    HALT[20] = die
    assert child(lambda: vae(tmp_path)).code == -signal.SIGKILL
    HALT.clear()
    model = VAE(features=3, latent=2, hidden=(4,), decoder=Net())  # PyTorch's own, random start
    assert same(expected, fit(model, svi(tmp_path, batch_size=5), x=(X > 0).float()))


def test_an_empty_file_is_a_damaged_one(halfway):
    """Its name was there, and the power went before its content was."""
    expected, newest = mixture(), halfway / "step-14.checkpoint"
    newest.write_bytes(b"")
    with pytest.warns(NotSaved, match=r"step-14.checkpoint: it is empty\. .* The fit goes on from step-7"):
        assert same(expected, mixture(halfway))


def test_no_flipped_bit_goes_unnoticed(halfway):
    expected = mixture()
    newest, older = halfway / "step-14.checkpoint", halfway / "step-7.checkpoint"
    good = newest.read_bytes()
    for place in random.sample(range(8 * len(good)), 200):
        content = bytearray(good)
        content[place // 8] ^= 1 << place % 8
        newest.write_bytes(content)
        with pytest.raises((DamagedFile, ForeignFile)):
            checkpoints.CHECKPOINT.read(newest)
    with pytest.warns(NotSaved, match=r"step-14.checkpoint: it is truncated, or was altered .* from step-7"):
        assert same(expected, mixture(halfway))
    assert names(halfway) == ["step-35.checkpoint", "step-40.checkpoint"]  # the damaged one has gone
    older.write_bytes(good[:-1])
    for path in halfway.glob("*.checkpoint"):
        path.write_bytes(good[:-1])
    with pytest.raises(DamagedFile, match=r"Take it out of this folder\."):
        mixture(halfway)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_under_every_name_is_refused_and_nothing_runs(tmp_path):
    burst, buffer = tmp_path / "burst", io.BytesIO()
    torch.save(Bomb(burst), buffer)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", "text")
    evil = [pickle.dumps(Bomb(burst)), buffer.getvalue(), (tmp_path / "a.zip").read_bytes(), b"\0" * 500]
    run = tmp_path / "run"
    HALT[20] = press
    with pytest.warns(Interrupted):
        mixture(run)
    HALT.clear()
    whole = {path: path.read_bytes() for path in run.iterdir()}
    for path, content in whole.items():
        for bad in evil:
            path.write_bytes(bad)
            with pytest.raises(ForeignFile, match=f"{path.name}: it is no checkpoint of ppl-gen; nothing"):
                mixture(run)
            assert path.read_bytes() == bad  # refused, not cleared away
        path.write_bytes(content)
    for name in ("step-99.checkpoint", "step-0.checkpoint"):
        (run / name).write_bytes(evil[0])
        with pytest.raises(ForeignFile, match=name):
            mixture(run)
        (run / name).unlink()
    (run / "notes.txt").write_bytes(evil[0])  # under any other name nothing is looked at
    assert same(mixture(), mixture(run))
    assert (run / "notes.txt").read_bytes() == evil[0]
    assert not burst.exists()


def forged(file, **changes):
    """Rewrite the document of a file and sign it, as somebody who means harm would."""
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    document = json.loads(header["__metadata__"]["ppl_gen"]) | changes
    header["__metadata__"]["ppl_gen"] = json.dumps(document, separators=(",", ":"))
    text = json.dumps(header, separators=(",", ":")).encode()
    content, place = struct.pack("<Q", len(text)) + text + content[8 + length :], checkpoints.CHECKPOINT.place
    digest = checkpoints.CHECKPOINT.digest(content)
    file.write_bytes(content[: place.start] + digest + content[place.stop :])


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"version": 2, "ppl_gen": "7.5"}, NewerFile, r"ppl-gen 7\.5 wrote it in format 2; .* Upgrade"),
        ({"version": "one"}, ForeignFile, "header cannot be read"),
        ({"state": {"eval": "1"}}, ForeignFile, "does not fit this model and guide"),
        ({"state": None}, ForeignFile, "does not fit this model and guide"),
        ({"rows": "others"}, ForeignFile, "the rows come in another order"),
        ({"probe": 0.0}, ForeignFile, "the program of the model or of the guide has changed"),
        ({"about": {}}, ForeignFile, "it is of another fit: the model is missing there"),
    ],
)
def test_a_newer_or_forged_file_is_refused(halfway, changes, error, words):
    newest = halfway / "step-14.checkpoint"
    forged(newest)
    forged(newest, **changes)
    with pytest.raises(error, match=rf"step-14\.checkpoint: .*{words}"):
        mixture(halfway)


def test_nothing_global_is_left(tmp_path):
    def state():
        return (
            torch.get_rng_state().tolist(), random.getstate(), signal.getsignal(signal.SIGINT),
            signal.getsignal(signal.SIGTERM), torch.is_grad_enabled(), pyro.settings.get(), os.getcwd(),
            sorted(os.environ),
        )  # fmt: skip

    before = state()
    mixture(tmp_path / "a")
    HALT[20] = press
    with pytest.warns(Interrupted):
        mixture(tmp_path / "b")
    HALT.clear()
    assert state() == before
    assert ask(mixture(tmp_path / "b"), "p(z | x)", x=X).probs.shape == (23, 2)
    assert state() == before

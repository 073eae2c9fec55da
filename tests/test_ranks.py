"""Several processes share a fit: it is that of one process, one that is lost is missed, only one writes."""

import json
import os
import signal
import subprocess
import sys
import time
from operator import attrgetter

import pytest
import torch
from safetensors.torch import load_file

from ppl_gen import fit, load, ranks
from ppl_gen.errors import OutOfStep
from ppl_gen.inference.exact import together
from ppl_gen.models import GaussianNaiveBayes
from ppl_gen.ranks import World
from tests.models.naive_bayes import MODELS, draw, gaps
from tests.processes import COUNTED, SVIS, Codes, X, Y, fits, state
from tests.test_streaming import CONJUGATE, DATA

HERE = os.path.dirname(__file__)


def torchrun(
    *arguments, options=(), program=(f"{HERE}/processes.py",), timeout=300
) -> subprocess.CompletedProcess:
    """Two processes on this machine; ``--standalone`` finds a free port."""
    line, settings = command(*arguments, options=options, program=program)
    return subprocess.run(line, **settings, timeout=timeout)


def command(*arguments, options=(), program=(f"{HERE}/processes.py",)) -> tuple[list[str], dict[str, object]]:
    """What starts them, and how."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([os.path.dirname(HERE), *sys.path])
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [*launcher, *options, *program, *map(str, arguments)], {**pipes, "env": environment}


# Parts of rows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 5, 103])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_every_row_has_one_process(n, size):
    shares = [range(n)[ranks.share(n, World(rank, size))] for rank in range(size)]
    assert [i for share in shares for i in share] == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("n", [1, 2, 5, 103])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_mean_over_processes_is_the_batch(n, size):
    index, values = torch.randperm(200)[:n], torch.randn(200).double()
    parts = [ranks.part(n, World(rank, size)) for rank in range(size)]
    mean = sum(weight * values[index[rows]].sum() for rows, weight in parts) / size
    torch.testing.assert_close(mean, values[index].sum())


def test_one_process_is_left_as_it_was():
    assert (ranks.world(), ranks.count(), ranks.main()) == (World(0, 1), 1, True)
    assert ranks.total(0.1) == 0.1
    assert ranks.every(False) is False
    assert not torch.distributed.is_initialized()


def test_an_environment_that_says_half(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(OutOfStep, match="start them with torchrun"):
        fit(GaussianNaiveBayes(3, 2), x=X, y=Y)
    with ranks.alone():
        assert fit(GaussianNaiveBayes(3, 2), x=X, y=Y).n == 103


@pytest.mark.parametrize("name", CONJUGATE)
@pytest.mark.parametrize("cut", [0, 1, 20, 41])
@pytest.mark.parametrize("prior", ["own", "flat"])
def test_counts_of_all_processes_are_those_of_one(name, prior, cut, monkeypatch):
    model = CONJUGATE[name]()
    if name in MODELS:
        x, y = draw(model, 41)
        x = gaps(x) if name != "multinomial" else x
    else:
        x, y = DATA.x[30:71, :3], DATA.y[30:71] if name in ("lda", "qda") else DATA.x[30:71, 3]
    before = model.flat() if prior == "flat" else model
    parts = [before.updated(x[:cut], y[:cut]) if cut else before]
    parts += [before.updated(x[cut:], y[cut:]) if cut < 41 else before]

    def vector(p):
        fields = [attrgetter(b)(p) for _, names in p.families.values() for b in names]
        return torch.cat([v.reshape(-1) for v in fields if isinstance(v, torch.Tensor)])

    monkeypatch.setattr(ranks, "count", lambda: 2)
    monkeypatch.setattr(ranks, "gathered", lambda _: [vector(p) for p in parts])
    found, whole = vector(together(parts[0], before)), vector(before.updated(x, y))
    torch.testing.assert_close(found, whole, rtol=1e-10, atol=1e-10)


# Two processes ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one():
    return fits()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    out = tmp_path_factory.mktemp("fits") / "two"
    done = torchrun("fits", out)
    assert done.returncode == 0, done.stderr
    said = [json.loads(out.with_suffix(f".{rank}.json").read_text()) for rank in (0, 1)]
    return load_file(out), said, done, out


@pytest.mark.parametrize("name", [*SVIS, *COUNTED, "streamed"])
def test_two_processes_find_what_one_finds(name, one, two):
    mine, theirs = ({k: v for k, v in found.items() if k.startswith(f"{name}: ")} for found in (one, two[0]))
    assert mine.keys() == theirs.keys()
    tolerance = 1e-5 if name in SVIS else 1e-10
    for key, value in mine.items():
        scale = float(value.double().abs().max()) if value.numel() else 0.0
        torch.testing.assert_close(theirs[key], value, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("name", SVIS)
def test_and_it_is_not_where_the_fit_started(name, one):
    model, method, data = SVIS[name]
    start = state(fit(model(), type(method)(steps=1, learning_rate=1e-9), **data))
    found = {key: one[f"{name}: {key}"] for key in start if key != "elbo"}
    assert max(float((found[key] - start[key]).abs().max()) for key in found) > 0.01


def test_rows_have_noise_of_their_own_process(two):
    noise = [torch.tensor(said["noise"][-1]) for said in two[1]]
    assert not torch.equal(*noise)
    first, second = (torch.tensor(said["noise"][0]) for said in two[1])
    assert torch.equal(first, second)  # the check before the first step is of the whole batch


def test_all_processes_end_alike(two):
    first, second = two[1]
    for key in ("start", "ddp", "nan", "bare", "size", "other data"):
        assert first[key] == second[key], key
    assert first["size"] == 2
    assert abs(first["bare"][0] - float(X[:, 0].mean())) < 0.5  # the guide's standard deviation


def test_the_gradient_is_that_of_distributed_data_parallel(two):
    assert two[1][0]["ddp"] < 1e-12


def test_other_data_are_refused_in_every_process(two):
    for said in two[1]:
        assert "process 1 of 2 came with other data" in said["other data"]
        assert "process 1 of 2 came with other data" in said["other rows"]


def test_a_process_may_work_alone(two):
    assert [said["alone"] for said in two[1]] == [10, 11]


def test_all_processes_name_the_row_that_one_of_them_met(two):
    step, site, message = two[1][0]["nan"]
    assert (step, site) == (3, "z")
    assert "row 100" in message


def test_all_end_at_one_step_and_resume_to_the_same_bits(two):
    first, second = (said["kept"] for said in two[1])
    assert first["means"] != second["means"]  # of a batch norm, which sees its own process's rows
    for said in (first, second):
        assert said["same"] == [True] * 3
        (steps, note, _), (code, names) = said["ended"]
        assert (steps, note) == (10, "stopped by hand after 10 of 20 steps")
        assert (code, names) == (143, ["step-0.checkpoint", "step-14.checkpoint"])
        assert "seed is 0 there, and 1 here" in said["other settings"]
        assert "the number of processes is 2 there, and 1 here" in said["one process"]
        assert "Not a directory: it needs" in said["no folder"]
    assert (first["ended"][0][2], second["ended"][0][2]) == (1, 0)  # warnings
    assert two[2].stderr.count("SVI stopped by SIGTERM; the same fit goes on from") == 1


def test_the_first_alone_speaks_and_writes(two):
    _, said, done, out = two
    assert done.stderr.count("MAP has no part for each of 2 processes") == 1
    assert done.stdout == ""
    assert [each["saved"] for each in said] == [True, True]
    assert load(out.with_suffix(".pplgen"), Codes()).n == 103
    names = ["kept", "two", "two.0.json", "two.1.json", "two.pplgen"]
    assert sorted(path.name for path in out.parent.iterdir()) == names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "word"),
    [
        (signal.SIGTERM, "SVI stopped by SIGTERM; the same fit goes on from"),
        (signal.SIGINT, "Interrupted: SVI stopped by hand after"),
    ],
)
def test_a_signal_to_torchrun_ends_all_with_a_checkpoint(sent, word, tmp_path):
    line, settings = command("endless", tmp_path / "out")
    launched = subprocess.Popen(line, **settings)
    waited = time.time() + 200
    while not (tmp_path / "out").exists() and time.time() < waited:
        time.sleep(0.1)
    launched.send_signal(sent)
    _, said = launched.communicate(timeout=60)
    assert launched.returncode != 0
    assert said.count(word) == 1, said
    steps = [int(path.stem.partition("-")[2]) for path in (tmp_path / "out.checkpoints").iterdir()]
    assert min(steps) == 0
    assert max(steps) > 5


# A process that is lost -------------------------------------------------------------------------------------


def gone(pids) -> bool:
    """Whether none of the processes is left."""

    def there(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    return not any(map(there, pids))


def test_a_killed_process_ends_them_all(tmp_path):
    done = torchrun("killed", tmp_path / "fit.pplgen")
    assert done.returncode != 0
    assert time.time() - float((tmp_path / "fit.time").read_text()) < 30
    assert gone(int((tmp_path / f"fit.{rank}.0").read_text()) for rank in (0, 1))
    assert not (tmp_path / "fit.pplgen").exists()


@pytest.mark.slow
def test_a_restart_goes_on_from_the_checkpoint_to_the_same_bits(tmp_path, two):
    done = torchrun("killed", tmp_path / "fit.pplgen", options=["--max-restarts", "1"])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "fit.1.1").exists()
    for rank in (0, 1):
        steps = json.loads((tmp_path / f"fit.{rank}.steps").read_text())
        assert [round(40 * done) for done in steps] == list(range(14, 40))  # killed at step 20 of 40
    found = load_file(tmp_path / "fit.bits")
    uninterrupted = {k.removeprefix("mixture: "): v for k, v in two[0].items() if k.startswith("mixture: ")}
    assert found.keys() == uninterrupted.keys()
    for key, value in found.items():
        assert torch.equal(value, uninterrupted[key]), key
    assert load(tmp_path / "fit.pplgen").n == 103
    assert gone(int(path.read_text()) for path in tmp_path.glob("fit.[01].[01]"))

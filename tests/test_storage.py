"""A posterior on disk is the posterior: same bits in a new process, or a refusal that says why."""

import copy
import functools
import hashlib
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import safetensors.torch
import torch
from pyro.infer import autoguide
from torch import nn
from torch.distributions import constraints

from ppl_gen import SVI, Posterior, ProbabilisticModel, fit
from ppl_gen.distributions import Categorical, Gaussian
from ppl_gen.errors import DamagedFile, DataError, FileRefused, ForeignFile, NewerFile
from ppl_gen.models import VAE, GaussianMixture, GaussianNaiveBayes, LogisticRegression
from ppl_gen.storage import layout, load, save

ROOT = Path(__file__).parent.parent
QUICK = functools.partial(SVI, steps=5, progress=False)
x = torch.randn(12, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()
grey = (x.abs() * 4).round().clamp(max=8)


class Line(ProbabilisticModel):
    """A model as a user writes it: no guide, a local latent, a buffer and a tied parameter."""

    joint = "p(w) p(u) p(y | x, w, u)"

    def __init__(self, features: int):
        super().__init__()
        self.features = features
        self.first = nn.Linear(features, features)
        self.second = nn.Linear(features, features)
        self.second.weight = self.first.weight
        self.register_buffer("one", torch.ones(()))

    def model(self, x: torch.Tensor) -> None:
        w = pyro.sample("w", dist.Normal(torch.zeros_like(x[0]), self.one).to_event(1))
        with pyro.plate("data", len(x)):
            u = pyro.sample("u", dist.Normal(0 * self.one, 1.0))
            pyro.sample("y", dist.Normal(self.second(self.first(x)).tanh() @ w + u, 0.1))


def frozen() -> Line:
    line = Line(2)
    line.second.bias.requires_grad_(False)
    return line


class WeightGuide(nn.Module):
    def __init__(self, size: int = 3):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(size, 2, dtype=torch.float64))
        self.log_scale = nn.Parameter(torch.zeros(size, 2, dtype=torch.float64).t().contiguous().t())

    def forward(self) -> None:
        pyro.sample("w", dist.Normal(self.loc, self.log_scale.exp()).to_event(2))


def weight_guide() -> None:
    loc = pyro.param("w.loc", torch.zeros(3, 2, dtype=torch.float64))
    scale = pyro.param("w.scale", lambda: torch.ones_like(loc.detach()), constraint=constraints.positive)
    pyro.sample("w", dist.Normal(loc, scale).to_event(2))


def encoder() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Dropout(0.1), nn.BatchNorm1d(4), nn.Linear(4, 2))


def lr() -> LogisticRegression:
    return LogisticRegression(classes=2, features=2, scale=2.0)


low_rank = functools.partial(autoguide.AutoLowRankMultivariateNormal, rank=1, init_scale=0.3)
sgd = functools.partial(torch.optim.SGD, momentum=0.9)
# name -> the fit, the data to go on with, and what load must be given
CASES: dict[str, tuple[Any, Any, dict[str, Any], Any, Any]] = {
    "exact": (
        lambda: GaussianNaiveBayes(2, 2, loc=np.arange(4.0).reshape(2, 2).T, rate=torch.full((2, 1), 0.5)),
        None, {"x": x, "y": y}, None, None,
    ),
    "naive bayes": (lambda: GaussianNaiveBayes(2, 2), QUICK(), {"x": x, "y": y}, None, None),
    "mixture": (lambda: GaussianMixture(2, 2, strength=np.float32(0.5)), QUICK(), {"x": x}, None, None),
    "mixture, mean field": (lambda: GaussianMixture(2, 2), QUICK(guide="mean_field"), {"x": x}, None, None),
    "regression": (lr, QUICK(optimizer=sgd, learning_rate=1e-3), {"x": x, "y": y}, None, None),
    "mean field": (lr, QUICK(guide="mean_field"), {"x": x, "y": y}, None, None),
    "full rank": (lr, QUICK(guide="full_rank"), {"x": x, "y": y}, None, None),
    "low rank": (lr, QUICK(guide=low_rank), {"x": x, "y": y}, None, None),
    "delta": (lr, QUICK(guide=autoguide.AutoDelta), {"x": x, "y": y}, None, None),
    "structured": (lr, QUICK(guide=autoguide.AutoStructured), {"x": x, "y": y}, None, None),
    "module": (lr, QUICK(guide=WeightGuide()), {"x": x, "y": y}, None, WeightGuide),
    "function": (lr, QUICK(guide=weight_guide), {"x": x, "y": y}, None, lambda: weight_guide),
    "vae": (
        lambda: VAE(2, 1, Categorical(levels=9), hidden=[3], dropout=0.2),
        QUICK(batch_size=5), {"x": grey}, None, None,
    ),
    "vae, encoder": (
        lambda: VAE(2, 1, Gaussian(), encoder=encoder()), QUICK(), {"x": x},
        lambda: VAE(2, 1, Gaussian(), encoder=encoder()), None,
    ),
    "own model": (frozen, QUICK(), {"x": x, "y": x[:, 1]}, lambda: Line(2), None),
}  # fmt: skip


def digest(posterior: Posterior, data: dict[str, Any]) -> dict[str, str]:
    """Everything that a posterior says, as hashes of bits."""
    said: dict[str, Any] = {
        "draws": posterior.draw(10, seed=3),
        "elbo": posterior.estimate_elbo(draws=3, seed=1, **data),
        "history": posterior.elbo,
        "words": str(posterior) if getattr(posterior.method, "guide", None) is None else "",
        "model": posterior.model.state_dict(),
        "prior": posterior.prior.state_dict(),
        "modes": [m.training for m in posterior.model.modules()],
        "frozen": [w.requires_grad for w in posterior.model.parameters()],
        "strides": [w.stride() for w in posterior.model.parameters()],
        "facts": (
            posterior.n, posterior.shapes, posterior.fingerprints, posterior.evidence, posterior.note,
            posterior.dtypes, posterior.model.configuration.keys(),
            {name: (*s[:3], s.levels, s.plates) for name, s in posterior.sites.items()},
        ),
    }  # fmt: skip
    for name in ("guide", "yesterday"):
        module = getattr(posterior, name)
        module = getattr(module, "__self__", module)
        if module is not None:
            said[name] = {**module.state_dict(), "strides": [w.stride() for w in module.parameters()]}
    return {name: hashlib.sha256(bits(value)).hexdigest() for name, value in said.items()}


def bits(value: Any) -> bytes:
    if isinstance(value, torch.Tensor):
        return f"{value.dtype}{tuple(value.shape)}".encode() + value.detach().contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return b";".join(f"{name}=".encode() + bits(v) for name, v in value.items())
    if isinstance(value, tuple | list):
        return b",".join(bits(v) for v in value)
    return repr(value).encode()


def more(name: str, data: dict[str, Any]) -> dict[str, Any]:
    """What to go on with: new rows, or the same where yesterday's guide has no density to be a prior."""
    return data if name in ("delta", "structured") else {key: value.flip(0) for key, value in data.items()}


def read_all(folder: str) -> None:
    """In a new process: load every case, and go on with it."""
    found = {}
    for name, (_, _, data, model, guide) in CASES.items():
        path = Path(folder) / f"{name}.pplgen"
        again = load(path, model and model(), guide=guide and guide())
        further = load(Path(folder) / f"{name} further.pplgen", model and model(), guide=guide and guide())
        found[name] = [digest(p, data) for p in (again, fit(again, **more(name, data)), further)]
    print(json.dumps(found))


def test_the_same_bits_in_a_new_process(tmp_path: Path) -> None:
    expected = {}
    for name, (model, method, data, _, _) in CASES.items():
        posterior = fit(model(), method, **data)
        further = fit(posterior, **more(name, data))
        save(posterior, tmp_path / f"{name}.pplgen")
        save(further, tmp_path / f"{name} further.pplgen")
        expected[name] = [digest(p, data) for p in (posterior, further, further)]
    code = f"from tests.test_storage import read_all; read_all({str(tmp_path)!r})"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == expected
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".pplgen"] * 2 * len(CASES)


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    return fit(GaussianNaiveBayes(classes=2, features=1), x=[[0.0], [1.0], [5.0]], y=[0, 0, 1])


@pytest.fixture
def file(posterior: Posterior, tmp_path: Path) -> Path:
    path = tmp_path / "nb.pplgen"
    save(posterior, path)
    return path


def test_the_constructor_s_arguments_survive(tmp_path: Path) -> None:
    nb = GaussianNaiveBayes(
        2, 2, concentration=(1.0, 2.0), loc=np.arange(4.0).reshape(2, 2).T, strength=torch.tensor([1.0, 2.0]),
        shape=[np.float32(1.5)], rate=np.float64(3),
    )  # fmt: skip
    save(fit(nb, x=x, y=y), tmp_path / "nb")
    again = load(tmp_path / "nb").prior.configuration
    assert bits(again) == bits(nb.configuration)
    assert {k: type(v) for k, v in again.items()} == {k: type(v) for k, v in nb.configuration.items()}
    vae = VAE(2, 1, Categorical(9), hidden=(3, 2))
    save(fit(vae, QUICK(), x=grey), tmp_path / "vae")
    assert load(tmp_path / "vae").model.configuration == vae.configuration


def test_a_method_comes_back_and_what_a_file_cannot_hold_is_named(tmp_path: Path) -> None:
    method = QUICK(guide=autoguide.AutoDelta, optimizer=torch.optim.Adagrad, learning_rate=0.1, seed=4)
    posterior = fit(lr(), method, x=x, y=y)
    save(posterior, tmp_path / "a")
    assert load(tmp_path / "a").method == posterior.method == method.resolved(lr())

    def fading(fraction: float) -> float:
        return 1 - fraction

    save(fit(lr(), QUICK(schedule=fading, guide=weight_guide), x=x, y=y), tmp_path / "b")
    again = load(tmp_path / "b", guide=weight_guide)
    assert again.method == QUICK(guide=weight_guide).resolved(lr())
    assert again.note == "not saved with it: schedule=fading"


def test_what_was_passed_stays_as_it_was(tmp_path: Path) -> None:
    save(fit(Line(2), QUICK(guide=autoguide.AutoNormal), x=x, y=x[:, 1]), tmp_path / "a")
    model = Line(2)
    before = copy.deepcopy(model.state_dict())
    again = load(tmp_path / "a", model)
    assert bits(dict(model.state_dict())) == bits(dict(before))
    assert again.model.second.weight is again.model.first.weight


def test_a_flow_with_options_comes_back(tmp_path: Path) -> None:
    flow = functools.partial(autoguide.AutoIAFNormal, hidden_dim=[20], num_transforms=2)
    fitted = fit(Line(2), QUICK(guide=flow), x=x, y=x[:, 1])
    save(fitted, tmp_path / "a")
    again = load(tmp_path / "a", Line(2))
    assert digest(again, {"x": x, "y": x[:, 1]}) == digest(fitted, {"x": x, "y": x[:, 1]})


@pytest.mark.parametrize(
    ("name", "model", "guide", "message"),
    [
        ("own model", None, None, "its Line is not one of ppl_gen.models, .* pass it: load\\(path, model\\)"),
        ("own model", Line(3), None, "'first.bias' of its model is \\(2,\\) in the file, and \\(3,\\)"),
        ("own model", lr(), None, "the posterior of a Line, not of a LogisticRegression"),
        ("vae, encoder", None, None, "was made with encoder=Sequential, which a file cannot hold.* Make one"),
        ("vae, encoder", VAE(2, 1), None, "the module 'encoder.1' of its model is Tanh .* SiLU"),
        ("module", None, None, "its guide WeightGuide is a module of your own.*load\\(path, guide=…\\)"),
        ("module", None, WeightGuide(4), "tensor 'loc' of its guide is \\(3, 2\\) .* \\(4, 2\\)"),
        ("module", None, weight_guide, "its guide is the module WeightGuide, not weight_guide"),
        ("function", None, None, "its guide weight_guide is a function of your own"),
        ("function", None, lambda: None, "'free.w·loc' of its guide is \\(3, 2\\) in the file, and missing"),
        ("regression", None, weight_guide, "its guide belongs to the model"),
    ],
)
def test_another_model_or_guide_is_refused(
    name: str, model: Any, guide: Any, message: str, tmp_path: Path
) -> None:
    make, method, data, _, _ = CASES[name]
    save(fit(make(), method, **data), tmp_path / "a.pplgen")
    with pytest.raises(ForeignFile, match=f"(?s)a.pplgen: .*{message}"):
        load(tmp_path / "a.pplgen", model, guide=guide)


def test_every_flipped_bit_is_seen(file: Path) -> None:
    size = file.stat().st_size
    assert size < 6_000
    load(file)
    with open(file, "r+b", buffering=0) as raw:
        for place in range(size):
            (byte,) = os.pread(raw.fileno(), 1, place)
            for bit in range(8):
                os.pwrite(raw.fileno(), bytes([byte ^ 1 << bit]), place)
                with pytest.raises(DamagedFile):
                    layout.read(file)
            os.pwrite(raw.fileno(), bytes([byte]), place)
    load(file)


def test_every_truncation_is_seen(file: Path) -> None:
    content = file.read_bytes()
    for length in range(len(content)):
        file.write_bytes(content[:length])
        with pytest.raises(DamagedFile if length > 8 else ForeignFile, match=r"nb\.pplgen: "):
            load(file)
    file.write_bytes(content + b"\0")
    with pytest.raises(DamagedFile):
        load(file)


class Bomb:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_foreign_files_are_refused_and_nothing_runs(tmp_path: Path) -> None:
    path, burst = tmp_path / "a.pplgen", tmp_path / "burst"
    torch.save(Bomb(burst), tmp_path / "bomb.pt")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", "text")
    somebodys = safetensors.torch.save({"w": torch.ones(2)}, {"format": "pt"})
    foreign = [
        b"", b"\0", b"\x89HDF\r\n\x1a\n" + bytes(500), b"CDF\x01" + bytes(500), random.randbytes(500),
        pickle.dumps(Bomb(burst)), (tmp_path / "bomb.pt").read_bytes(), (tmp_path / "a.zip").read_bytes(),
        somebodys, safetensors.torch.save({"w": torch.ones(2)}), b"\xff" * 8 + b"[]", "Prosa, schön".encode(),
    ]  # fmt: skip
    for content in foreign:
        path.write_bytes(content)
        with pytest.raises(ForeignFile, match=r"a\.pplgen: save did not write this file"):
            load(path)
    assert not burst.exists()
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.pplgen")


def forged(file: Path, **changes: Any) -> None:
    """Rewrite the document of a file and sign it, as somebody who means harm would."""
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    document = json.loads(header["__metadata__"]["ppl_gen"])
    for keys, value in changes.items():
        *path, last = keys.split("__")
        functools.reduce(lambda inner, key: inner[key], path, document)[last] = value
    header["__metadata__"]["ppl_gen"] = json.dumps(document, separators=(",", ":"))
    text = json.dumps(header, separators=(",", ":")).encode()
    content = struct.pack("<Q", len(text)) + text + content[8 + length :]
    place = layout.DIGEST
    file.write_bytes(content[: place.start] + layout.digest(content) + content[place.stop :])


def test_a_newer_file_says_so(file: Path) -> None:
    forged(file, version=layout.VERSION + 1, ppl_gen="7.5")
    with pytest.raises(NewerFile, match=r"nb\.pplgen: ppl-gen 7\.5 wrote it in format 2; .* Upgrade"):
        load(file)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "one"},
        {"model__known": "os.system"},
        {"model__known": "torch.optim.SGD"},
        {"model__known": "ppl_gen.distributions.Binomial"},
        {"model__configuration": {"classes": {"eval": "1"}}},
        {"model__configuration": {"classes": {"class": "builtins.eval"}}},
        {"model__configuration": {}},
        {"method__class": "subprocess.run"},
        {"parts": []},
        {"dtypes": {"x": "save"}},
        {"shapes": {"x": 3}},
    ],
)
def test_a_forged_file_names_nothing_that_runs(file: Path, changes: dict[str, Any]) -> None:
    forged(file)
    load(file)
    forged(file, **changes)
    with pytest.raises(ForeignFile, match=r"nb\.pplgen: "):
        load(file)


def test_a_huge_header_takes_no_memory(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(struct.pack("<Q", 2**62) + content[8:])
    with pytest.raises(DamagedFile):
        load(file)
    with open(file, "wb") as raw:  # 1 TB of nothing
        raw.truncate(2**40)
    with pytest.raises(ForeignFile):
        load(file)


@pytest.mark.parametrize("broken", ["write", "fsync", "replace", "interrupt"])
def test_a_failed_write_leaves_the_old_file(
    broken: str, posterior: Posterior, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = file.read_bytes()

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt if broken == "interrupt" else OSError(28, "No space left on device")

    if broken == "write":
        code = (
            "import resource, sys; from ppl_gen.storage import load, save; path = sys.argv[1]\n"
            "old = load(path); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); save(old, path)"
        )
        result = subprocess.run(
            [sys.executable, "-c", code, str(file)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True,
        )  # fmt: skip
        message = result.stderr.splitlines()[-1]
        assert "File too large: the posterior needs " in message
        assert "nothing was changed" in message
    else:
        monkeypatch.setattr(os, "replace" if broken == "replace" else "fsync", fail)
        with pytest.raises((KeyboardInterrupt, OSError)) as error:
            save(posterior, file)
        if isinstance(error.value, OSError):
            assert f"the posterior needs {len(content):,} bytes" in str(error.value)
            assert error.value.errno == 28
        assert isinstance(error.value, OSError) == (broken != "interrupt")
    assert file.read_bytes() == content
    assert list(file.parent.iterdir()) == [file]


def test_bad_arguments_are_named(posterior: Posterior, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"path: the folder .*absent does not exist"):
        save(posterior, tmp_path / "absent" / "a.pplgen")
    with pytest.raises(DataError, match="path: expected the name of a file, got the folder"):
        save(posterior, tmp_path)
    with pytest.raises(DataError, match="posterior: expected what fit returned, got GaussianNaiveBayes"):
        save(posterior.model, tmp_path / "a")  # type: ignore[arg-type]
    save(posterior, tmp_path / "a")
    with pytest.raises(DataError, match="model: expected a ProbabilisticModel, got str"):
        load(tmp_path / "a", "model")  # type: ignore[arg-type]


def test_a_link_is_written_through(posterior: Posterior, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    save(posterior, str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert load(str(tmp_path / "real")).evidence == posterior.evidence


def test_both_verbs_leave_no_trace(tmp_path: Path) -> None:
    fitted = fit(lr(), QUICK(guide=weight_guide), x=x, y=y)

    def state() -> Any:
        return (
            torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state()),
            torch.get_default_dtype(), torch.is_grad_enabled(), dist.Normal(0.0, 1.0)._validate_args,
            pyro.settings.get(), dict(pyro.get_param_store().items()),
        )  # fmt: skip

    pyro.param("mine", torch.ones(()))
    try:
        before = state()
        save(fitted, tmp_path / "a")
        load(tmp_path / "a", guide=weight_guide)
        with pytest.raises(FileRefused):
            load(tmp_path / "a")
        assert state() == before
    finally:
        pyro.clear_param_store()


def test_another_default_dtype_changes_nothing(tmp_path: Path) -> None:
    fitted = fit(GaussianMixture(2, 2), QUICK(guide="full_rank"), x=x)
    save(fitted, tmp_path / "a")
    torch.set_default_dtype(torch.float64)
    try:
        again = load(tmp_path / "a")
    finally:
        torch.set_default_dtype(torch.float32)
    assert digest(again, {"x": x}) == digest(fitted, {"x": x})

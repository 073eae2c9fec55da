"""The fits that tests/test_ranks.py compares: run by this process alone, or by two under torchrun.

``torchrun … tests/processes.py fits OUT`` writes what `fits` found, ``… killed OUT`` loses a process, and
``… endless OUT`` waits for a signal.
"""

import json
import os
import signal
import sys
import time
import warnings
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pyro
import pyro.distributions as dist
import torch
from safetensors.torch import save_file
from torch import nn

from ppl_gen import (
    EM,
    MAP,
    NUTS,
    SVI,
    Checkpoint,
    Exact,
    MaximumLikelihood,
    ProbabilisticModel,
    VariationalBayes,
    fit,
    fit_pyro,
    ranks,
    save,
)
from ppl_gen.errors import ForeignFile, NonFinite, OutOfStep, Unreliable
from ppl_gen.inference.objective import Objective
from ppl_gen.inputs import admit
from ppl_gen.isolation import isolated
from ppl_gen.models import (
    FullGaussianMixture,
    GaussianMixture,
    GaussianNaiveBayes,
    LinearRegression,
    LogisticRegression,
)


def rows(n: int = 103) -> tuple[torch.Tensor, torch.Tensor]:
    """Three clusters: x (n, 2), and which a row is of (n,)."""
    random = torch.Generator().manual_seed(0)
    y = torch.randint(3, (n,), generator=random)
    return torch.randn(n, 2, generator=random, dtype=torch.float64) + 4 * y[:, None], y


X, Y = rows()
HOLES = torch.where(torch.arange(206).reshape(103, 2) % 7 == 0, torch.nan, X)


class NormalOfRow(dist.Normal):
    """Normal whose draw is a function of the row: the same wherever the row is."""

    def __init__(self, loc, scale, row=None):
        super().__init__(loc, scale)
        self.row = row

    def expand(self, batch_shape, _instance=None):
        return self if torch.Size(batch_shape) == self.batch_shape else super().expand(batch_shape)

    def rsample(self, sample_shape=()):
        return self.loc + self.scale * (1e3 * self.row).sin()


class Codes(ProbabilisticModel):
    """A small VAE in float64, whose guide draws a code for each row."""

    joint = "p(z) p(x | z)"
    approximation = "q(z | x)"

    def __init__(self, noise=dist.Normal):
        super().__init__()
        self.noise = noise
        self.decoder = nn.Sequential(nn.Linear(1, 5), nn.Tanh(), nn.Linear(5, 2)).double()
        self.encoder = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 2)).double()
        self.drawn: list[torch.Tensor] = []

    def model(self, n):
        with pyro.plate("data", n):
            z = pyro.sample("z", dist.Normal(torch.zeros(n).double(), 1.0))
            return pyro.sample("x", dist.Normal(self.decoder(z[:, None]), 1.0).to_event(1))

    def guide(self, n, x):
        loc, log_scale = self.encoder(x).unbind(-1)
        q = self.noise(loc, log_scale.exp(), *[x[:, 0]] * issubclass(self.noise, NormalOfRow))
        with pyro.plate("data", n):
            self.drawn.append(((pyro.sample("z", q) - loc) / log_scale.exp()).detach())


def codes(noise=NormalOfRow) -> Codes:
    with isolated(0):
        return Codes(noise)


SVIS = {  # ragged: 103 rows in batches of 10 leave one of 3, and 2 processes halves of 2 and 1
    "mixture": (lambda: GaussianMixture(3, 2), SVI(steps=40, batch_size=10, clip=50.0), {"x": X}),
    "graph": (lambda: LogisticRegression(3, 2), SVI(steps=1000, clip=5.0), {"x": X, "y": Y}),
    "all rows": (lambda: LogisticRegression(3, 2), SVI(steps=40, particles=2), {"x": X, "y": Y}),
    "one left over": (lambda: LogisticRegression(3, 2), SVI(steps=40, batch_size=17), {"x": X, "y": Y}),
    "gaps": (lambda: GaussianNaiveBayes(3, 2), SVI(steps=40, batch_size=10), {"x": HOLES, "y": Y}),
    "codes": (codes, SVI(steps=40, batch_size=10, optimizer=torch.optim.AdamW), {"x": X}),
}
COUNTED = {
    "exact": (lambda: GaussianNaiveBayes(3, 2), Exact(chunk=20), {"x": X, "y": Y}),
    "exact with gaps": (lambda: GaussianNaiveBayes(3, 2), Exact(), {"x": HOLES, "y": Y}),
    "regression": (lambda: LinearRegression(2), Exact(), {"x": X, "y": X[:, 1]}),
    "one row": (lambda: GaussianNaiveBayes(3, 2), Exact(), {"x": X[:1], "y": Y[:1]}),
    "point": (lambda: GaussianNaiveBayes(3, 2), MaximumLikelihood(), {"x": X, "y": Y}),
    "em": (lambda: FullGaussianMixture(3, 2), EM(restarts=2, steps=30, chunk=20), {"x": X}),
    "em with prior": (
        lambda: GaussianMixture(3, 2, concentration=2.0), EM(prior=True, restarts=2, steps=40), {"x": HOLES},
    ),
    "vb": (lambda: GaussianMixture(3, 2), VariationalBayes(restarts=3, steps=40), {"x": X}),
    "nuts": (lambda: LinearRegression(2), NUTS(draws=4, warmup=2, chains=3), {"x": X[:20], "y": X[:20, 1]}),
}  # fmt: skip


def fits() -> dict[str, torch.Tensor]:
    """What every fit found, by name."""
    found = {}
    for name, (model, method, data) in {**SVIS, **COUNTED}.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Unreliable)  # a few draws of NUTS are too few for its diagnostics
            posterior = fit(model(), method, **data)
        found |= {
            f"{name}: {key}": value.detach().clone().contiguous() for key, value in state(posterior).items()
        }
    batches = [{"x": x, "y": y} for x, y in zip(X.split(9), Y.split(9), strict=True)]
    streamed = fit(GaussianNaiveBayes(3, 2), Exact(), batches)
    return found | {f"streamed: {key}": value.clone() for key, value in state(streamed).items()}


def state(posterior) -> dict[str, torch.Tensor]:
    held = dict(posterior.model.state_dict())
    if isinstance(posterior.guide, nn.Module):
        held |= {f"guide.{name}": value for name, value in posterior.guide.state_dict().items()}
    return {**held, **posterior.point, "elbo": posterior.elbo}


def several(out: Path) -> None:
    """What only several processes can show: each says what it saw."""
    rank, size = ranks.world()
    said: dict[str, object] = {"size": size, "pid": os.getpid()}
    p = codes(dist.Normal)
    posterior = fit(p, SVI(steps=2, batch_size=10), x=X)
    said["noise"] = [z.tolist() for z in posterior.model.drawn]
    torch.manual_seed(rank)  # a network that starts elsewhere in each process
    posterior = fit(Codes(), SVI(steps=3, batch_size=10), x=X)
    said["start"] = [w.sum().item() for w in posterior.model.parameters()]
    said["ddp"] = gradients_beside_ddp()
    for name, data in (("other data", X + rank), ("other rows", X[: 50 + rank])):
        try:
            fit(GaussianNaiveBayes(3, 2), x=data, y=Y[: len(data)])
        except OutOfStep as error:
            said[name] = str(error)
    with ranks.alone():
        said["alone"] = fit(GaussianNaiveBayes(3, 2), x=X[: 10 + rank], y=Y[: 10 + rank]).n
    if rank == 0:
        with ranks.alone():
            fit(GaussianNaiveBayes(3, 2), x=X, y=Y)
    try:
        fit(codes(Breaks), SVI(steps=9, learning_rate=0.01), x=X)
    except NonFinite as error:
        said["nan"] = [error.step, error.site, str(error)]
    folder = out.parent / "kept"
    folder.mkdir(exist_ok=True)
    said["kept"] = kept(folder)
    said["bare"] = [v.item() for v in bare().parameters.values()]
    fit(LogisticRegression(3, 2), MAP(), x=X, y=Y)
    path = out.with_suffix(".pplgen")
    save(posterior, path)
    said["saved"] = path.exists()
    out.with_suffix(f".{rank}.json").write_text(json.dumps(said))


class Awkward(Codes):
    """Codes with noise of each process's own, dropout, and a batch norm, whose means are its own too."""

    def __init__(self):
        super().__init__()
        layers = nn.Linear(1, 5), nn.BatchNorm1d(5), nn.Dropout(0.2), nn.Linear(5, 2)
        self.decoder = nn.Sequential(*layers).double()


HALT: dict[str, int] = {}  # in which process, before which step of twenty, which signal comes


def stopping(done: float) -> float:
    """The schedule of fits that are stopped."""
    if HALT and (ranks.world().rank, round(20 * done)) == (HALT["rank"], HALT["step"]):
        signal.raise_signal(HALT["signal"])
    return SVI().factor(done)


def kept(folder: Path) -> dict[str, object]:
    """Fits that one process is told to end: all end at its step, and go on to the same bits."""
    with isolated(0):
        p = Awkward()
    data, whole = {"x": X[:100]}, SVI(steps=20, batch_size=20, progress=False)
    expected = state(fit(p, whole, **data))
    said: dict[str, object] = {"means": expected["decoder.1.running_mean"].tolist(), "same": [], "ended": []}

    def again(name: str, **changes: object):
        place = Checkpoint(folder / name, **changes.pop("place", {"steps": 6}))
        return fit(p, replace(whole, schedule=stopping, checkpoint=place, **changes), **data)

    def compare(found) -> None:
        said["same"].append(all(torch.equal(v, expected[k]) for k, v in state(found).items()))

    HALT.update(rank=1, step=9, signal=signal.SIGINT)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        stopped = again("c")
    said["ended"].append([len(stopped.elbo), stopped.note, len(warned)])
    for name, changes in (("other settings", {"seed": 1}), ("one process", {})):
        try:
            with ranks.alone() if name == "one process" else nullcontext():
                again("c", **changes)
        except ForeignFile as error:
            said[name] = str(error)
    HALT.clear()
    compare(again("c"))
    compare(again("c"))  # it is done
    HALT.update(rank=0, step=13, signal=signal.SIGTERM)
    try:
        again("term", place={"seconds": 1e6})
    except SystemExit as end:
        said["ended"].append([end.code, sorted(path.name for path in (folder / "term").iterdir())])
    HALT.clear()
    compare(again("term", place={"seconds": 1e-9}))  # by the clock: each step is late somewhere
    (folder / "file").touch()
    try:
        again("file/c")
    except OSError as error:
        said["no folder"] = str(error)
    return said


class Breaks(NormalOfRow):
    """Normal until a row of the second half meets the fifth step."""

    steps = 0

    def rsample(self, sample_shape=()):
        Breaks.steps += 1
        bad = (self.row == X[100, 0]) & (Breaks.steps > 6)
        return torch.where(bad, torch.nan, self.loc + self.scale)


def bare():
    def model(x):
        mu = pyro.sample("mu", dist.Normal(0.0, 10.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    def guide(x):
        pyro.sample("mu", dist.Normal(pyro.param("loc", torch.tensor(0.0)), 0.5))

    return fit_pyro(model, guide, SVI(steps=100, learning_rate=0.3), X[:, 0])


def gradients_beside_ddp() -> float:
    """How far the averaged gradient of a ragged batch is from DistributedDataParallel's, relatively."""
    with isolated(0, grad=True):
        p = codes()
        data = admit(p, {"x": X})
        mine, weight = ranks.part(7, ranks.world())
        batch, scale = data.take(slice(7)).take(mine), weight * len(X) / 7
        objective = Objective(p, p.guide, None, 1)
        objective.check(batch)
        _, value = objective.climbed(batch, scale)
        ours = ranks.averaged(torch.autograd.grad(value, objective.parameters))
        beside = nn.parallel.DistributedDataParallel(objective._module, find_unused_parameters=False)
        beside(batch, scale)[1].backward()
        apart = [float((w.grad - g).abs().max()) for w, g in zip(objective.parameters, ours, strict=True)]
        return max(apart) / max(float(g.abs().max()) for g in ours)


def killed(out: Path) -> None:
    """A fit that loses process 1 half-way, the first time, and goes on from its checkpoint."""
    rank, _ = ranks.world()
    again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    out.with_suffix(f".{rank}.{again}").write_text(str(os.getpid()))
    model, method, data = SVIS["mixture"]
    STEPS.clear()
    place = Checkpoint(out.with_suffix(".checkpoints"), steps=7)
    posterior = fit(model(), replace(method, schedule=half_way, checkpoint=place), **data)
    out.with_suffix(f".{rank}.steps").write_text(json.dumps(STEPS))
    if rank == 0:
        bits = {key: value.detach().clone().contiguous() for key, value in state(posterior).items()}
        save_file(bits, out.with_suffix(".bits"))
    save(posterior, out)


def endless(out: Path) -> None:
    """A fit that somebody will end."""

    def under_way(done: float) -> float:
        if done >= 5 / 2**20:
            out.touch()
        return 1.0

    place = Checkpoint(out.with_suffix(".checkpoints"), seconds=1e6)
    model, method, data = SVIS["codes"]
    fit(model(), replace(method, steps=2**20, compile=False, schedule=under_way, checkpoint=place), **data)


STEPS: list[float] = []  # that this process has done, as fractions of all


def half_way(done: float) -> float:
    """The schedule of the fit, which no argument of its own tells from that of the next try."""
    STEPS.append(done)
    if done >= 0.5 and os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        Path(sys.argv[2]).with_suffix(".time").write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)
    return SVI().factor(done)


if __name__ == "__main__":
    what, path = sys.argv[1], Path(sys.argv[2])
    if what in ("killed", "endless"):
        {"killed": killed, "endless": endless}[what](path)
    else:
        several(path)
        found = fits()
        if ranks.main():
            save_file(found, path)

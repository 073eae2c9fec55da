"""Objects in every state, and whatever surrounds a call."""

import asyncio
import copy
import functools
import multiprocessing
import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
import pandas as pd
import pyro
import torch
from pyro import poutine

from ppl_gen import (
    SVI,
    fit,
    load,
    save,
)
from ppl_gen.errors import DataError
from ppl_gen.models import LogisticRegression
from tests.door.base import X, Y, after, fitted, model, probs, same

FRAME = pd.DataFrame(X, columns=["a", "b"])
FEW = {"x": X, "y": Y}


def framed():
    return fit(model(), x=FRAME, y=Y)


def stored(posterior):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        save(posterior, Path(folder) / "a.pplgen")
        return load(Path(folder) / "a.pplgen")


def kept():
    rows = X.copy()
    posterior = fit(model(), x=rows, y=Y)
    rows[:] = 0.0
    return posterior


STATES = {
    "fitted twice": lambda: [fit(model(), **FEW), fit(model(), **FEW)][1],
    "one model fitted twice": lambda: [m := model(), fit(m, x=X + 9, y=1 - Y), fit(m, **FEW)][2],
    "after a failed fit": lambda: [m := model(), failing(m), fit(m, **FEW)][2],
    "after pickle": lambda: pickle.loads(pickle.dumps(fitted())),
    "after deepcopy": lambda: copy.deepcopy(fitted()),
    "after copy": lambda: copy.copy(fitted()),
    "a model after pickle": lambda: fit(pickle.loads(pickle.dumps(model())), **FEW),
    "after save and load": lambda: stored(fitted()),
    "after save and load twice": lambda: stored(stored(fitted())),
    "rows changed after the fit, asked anew": kept,
}


def failing(m):
    try:
        fit(m, x=X, y=Y + 7)
    except DataError:
        return


for state, made in STATES.items():
    same(state, lambda made=made: probs(X, made()), lambda: probs(X))
same(
    "rows in halves",
    lambda: probs(X, fit(fit(model(), x=X[:6], y=Y[:6]), x=X[6:], y=Y[6:])),
    lambda: probs(X),
    1e-9,
)
same("columns after save and load", lambda: probs(FRAME[["b", "a"]], stored(framed())), lambda: probs(X))


STEPS = SVI(steps=3, seed=1, compile=False)


@functools.cache
def plainly():
    return lines(warnings.catch_warnings)


def lines(setting):
    """A fit by SVI and an exact one, in some surroundings."""
    rows, p = torch.tensor(X), model()
    with setting():
        return torch.cat([probs(X, fit(p, STEPS, x=rows, y=Y)), after(of=p)])


def inside(handler):
    """Under one of Pyro's handlers, as in a model that calls a verb."""
    found = []

    def program():
        found.append(lines(warnings.catch_warnings))

    handler(program)()
    return found[0]


class Default:
    """Some default of torch, for as long as the block lasts."""

    def __init__(self, change, value, back):
        self.change, self.value, self.back = change, value, back

    def __enter__(self):
        self.change(self.value)

    def __exit__(self, *_):
        self.change(self.back)


def quiet_determinism(on):
    torch.use_deterministic_algorithms(on)


PLACES = {
    "torch.no_grad": torch.no_grad,
    "torch.inference_mode": torch.inference_mode,
    "torch.enable_grad": torch.enable_grad,
    "autograd's anomaly detection": lambda: torch.autograd.set_detect_anomaly(False),
    "default dtype float64": lambda: Default(torch.set_default_dtype, torch.float64, torch.float32),
    "default dtype float16": lambda: Default(torch.set_default_dtype, torch.float16, torch.float32),
    "default dtype bfloat16": lambda: Default(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "default device meta": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "NumPy raises at every flag": lambda: np.errstate(all="raise"),
    "validation off": lambda: pyro.validation_enabled(False),
    "validation on": lambda: pyro.validation_enabled(True),
    "deterministic algorithms": lambda: Default(quiet_determinism, True, False),
    "two threads of torch": lambda: Default(torch.set_num_threads, 2, torch.get_num_threads()),
    "a condition on x": lambda: poutine.condition(data={"x": torch.zeros(12, 2), "mu": torch.zeros(2, 2)}),
    "a plate": lambda: pyro.plate("data", 3),
    "a plate of another name": lambda: pyro.plate("others", 7, dim=-1),
    "a scale": lambda: poutine.scale(scale=100.0),
    "a seed of Pyro's": lambda: poutine.seed(rng_seed=3),
    "a block": poutine.block,
    "a mask": lambda: poutine.mask(mask=False),
    "a lifted prior": lambda: poutine.lift(prior=pyro.distributions.Normal(0.0, 1.0)),
    "an own parameter store": lambda: pyro.get_param_store().scope(),
}
for place, setting in PLACES.items():
    same(f"within {place}", lambda setting=setting: lines(setting), plainly)
same("within a trace", lambda: inside(lambda program: lambda: poutine.trace(program).get_trace()), plainly)
same(
    "within an enumerated model",
    lambda: inside(lambda program: poutine.enum(program, first_available_dim=-3)),
    plainly,
)


def from_threads():
    """Six fits at once, each by another thread."""
    found = {}
    tasks = [threading.Thread(target=lambda i=i: found.update({i: after(X + i)})) for i in range(6)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    return torch.stack([found[i] for i in range(6)])


def from_svi_threads():
    found = {}
    tasks = [
        threading.Thread(target=lambda i=i: found.update({i: lines(warnings.catch_warnings)}))
        for i in range(2)
    ]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    return torch.stack([found[i] for i in range(2)])


def told(pipe):
    pipe.send(after().tolist())


def from_a_fork():
    here, there = multiprocessing.Pipe()
    with warnings.catch_warnings():  # a process of several threads forks
        warnings.simplefilter("ignore", DeprecationWarning)
        child = multiprocessing.get_context("fork").Process(target=told, args=(there,))
        child.start()
    assert here.poll(60)
    found = torch.tensor(here.recv(), dtype=torch.float64)
    child.join()
    return found


async def awaited():
    return after()


def from_a_child(*options):
    program = (
        "from tests.door.base import after; import json; print(json.dumps(after().tolist()), flush=True)"
    )
    run = subprocess.run(
        [sys.executable, *options, "-c", program], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    import json

    return torch.tensor(json.loads(run.stdout), dtype=torch.float64)


def seeded():
    torch.manual_seed(5)
    np.random.seed(5)
    return lines(warnings.catch_warnings)


same("six threads", from_threads, lambda: torch.stack([after(X + i) for i in range(6)]))
same("SVI in threads", from_svi_threads, lambda: torch.stack([plainly()] * 2))
same("a forked process", from_a_fork, after)
same("a coroutine", lambda: asyncio.run(awaited()), after)
same("python -O -W error", lambda: from_a_child("-O", "-W", "error"), after)
same("another global seed", seeded, plainly)
same(
    "a tensor that needs a gradient, for SVI",
    lambda: after(torch.tensor(X, requires_grad=True), method=STEPS),
    lambda: after(method=STEPS),
)
same("rows of inference mode, for SVI", lambda: after(inference(), method=STEPS), lambda: after(method=STEPS))
same(
    "rows of float16, logistic regression",
    lambda: logistic(torch.tensor(X).half()),
    lambda: logistic(torch.tensor(X).half().double()),
)


def inference():
    with torch.inference_mode():
        return torch.tensor(X)


def logistic(x):
    return probs(X, fit(LogisticRegression(classes=2, features=2), STEPS, x=x, y=Y))

"""Slips of the keyboard, objects in every state, and whatever surrounds a call."""

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
import polars as pl
import pyro
import torch
from pyro import poutine

from ppl_gen import (
    EM,
    SVI,
    Exact,
    ask,
    diagnose,
    explain,
    fit,
    load,
    log_evidence,
    loo,
    predictive_check,
    save,
    to_arviz,
)
from ppl_gen.errors import DataError
from ppl_gen.models import GaussianMixture, GaussianNaiveBayes, LogisticRegression
from tests.door.base import X, Y, after, fitted, model, probs, refused, same  # fmt: skip

FRAME = pd.DataFrame(X, columns=["a", "b"])
FEW = {"x": X, "y": Y}


def framed():
    return fit(model(), x=FRAME, y=Y)


for kind, made in {
    "pandas": lambda: FRAME[["b", "a"]],
    "polars": lambda: pl.DataFrame(X, schema=["a", "b"])[["b", "a"]],
}.items():
    same(f"columns in another order, {kind}", lambda made=made: probs(made(), framed()), lambda: probs(X))
    same(f"columns in another order for more rows, {kind}", lambda made=made: probs(X, fit(framed(), x=made() + 1.0, y=Y)),
         lambda: probs(X, fit(fitted(), x=X + 1.0, y=Y)))  # fmt: skip
same("a matrix after a frame", lambda: probs(X, framed()), lambda: probs(X))
same("a frame after a matrix", lambda: probs(FRAME), lambda: probs(X))
same(
    "a frame of numbered columns after one of names",
    lambda: probs(pd.DataFrame(X), framed()),
    lambda: probs(X),
)
COLUMNS = {
    "a lacking column": (lambda: FRAME[["a"]], "'b' is lacking"),
    "a column too many": (lambda: FRAME.assign(c=1.0), "'c' is new. Leave it out"),
    "a misspelt column": (
        lambda: FRAME.rename(columns={"a": "A"}),
        "'a' is lacking and 'A' is new. Did you mean 'a'",
    ),
    "polars, other columns": (lambda: pl.DataFrame(X, schema=["a", "c"]), "'b' is lacking and 'c' is new"),
}
for slip, (made, words) in COLUMNS.items():
    refused(
        f"asked of {slip}",
        lambda made=made: probs(made(), framed()),
        f"x: expected the columns of the fit, a, b; {words}",
    )
    refused(
        f"more rows with {slip}",
        lambda made=made: fit(framed(), x=made(), y=Y),
        f"x: expected the columns of the fit, a, b; {words}",
    )
refused("rows of y in another order by their index", lambda: after(FRAME, pd.Series(Y).sample(frac=1, random_state=0)),
        "y: expected rows in the order of x, got the same index in another order")  # fmt: skip
same("an index that no other has", lambda: after(FRAME, pd.Series(Y, index=range(50, 62))), after)

SLIPS = {
    "no data": (lambda: fit(model()), "fit needs data named like the variables of p"),
    "no class": (lambda: fit(model(), x=X), ".*needs every row's y.*Pass y=…|.*"),
    "a variable that is none": (lambda: fit(model(), **FEW, q=1), "'q' is not a variable of GaussianNaiveBayes"),
    "a capital": (lambda: fit(model(), X=X, y=Y), "'X' is not a variable of .* Did you mean 'x'"),
    "scikit-learn's order": (lambda: fit(model(), X, Y), "data are passed by name, .*x=…"),
    "lists by place": (lambda: fit(model(), X.tolist(), Y.tolist()), "data are passed by name, .*x=…"),
    "frames by place": (lambda: fit(model(), FRAME, pd.Series(Y)), "data are passed by name, .*x=…"),
    "a method's class": (lambda: fit(model(), Exact, **FEW), r"method: expected Exact\(\), .*the class Exact; make one"),
    "a method's name": (lambda: fit(model(), "exact", **FEW), r"method: expected Exact\(\), SVI"),
    "a model's class": (lambda: fit(GaussianNaiveBayes, **FEW), "model: expected a ProbabilisticModel or a Posterior, got the class"),
    "no model": (lambda: fit(None, **FEW), "model: expected a ProbabilisticModel or a Posterior, got NoneType"),
    "something else for a model": (lambda: ask("nb", "p(x)"), "ask: expected a ProbabilisticModel or a Posterior first, got str"),
    "an array asked": (lambda: ask(X, "p(x)"), "ask: expected a ProbabilisticModel or a Posterior first, got ndarray"),
    "a model asked before the fit with rows left out": (lambda: ask(model(), "p(y | x)"), "x: the question .* is given x; pass x=…"),
    "a value that no bar asks for": (lambda: ask(fitted(), "p(y | x)", x=X, mu=1), "mu: does not stand right of the bar"),
    "a value for what is asked": (lambda: ask(fitted(), "p(y | x)", x=X, y=Y), r"y: .* asks about it; pass it to the answer: .log_prob\(y=…\)"),
    "a capital at ask": (lambda: ask(fitted(), "p(y | X)", X=X), "'X' is not a variable of .* Did you mean 'x'"),
    "a question of nothing": (lambda: ask(fitted(), ""), "."),
    "half a question": (lambda: ask(fitted(), "p(y | x"), "."),
    "a number for a question": (lambda: ask(fitted(), 3), "."),
    "a method at ask": (lambda: ask(fitted(), "p(x)", SVI()), r"method: expected Importance\(…\) or LowerBound"),
    "rows by place": (lambda: ask(fitted(), "p(x)").log_prob(X), r"values are passed by name: .log_prob\(x=…\)"),
    "too few values": (lambda: ask(fitted(), "p(x, y)").log_prob(x=X), r"p\(x, y\): expected a value for each of x, y, got x"),
    "no rows given": (lambda: probs(X[:0]), "x: expected at least one row, got none"),
    "rows and classes of other numbers": (lambda: ask(fitted(), "p(x, y)").log_prob(x=X, y=[0, 1]), r"y: expected shape \(12,\)"),
    "a sample of -1": (lambda: ask(fitted(), "p(x)").sample(-1), "n: expected a whole number from 1 up, got -1"),
    "a sample of 2.5": (lambda: ask(fitted(), "p(x)").sample(2.5), "n: expected a whole number from 1 up, got 2.5"),
    "the mean of codes": (lambda: ask(fitted(), "p(y | x)", x=X).mean, "'y' is a class code, and codes have no mean"),
    "steps 0": (lambda: SVI(steps=0), "steps: expected a whole number from 1 up, got 0"),
    "steps 1.5": (lambda: SVI(steps=1.5), "steps: expected a whole number"),
    "a negative rate": (lambda: SVI(learning_rate=-1), "learning_rate: expected a positive number, got -1"),
    "a rate of NaN": (lambda: SVI(learning_rate=float("nan")), "learning_rate: expected a positive number, got nan"),
    "a rate of text": (lambda: SVI(learning_rate="fast"), "learning_rate: expected a positive number, got 'fast'"),
    "batch_size -1": (lambda: SVI(batch_size=-1), "batch_size: expected .*got -1"),
    "a device of no machine": (lambda: SVI(device="gpu"), "device: expected None"),
    "restarts 0": (lambda: EM(restarts=0), "restarts: expected a whole number from 1 up, got 0"),
    "a prior of NaN": (lambda: model(rate=float("nan")), "rate: expected positive finite numbers, got nan"),
    "a prior below 0": (lambda: model(concentration=[-1, 1]), "concentration: expected positive finite numbers, got -1"),
    "a prior of another shape": (lambda: model(loc=[0, 0, 0]), r"loc: expected a number or an array that fits \(2, 2\)"),
    "a prior of text": (lambda: model(loc="a"), "loc: expected a number or an array"),
    "another covariance": (lambda: GaussianMixture(components=2, features=2, covariance="fulll"), "covariance: expected .* got 'fulll'"),
    "the same rows twice": (lambda: fit(fitted(), **FEW), "these very rows are in this posterior already"),
    "rows changed after the fit": (lambda: changed(), "the data of this posterior were changed in place"),
    "saved to a folder": (lambda: save(fitted(), "/tmp"), "path: expected the name of a file, got the folder"),
    "saved where no folder is": (lambda: save(fitted(), "/tmp/none/none/a"), "path: the folder .* does not exist"),
    "a model saved": (lambda: save(model(), "/tmp/a"), "posterior: expected what fit returned, got GaussianNaiveBayes"),
    "a model diagnosed": (lambda: diagnose(model()), "posterior: |diagnose"),
    "a model for ArviZ": (lambda: to_arviz(3), "."),
    "the evidence of nothing": (lambda: log_evidence(model()), "log_evidence of a model needs data named"),
    "the evidence of an array": (lambda: log_evidence(X), "log_evidence: expected a ProbabilisticModel or a Posterior"),
    "a check of a model without rows": (lambda: predictive_check(model()), "predictive_check of a model needs data"),
    "two rows explained": (lambda: explain(fitted(), x=X[:2]), "x: expected one row"),
}  # fmt: skip
for slip, (act, words) in SLIPS.items():
    refused(slip, act, words)
SIGNATURES = {
    "no question": (lambda: ask(fitted()), "question"),
    "a model without sizes": (lambda: GaussianNaiveBayes(), "classes"),
    "a misspelt size": (lambda: GaussianNaiveBayes(clases=2, features=2), "clases"),
    "a misspelt setting": (lambda: SVI(step=3), "step"),
    "fit without a model": (lambda: fit(x=X, y=Y), "model"),
}
for slip, (act, words) in SIGNATURES.items():
    refused(slip, act, f".*{words}", TypeError)


def changed():
    rows = torch.tensor(X)
    posterior = fit(model(), x=rows, y=Y)
    rows[0] = 3.0
    return loo(posterior)


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
}  # fmt: skip
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
same("a tensor that needs a gradient, for SVI", lambda: after(torch.tensor(X, requires_grad=True), method=STEPS),
     lambda: after(method=STEPS))  # fmt: skip
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

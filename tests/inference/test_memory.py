"""Memory that a fit holds for itself: the same for few rows and many, for few steps and many.

Each measurement is a process of its own; pages of files can be dropped at any time and are not counted.
"""

import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MEMORY = """
import sys
def private():  # bytes that lie in no file
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous")) * 1024
"""

ROWS = """
import numpy as np
from ppl_gen import SVI, Exact, fit
from ppl_gen.models import GaussianNaiveBayes, LogisticRegression
folder, rows, method = sys.argv[1], int(sys.argv[2]), sys.argv[3]
x = np.memmap(f"{folder}/x", dtype=np.float32, mode="r", shape=(rows, 4))
y = np.memmap(f"{folder}/y", dtype=np.uint8, mode="r", shape=(rows,))
peak = [0]
if method == "exact":
    update = GaussianNaiveBayes.updated
    def updated(self, **part):
        peak.append(private())
        return update(self, **part)
    GaussianNaiveBayes.updated = updated
    posterior = fit(GaussianNaiveBayes(classes=2, features=4), Exact(), x=x, y=y)
else:
    def schedule(done):
        peak.append(private())
        return 1.0
    svi = SVI(steps=60, batch_size=1000, prefetch=2, schedule=schedule)
    posterior = fit(LogisticRegression(classes=2, features=4), svi, x=x, y=y)
assert posterior.n == rows and posterior.data is None
print(max(*peak, private()))
"""


def measured(program, *arguments):
    command = [sys.executable, "-c", MEMORY + program, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return [int(line) for line in run.stdout.split()]


@pytest.mark.parametrize("method", [pytest.param("svi", marks=pytest.mark.slow), "exact"])
def test_ten_times_the_rows_of_a_file_take_no_more_memory(tmp_path, method):
    """The files' types are not the model's, so that nothing can be used in place."""
    rows = 2_000_000  # of x: 32 MB, and 64 MB as the model wants them
    generator = np.random.default_rng(0)
    generator.standard_normal((rows, 4), dtype=np.float32).tofile(tmp_path / "x")
    generator.integers(2, size=rows, dtype=np.uint8).tofile(tmp_path / "y")
    (few,), (many,) = (measured(ROWS, tmp_path, n, method) for n in (rows // 10, rows))
    assert many < 1.1 * few, (few, many)


STEPS = """
import torch
from ppl_gen import SVI, fit
from ppl_gen.data import iris
from ppl_gen.inference import steps
from ppl_gen.models import GaussianMixture
how, size, total = sys.argv[1], int(sys.argv[2]), 10_000
if how == "eager":
    steps.WORTH_A_GRAPH = total + 1
found = []
def schedule(done):
    if round(done * total) == 2000:
        found.append(private())
    return 1.0
x = iris().standardized().x
method = SVI(steps=total, batch_size=size, compile=how == "compiled", schedule=schedule)
posterior = fit(GaussianMixture(components=2, features=4), method, x=x)
assert len(posterior.elbo) == total and not posterior.note
print(found[0], private())
"""


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 40])
@pytest.mark.parametrize("how", ["eager", "replayed", "compiled"])
def test_memory_does_not_grow_over_ten_thousand_steps(how, size):
    before, after = measured(STEPS, how, size)
    # Of each step two numbers are kept, some 64 bytes: half a megabyte. A graph kept would be kilobytes.
    assert after - before < 4e6, (before, after)

"""The contract as tests of pytest: a decorator, and an option that reads a file."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ppl_gen
from ppl_gen.errors import BrokenModel, DataError
from ppl_gen.testing import check_model, parametrize_with_checks
from ppl_gen.testing.examination import CHECKS, Examination, NotReached
from tests.broken_models.base import Code
from tests.broken_models.catalogue import BROKEN

pytest_plugins = ["pytester"]
PLUGIN = ("-p", "no:ppl-gen", "-p", "_ppl_gen_pytest", "-p", "no:cacheprovider")
ANSWER = """
import pyro
import pyro.distributions as dist
import torch
from ppl_gen import ProbabilisticModel

class Coin(ProbabilisticModel):
    joint = "p(bias) p(heads | bias)"

    def model(self, n):
        bias = pyro.sample("bias", dist.Beta(torch.tensor(2.0), 2.0))
        with pyro.plate("data", n):
            return pyro.sample("heads", dist.Bernoulli(bias))

class Deaf(Coin):
    def model(self, n):
        super().model(n).mean()
        self.forgets

class Line(ProbabilisticModel):
    joint = "p(w) p(y | x, w)"

    def __init__(self, features):
        super().__init__()
        self.features = features

    def model(self, x):
        w = pyro.sample("w", dist.Normal(torch.zeros(self.features), 1.0).to_event(1))
        with pyro.plate("data", len(x)):
            pyro.sample("y", dist.Normal(x @ w, 1.0))
"""


@pytest.mark.parametrize("broken", BROKEN[::9], ids=lambda b: b[0].__name__)
def test_one_by_one_says_what_all_at_once_says(broken):
    cls, sizes, given, _ = broken
    with pytest.raises(BrokenModel) as whole:
        check_model(cls(**sizes), **given)
    examination, said, skipped = Examination(cls(**sizes), given), [], 0
    for check in reversed(CHECKS):  # in any order
        try:
            examination.check(check)
        except BrokenModel as error:
            said.append(str(error))
        except NotReached:
            skipped += 1
    assert said == [str(whole.value)]
    assert skipped == len(CHECKS) - 1 - list(examination.found).index(next(reversed(examination.found)))


def test_names_of_checks_are_their_own():
    assert len(set(CHECKS)) == len(CHECKS)
    with pytest.raises(DataError, match=r"^check: expected one of lines"):
        Examination(Code(), {}).check("nonsense")


@parametrize_with_checks([Code(), (Code(), {"n": 9})])
def test_the_decorator(model, check):
    check(model)


def test_the_decorator_wants_models():
    with pytest.raises(DataError, match="make one: Code"):
        parametrize_with_checks([Code])


def test_a_failing_check_is_a_test_and_later_ones_are_skipped(pytester):
    pytester.makepyfile(answer=ANSWER)
    pytester.makepyfile(
        """
        from answer import Coin, Deaf
        from ppl_gen.testing import parametrize_with_checks

        @parametrize_with_checks([Coin(), Deaf()])
        def test_keeps_the_contract(model, check):
            check(model)
        """
    )
    result = pytester.runpytest_inprocess(*PLUGIN, "-rs")
    before = CHECKS.index("variables")
    result.assert_outcomes(passed=len(CHECKS) + before, failed=1, skipped=len(CHECKS) - before - 1)
    result.stdout.fnmatch_lines(
        ["*test_keeps_the_contract[[]Deaf-variables[]]*", "E *where   answer.py:*: self.forgets"]
    )
    result.stdout.no_fnmatch_line("*AttributeError: 'Deaf'*modules*")


def test_a_file_of_models_is_checked(pytester):
    pytester.makepyfile(answer=ANSWER, test_other="def test_other(): pass")
    result = pytester.runpytest_inprocess(*PLUGIN, "--ppl-gen-models=answer.py", "-v")
    before = CHECKS.index("variables")
    result.assert_outcomes(passed=2 * len(CHECKS) + before, failed=1, skipped=len(CHECKS) - before - 1)
    result.stdout.fnmatch_lines(
        [
            "answer.py::Coin()[[]lines[]] PASSED*",
            "answer.py::Deaf()[[]variables[]] FAILED*",
            "answer.py::Line(features=2)[[]point[]] PASSED*",
            "Deaf: model() stopped *",
            "    mend *",
        ]
    )
    beside = pytester.runpytest_inprocess(*PLUGIN, "--ppl-gen-models=answer.py", "test_other.py", "-q")
    beside.assert_outcomes(passed=2 * len(CHECKS) + before + 1, failed=1, skipped=len(CHECKS) - before - 1)


FREE = """
import pyro
import pyro.distributions as dist
import torch
from ppl_gen import ProbabilisticModel

class Line(ProbabilisticModel):
    joint = "p(w) p(y | x, w)"

    def model(self, x):
        w = pyro.sample("w", dist.Normal(torch.zeros(x.shape[-1]), 1.0).to_event(1))
        with pyro.plate("data", len(x)):
            pyro.sample("y", dist.Normal(x @ w, 1.0))
"""


def test_inputs_have_the_shape_that_the_program_takes(pytester):
    pytester.makepyfile(free=FREE)
    result = pytester.runpytest_inprocess(*PLUGIN, "--ppl-gen-models=free.py")
    result.assert_outcomes(passed=len(CHECKS))


def test_inputs_can_be_given_and_made_up_ones_are_told(pytester):
    wrong = FREE.replace("x @ w", "x @ w.detach()")
    pytester.makepyfile(
        free=wrong, own=wrong + '\nmine = (Line(), {"x": torch.arange(20.0).reshape(5, 4)})\n'
    )
    result = pytester.runpytest_inprocess(*PLUGIN, "--ppl-gen-models=free.py")
    told = '    inputs  made up, x: (8, 2); to give others, keep in the file: checked = (Line(…), {"x": …})'
    assert told in result.outlines
    result = pytester.runpytest_inprocess(*PLUGIN, "--ppl-gen-models=own.py", "-v")
    result.stdout.fnmatch_lines(["own.py::mine[[]slopes[]] FAILED*", "Line: 'y' depends on 'w' *"])
    result.stdout.no_fnmatch_line("*made up*")


@pytest.mark.slow
def test_workers_share_the_checks_of_a_file(pytester):
    pytest.importorskip("xdist")
    pytester.makepyfile(answer=ANSWER)
    result = pytester.runpytest_subprocess(*PLUGIN, "--ppl-gen-models=answer.py", "-n", "2")
    before = CHECKS.index("variables")
    result.assert_outcomes(passed=2 * len(CHECKS) + before, failed=1, skipped=len(CHECKS) - before - 1)


def test_files_without_models_and_models_that_cannot_be_made_are_named(pytester):
    pytester.makepyfile(empty="")
    assert (
        pytester.runpytest_inprocess(*PLUGIN, "--ppl-gen-models=absent.py").ret == pytest.ExitCode.USAGE_ERROR
    )
    result = pytester.runpytest_inprocess(*PLUGIN, "--ppl-gen-models=empty.py")
    result.stdout.fnmatch_lines(["*empty.py has no ProbabilisticModel*"])
    pytester.makepyfile(sized=ANSWER.replace("self.features = features", "raise ValueError(features)"))
    result = pytester.runpytest_inprocess(*PLUGIN, "--ppl-gen-models=sized.py")
    result.stdout.fnmatch_lines(["Line(features=2) cannot be made: ValueError: 2", "*m = Line(…)*"])


def test_the_plugin_costs_nothing_unless_it_is_used(tmp_path):
    (tmp_path / "test_light.py").write_text(
        "import sys\ndef test_light():\n    assert not {'torch', 'pyro', 'ppl_gen'} & sys.modules.keys()\n"
    )
    command = [sys.executable, "-m", "pytest", *PLUGIN, "-q", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stdout


def test_pytest_may_start_after_the_package_was_imported():
    """pytest warns of packages with plugins that it can no longer rewrite, but for this word."""
    assert "PYTEST_DONT_REWRITE" in (ppl_gen.__doc__ or "")


def test_the_package_announces_the_plugin():
    project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {"ppl-gen": "_ppl_gen_pytest"}
    assert "src/_ppl_gen_pytest.py" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]

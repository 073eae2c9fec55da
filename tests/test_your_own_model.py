"""The page on models of one's own runs, and its messages are today's."""

import linecache
import re
from pathlib import Path

import pytest

from ppl_gen.errors import BrokenModel

PAGE = Path(__file__).parents[1].joinpath("docs", "your_own_model.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run(block, names):
    """Run a block as a file of its own, whose lines messages can quote."""
    file = f"/{BLOCKS.index(block)}/your_own_model.py"
    linecache.cache[file] = (len(block), None, block.splitlines(True), file)
    exec(compile(block, file, "exec"), names)


@pytest.fixture(scope="module")
def names():
    found = {"__name__": "your_own_model"}
    run(BLOCKS[0], found)
    return found


def test_the_message_of_a_mistake_is_todays(names):
    with pytest.raises(BrokenModel) as caught:
        run(BLOCKS[1], dict(names))
    assert f"```text\nBrokenModel: {caught.value}\n```" in PAGE


def test_models_without_density_or_constant_refuse(names, capsys):
    run(BLOCKS[2], names)
    assert "gives it no density" in capsys.readouterr().out
    run(BLOCKS[3], names)
    said = capsys.readouterr().out
    assert said.splitlines()[0] in BLOCKS[3]
    assert "known only up to a constant" in said


def test_the_assignment_is_graded(names):
    if "Generator" not in names:
        run(BLOCKS[2], names)
    run(BLOCKS[4], names)
    graded = names["test_keeps_the_contract"]
    for parameters in graded.pytestmark[0].args[1]:
        graded(*parameters.values)
    names["test_finds_the_broken_one"]()


def test_every_block_is_run():
    assert len(BLOCKS) == 5

"""Cells run as in a notebook; one that fails, stands or dies is named, and nothing waits for ever."""

import re

import pytest

from tutorials.running import run

pytest.importorskip("IPython")


def test_each_cell_shows_what_a_notebook_would(tmp_path):
    drawn = "import matplotlib.pyplot as plt\n_ = plt.figure(figsize=(1, 1))\n_ = plt.plot([1])"
    shown = run(["a = 1", "print(a)\na + 1", "a;", drawn, "import os; os.getcwd()"], tmp_path)
    assert shown[0] == shown[2] == []
    printed, value = shown[1]
    assert (printed["output_type"], printed["name"]) == ("stream", "stdout")
    assert value == {"output_type": "execute_result", "execution_count": None, "data": {"text/plain": "2"},
                     "metadata": {}}  # fmt: skip
    (figure,) = shown[3]
    assert figure["output_type"] == "display_data"
    assert figure["data"]["image/png"].startswith("iVBOR")  # a PNG file in base64
    assert str(tmp_path) in shown[4][0]["data"]["text/plain"]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("1 / 0", "cell 2 failed:.*ZeroDivisionError"),
        ("1 +", "cell 2 failed:.*SyntaxError"),
        ("raise SystemExit(0)", "cell 2 failed:.*SystemExit"),
        ("import os; os._exit(3)", "cell 2 ended the process, with exit code 3"),
    ],
)
def test_a_cell_that_does_not_end_well_is_named_and_quoted(second, words, tmp_path):
    with pytest.raises(RuntimeError, match=re.compile(words, re.DOTALL)) as found:
        run(["1", second, "3"], tmp_path)
    assert str(found.value).endswith(f"The cell:\n{second}")


def test_a_cell_that_stands_is_named_and_ended(tmp_path):
    with pytest.raises(RuntimeError, match=r"cell 1 took more than 0.5 seconds\nThe cell:\nimport time"):
        run(["import time; time.sleep(3600)"], tmp_path, limit=0.5)


def test_what_a_slider_draws_stays_in_it_and_what_it_raises_does_not(tmp_path):
    pytest.importorskip("ipywidgets")
    slider = "from ipywidgets import interact\n_ = interact(lambda k: print({}), k=(1, 3))"
    (shown,) = run([slider.format("k")], tmp_path)
    assert all(output["output_type"] == "display_data" for output in shown)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run([slider.format("k / 0")], tmp_path)

"""The command line: what it says, what it writes, and that it leaves no trace in the process."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pyro
import pytest
import torch
import xarray

from ppl_gen import __version__
from ppl_gen.__main__ import main
from ppl_gen.article import Card, Figure, Report, Section, Table
from ppl_gen.files import replace_file

TREES = {
    "naive-bayes-exact",
    "naive-bayes-svi",
    "logistic-regression",
    "mixture",
    "vae",
    "naive-bayes-digits",
}
FIGURES = {
    "elbo",
    "marginals",
    "learning-curve-error",
    "learning-curve-log-loss",
    "mixture",
    "digits",
}


def ppl_gen(*arguments: str, strict: bool = True) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, *(["-W", "error"] if strict else []), "-m", "ppl_gen", *arguments]
    return subprocess.run(program, capture_output=True, text=True, encoding="utf-8", timeout=300)


def files_of(said: str) -> set[str]:
    return set(re.findall(r"([\w-]+\.(?:png|nc|html)) +[\d.,]+ [kM]B", said))


# What is said -----------------------------------------------------------------------------------------------


def test_help_and_version():
    shown = ppl_gen("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "ppl-gen tour --quick" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 88
    assert ppl_gen("--version").stdout == f"ppl-gen {__version__}\n"
    assert main([]) == 0


@pytest.mark.parametrize("arguments", [["sing"], ["tour", "--seed=-1"], ["tour", "--seed=x"], ["--loud"]])
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: ppl-gen" in capsys.readouterr().err


@pytest.mark.parametrize("below", ["", "/folder"])
def test_out_that_cannot_be_a_folder(tmp_path, capsys, below):
    (tmp_path / "file").write_text("mine")
    assert main(["tour", "--quick", "--out", f"{tmp_path}/file{below}"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"ppl-gen: cannot write to .*file.*\n", said.err)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("stage", ["fit", "elsewhere"])
def test_ctrl_c(tmp_path, monkeypatch, capsys, stage):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    where = "ppl_gen.inference.steps.Steps.step" if stage == "fit" else "ppl_gen.tour.guides.wine"
    monkeypatch.setattr(where, interrupted)
    assert main(["tour", "--quick", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "ppl-gen: stopped by Ctrl-C\n"


# What is written --------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The elements of a page, as (tag, attributes)."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag


@pytest.fixture(scope="module")
def toured(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    out = tmp_path_factory.mktemp("tour")
    (out / "index.html").write_text("an older page")
    return out, ppl_gen("tour", "--quick", "--out", str(out))


def test_tour_ends_well_and_names_its_files(toured):
    out, done = toured
    assert (done.returncode, done.stderr) == (0, "")
    assert max(len(line.replace(str(out), "")) for line in done.stdout.splitlines()) <= 88
    expected = {f"{name}.nc" for name in TREES} | {f"{name}.png" for name in FIGURES} | {"index.html"}
    assert {path.name for path in out.iterdir()} == expected
    assert all(name in done.stdout for name in expected)
    assert all(path.stat().st_size > 1000 for path in out.iterdir())


def test_page_is_self_contained_and_described(toured):
    text = (toured[0] / "index.html").read_text(encoding="utf-8")
    outside = r"""(?:(?:src|href)\s*=\s*["']\s*|url\(["']?)(?:https?:)?//|@import"""
    assert not re.search(outside, text)
    page = Page(text)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == 1
    assert tags.count("h2") == 6
    assert not {"script", "link", "iframe"} & set(tags)
    assert "prefers-color-scheme: dark" in text
    for tag, attributes in page.elements:
        if tag in ("img", "svg"):
            assert attributes.get("alt") or attributes.get("aria-label"), tag
        if tag == "table":
            assert text.count("<table") == text.count('class="scroll"')
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert not re.search(r"r_hat|R-hat|[±−] ?nan|>nan<|None", text)
    assert "NotGenerated" in text
    assert "refused: x is given" in text
    assert "refused: needs all of x" in text
    assert "lower bound" not in text[text.index('id="s5"') :]
    assert not re.search(r"class[ _]\d", text)


@pytest.mark.parametrize("name", sorted(TREES))
def test_posteriors_open(toured, name):
    with xarray.open_datatree(toured[0] / f"{name}.nc", engine="h5netcdf") as tree:
        assert {"posterior", "posterior_predictive", "observed_data", "sample_stats"} <= tree.children.keys()
        assert all(bool(np.isfinite(v).all()) for v in tree["posterior"].data_vars.values())


@pytest.mark.slow
def test_tour_in_this_process_leaves_no_trace(toured, tmp_path, capsys):
    def state() -> list[object]:
        numpy_state = np.random.get_state()
        looks = {k: v for k, v in matplotlib.rcParams.items() if k != "backend"}
        return [
            torch.get_rng_state().tolist(),
            str(numpy_state),
            torch.get_num_threads(),
            torch.get_default_dtype(),
            dict(pyro.get_param_store()),
            torch.is_grad_enabled(),
            looks,
        ]

    import matplotlib.pyplot as plt

    before, figures = state(), plt.get_fignums()
    assert main(["tour", "--quick", "--out", str(tmp_path / "new" / "folder")]) == 0
    assert state() == before
    assert plt.get_fignums() == figures
    said = capsys.readouterr()
    assert said.err == ""
    numbers = [line for line in said.out.splitlines() if "nats" in line and "seconds" not in line]
    assert numbers
    assert all(line in toured[1].stdout for line in numbers)  # the same seed gives the same numbers


# The page builder -------------------------------------------------------------------------------------------


def test_report_escapes_and_typesets():
    table = Table(("a<b", "`p(x | mu)`"), [("<script>", "`.how`\nand why")], caption="A & B", numbers=(1,))
    card = Card(
        "Toy", [("joint", "p(z) p(x | z)"), ("guide", "")], "<svg aria-label='toy'></svg>", "circle & box"
    )
    figure = Figure("<svg>light</svg>", "caption", "<svg>dark</svg>")
    page = Report(
        "T < U", "lead", sections=[Section("Claim `p(y | x)`", ["text `x0`", table, card, figure])]
    ).html()
    assert "<script>" not in page
    assert "T &lt; U" in page
    assert "A &amp; B" in page
    assert "<i>μ</i>" in page
    assert "<i>x</i><sub>0</sub>" in page
    assert "<code>.how</code>" in page
    assert "<dt>guide</dt>" not in page
    assert "</code><br>and why" in page
    assert "circle &amp; box" in page
    assert '<div class="picture by-day"><svg>light</svg></div>' in page
    assert '<div class="picture by-night"><svg>dark</svg></div>' in page


def test_replacing_a_file_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    replace_file(path, "old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        replace_file(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]

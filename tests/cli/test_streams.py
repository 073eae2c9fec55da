"""Outputs that close, fill up or lack letters, and Ctrl-C at any time: no traceback, and an exit code."""

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings

import pytest

from ppl_gen.__main__ import main
from ppl_gen.cli.terminal import legible
from ppl_gen.errors import Unreliable
from tests.children import child

COMMANDS = ("tour", "compare", "fit", "ask", "sample", "diagnose", "tutorials", "completion")


class Reader(io.TextIOWrapper):
    """A standard output that fails when it is written to, as a closed pipe or a full disk does."""

    def __init__(self, error: OSError, encoding: str = "utf-8"):
        class Raw(io.RawIOBase):
            dropped = False

            def writable(self):
                return True

            def write(self, letters):
                if not self.dropped:
                    raise error
                return len(letters)

        super().__init__(io.BufferedWriter(Raw()), encoding=encoding)

    def close(self):  # what it holds can never be written; Python 3.13 tells of a buffer that dies unwritten
        self.buffer.raw.dropped = True
        super().close()


def written(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)


# Outputs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["completion", "bash"], ["--help"], []])
def test_a_closed_pipe_ends_quietly(monkeypatch, capsys, words):
    monkeypatch.setattr(sys, "stdout", Reader(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    assert main(words) == 141
    assert capsys.readouterr().err == ""


def test_a_full_disk_behind_the_output(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Reader(OSError(errno.ENOSPC, "No space left on device")))
    assert main(["completion", "zsh"]) == 1
    assert capsys.readouterr().err == (
        "ppl-gen: cannot write to the standard output: No space left on device\n"
    )


def test_outputs_that_are_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["completion", "fish"]) == 0
    assert main(["ask", "nowhere", "p(x)"]) == 2
    assert sys.stdout is None


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("command", COMMANDS)
def test_letters_that_an_encoding_lacks(monkeypatch, encoding, command):
    stream = written(encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    text = stream.buffer.getvalue().decode(encoding)
    assert "Exit codes: 0 it was done" in text
    assert "?" not in re.sub(r"null, \?|yours\?|believed\?", "", text)  # a plainer letter for each
    assert stream.errors == "strict"


def test_letters_become_plain_ones(monkeypatch):
    stream = written("ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    with legible():
        print("✓ naïve: −1 ± 2 … 漢", end="")
    assert stream.buffer.getvalue() == b"+ naive: -1 +- 2 ... ?"


def test_help_fits_a_narrow_terminal(monkeypatch, capsys):
    for width in (40, 80):
        monkeypatch.setenv("COLUMNS", str(width))
        for command in COMMANDS:
            with pytest.raises(SystemExit, match="0"):
                main([command, "--help"])
            _, _, text = capsys.readouterr().out.partition("\n\n")  # argparse breaks no word of a usage
            lines = [line for line in text.splitlines() if not line.startswith("  ")]
            lines += [line for line in text.partition("options:")[2].splitlines()]
            assert max(map(len, lines)) <= width


def test_no_colour_is_written_where_nobody_sees_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["tutorials", str(tmp_path)]) == 0
    assert "\x1b" not in capsys.readouterr().out


# Errors -------------------------------------------------------------------------------------------------


def failing(error: BaseException):
    def run(*_: object) -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "f.pplgen"),
            1,
            "cannot write to f.pplgen: No space",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), 2, "cannot write to a/b: Permission"),
        (OSError(errno.EROFS, "Read-only file system", "a"), 2, "cannot write to a: Read-only"),
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C"),
    ],
)
def test_exit_codes(monkeypatch, capsys, tmp_path, error, code, message):
    monkeypatch.setattr("ppl_gen.cli.tutorials.run", failing(error))
    assert main(["tutorials", str(tmp_path)]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert re.fullmatch(f"ppl-gen: {message}.*\n", told.err)


def test_a_disk_that_is_full_amid_a_file(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("os.fsync", failing(OSError(errno.ENOSPC, "No space left on device")))
    assert main(["tutorials", str(tmp_path)]) == 1
    assert re.search(r"cannot write to .*\.ipynb: No space left on device", capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_a_warning_is_one_line(monkeypatch, capsys, tmp_path):
    def run(*_: object) -> dict[str, int]:
        warnings.warn("k-hat is large", Unreliable, stacklevel=2)
        return {"a": 1}

    monkeypatch.setattr("ppl_gen.cli.tutorials.run", run)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["tutorials", str(tmp_path), "--json"]) == 0
    told = capsys.readouterr()
    assert told.err == "ppl-gen: warning: k-hat is large\n"
    assert json.loads(told.out) == {"a": 1}


def test_ctrl_c_before_anything_is_loaded():
    """The console script catches it amid the import of torch."""
    program = "import _ppl_gen, sys; print('on', flush=True); sys.exit(_ppl_gen.main())"
    run = subprocess.Popen(
        [sys.executable, "-c", program, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert run.stdout.readline() == "on\n"
    time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (130, "ppl-gen: stopped by Ctrl-C\n")
    assert out == ""


def test_ctrl_c_amid_a_command():
    def work() -> None:
        import ppl_gen.cli.tutorials

        ppl_gen.cli.tutorials.run = lambda *_: os.kill(os.getpid(), signal.SIGINT) or time.sleep(30)
        sys.exit(main(["tutorials", "nowhere"]))

    ended = child(work)
    assert (ended.code, ended.said) == (130, "ppl-gen: stopped by Ctrl-C\n")

"""The parser of the command line, put together from its commands."""

import argparse
import shutil
import textwrap
from types import ModuleType
from typing import Any

from ppl_gen import __version__
from ppl_gen.cli import ask, compare, completion, diagnose, fit, sample, tour, tutorials

COMMANDS: dict[str, ModuleType] = {
    "tour": tour, "compare": compare, "fit": fit, "ask": ask, "sample": sample, "diagnose": diagnose,
    "tutorials": tutorials, "completion": completion,
}  # fmt: skip
DESCRIPTION = """\
A probabilistic model is one joint distribution, and every use of it a question asked of that joint.

Look around:
  ppl-gen tour --quick
  ppl-gen tutorials lessons

Work with a table of yours:
  ppl-gen compare iris.csv --target kind
  ppl-gen fit iris.csv --class kind
    --model GaussianNaiveBayes --out f.pplgen
  ppl-gen ask f.pplgen "p(y | x)" new.csv
  ppl-gen sample f.pplgen "p(x | y)"
    --y setosa -n 16
  ppl-gen diagnose f.pplgen iris.csv"""
CODES = """\
Rows of a file are counted from 1, the first below the names of its columns.

Exit codes: 0 it was done; 1 it went wrong; 2 a mistake in what was asked, which the message tells;
130 stopped by Ctrl-C; 141 the reader of a pipe left."""


class Paragraphs(argparse.HelpFormatter):
    """Fills paragraphs to the width of the terminal, and leaves indented lines as they are."""

    def __init__(self, prog: str):
        width = min(shutil.get_terminal_size().columns - 2, 86)
        super().__init__(prog, max_help_position=min(26, width // 2), width=width)

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length += 2  # commands are indented once more than argparse reckons

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(_filled(part, width) for part in text.split("\n\n"))


class Command(argparse.ArgumentParser):
    """A parser whose options may stand before, between and after the arguments."""

    _between = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of every parser, but arguments are counted once all options are read."""
        if self._between:  # the two steps that it takes
            return super().parse_known_args(args, namespace)
        self._between = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._between = False


def _filled(paragraph: str, width: int) -> str:
    lines: list[str] = []
    for line in paragraph.splitlines():
        if line.startswith(" ") or not lines or lines[-1].startswith(" "):
            lines.append(line)
        else:
            lines[-1] += f" {line}"
    wrapped = (
        line if line.startswith(" ") else textwrap.fill(line, max(width, 20), break_on_hyphens=False)
        for line in lines
    )
    return "\n".join(wrapped)


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    made = argparse.ArgumentParser(
        prog="ppl-gen", description=DESCRIPTION, epilog=CODES, formatter_class=Paragraphs, allow_abbrev=False
    )
    made.add_argument("--version", action="version", version=f"ppl-gen {__version__}")
    commands = made.add_subparsers(dest="command", title="commands", metavar="COMMAND", parser_class=Command)
    for name, command in COMMANDS.items():
        own = commands.add_parser(
            name, help=command.HELP, description=command.DESCRIPTION, epilog=CODES,
            formatter_class=Paragraphs, allow_abbrev=False,
        )  # fmt: skip
        command.add(own)
    return made


def commands_of(made: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands, by name."""
    (found,) = (a for a in made._actions if isinstance(a, argparse._SubParsersAction))
    return dict(found.choices)

"""``ppl-gen completion``."""

import argparse
from typing import Any

from ppl_gen.cli.options import Parser, completed
from ppl_gen.cli.terminal import Terminal

SHELLS = ("bash", "zsh", "fish")
HELP = "what makes a shell complete commands, options and names"
DESCRIPTION = """\
Print a script that makes the Tab key complete commands, options, and the names of models and methods.
Write it once, and again after an upgrade:

  ppl-gen completion bash > \\
    ~/.local/share/bash-completion/completions/ppl-gen
  ppl-gen completion zsh > ~/.zfunc/_ppl-gen
  ppl-gen completion fish > \\
    ~/.config/fish/completions/ppl-gen.fish

zsh needs, before compinit in ~/.zshrc: fpath+=~/.zfunc"""


def add(parser: Parser) -> None:
    """The options."""
    words = f"one of {', '.join(SHELLS)}"
    completed(parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=words), SHELLS)
    parser.set_defaults(json=False)


def run(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    """Print the script."""
    from ppl_gen.cli.parser import parser
    from ppl_gen.cli.shells import SCRIPTS

    terminal.say(SCRIPTS[options.shell](parser()))
    return {}

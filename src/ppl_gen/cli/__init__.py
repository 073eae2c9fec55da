"""The command line: ``ppl-gen``, or ``python -m ppl_gen``. One file for each command."""

from ppl_gen.cli.main import main

__all__ = ["main"]

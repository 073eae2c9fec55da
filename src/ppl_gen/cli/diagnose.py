"""``ppl-gen diagnose``."""

import argparse
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppl_gen.cli.advice import in_options
from ppl_gen.cli.options import FILE, Parser, add_json, add_posterior, add_seed, completed, count, writable
from ppl_gen.cli.terminal import Terminal, plain
from ppl_gen.errors import DataError

if TYPE_CHECKING:
    from ppl_gen.diagnostics import Diagnosis

HELP = "is a posterior to be believed?"
DESCRIPTION = """\
Examine a posterior: the joint, the climb, the guide, the chains, and the rows beside those that the model
would draw. Every check holds a number against its limit; the verdict says in words what to use the
posterior for, or what to try. The file of a posterior holds no rows, so name the table that was fitted."""
MARKS = {"ok": "✓", "note": "·", "caution": "!", "fault": "✗"}


def add(parser: Parser) -> None:
    """The options."""
    add_posterior(parser)
    rows = parser.add_argument("rows", metavar="ROWS", nargs="?", help="the table or array that was fitted")
    completed(rows, FILE)
    words = "write every check with its figure into one page"
    completed(parser.add_argument("--report", metavar="PAGE.html", help=words), FILE)
    parser.add_argument("--overwrite", action="store_true", help="replace that page if it is there")
    words = "of the guide, that are weighed (default: %(default)s)"
    parser.add_argument("--draws", type=count, metavar="N", default=1000, help=words)
    add_seed(parser)
    add_json(parser)


def run(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    """Examine; returns the verdict and the checks."""
    page = None if options.report is None else Path(options.report)
    if page is not None:
        writable(page, "--report", overwrite=options.overwrite)
    from ppl_gen.cli.questions import Reader, opened
    from ppl_gen.diagnostics import diagnose, report
    from ppl_gen.diagnostics.trust.drawn import fitted_rows
    from ppl_gen.isolation import one_thread

    posterior = opened(options.file)
    reader = Reader(posterior)
    if options.rows is None:
        raise DataError(
            f"{options.file} holds no rows: name the table that was fitted, as in ppl-gen diagnose "
            f"{options.file} TABLE.csv"
        )
    data = reader.read(Path(options.rows), list(posterior.shapes))
    rows = max(len(values) for values in data.values())
    if rows != posterior.n:
        reader.notes.append(
            f"the fit had {posterior.n:,} rows; {options.rows} holds {rows:,}, which are judged here"
        )
    elif not fitted_rows(posterior, data):
        reader.notes.append(
            f"{options.rows} holds {rows:,} rows, as many as the fit had, but not the same, or in another "
            f"order; they are judged here"
        )
    with one_thread():
        found = diagnose(posterior, draws=options.draws, seed=options.seed, **data)
        if page is not None:
            report(found, page)
    _tell(terminal, found, reader.notes)
    if page is not None:
        terminal.say("", f"Read {page}.")
    document: dict[str, Any] = plain(
        {
            "model": type(posterior.model).__name__,
            "joint": posterior.model.joint,
            "method": str(posterior.method),
            "verdict": found.verdict,
            "fault": found.fault,
            "faults": found.faults,
            "checks": [vars(check) for check in found.checks],
            "skipped": found.skipped,
            "read": reader.notes,
            "report": None if page is None else str(page),
        }
    )
    return document


def _tell(terminal: Terminal, found: "Diagnosis", notes: list[str]) -> None:
    def say(first: str, text: str, later: str) -> None:
        terminal.say(
            *textwrap.wrap(text, terminal.width, initial_indent=first, subsequent_indent=later) or [first]
        )

    model, method = (type(part).__name__ for part in (found.posterior.model, found.posterior.method))
    say("", f"{model} by {method}: {found.verdict}", "")
    terminal.say(*notes, "")
    for check in found.checks:
        say(f"{MARKS[check.state]} ", f"{check.name}: {in_options(check.shown)}", "    ")
        if check.fault:
            where = f" ({check.where})" if check.where else ""
            say("    ", f"{check.fault}{where}: {check.meaning}. Try: {in_options(check.fix)}", "    ")
    for words in found.skipped:
        say("· ", f"not looked at: {in_options(words)}", "    ")

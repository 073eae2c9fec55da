"""``ppl-gen sample``."""

import argparse
import secrets
from typing import Any

from ppl_gen.cli.ask import QUESTIONS
from ppl_gen.cli.options import FILE, Parser, add_json, add_out, add_posterior, add_seed, completed, count
from ppl_gen.cli.terminal import Terminal

HELP = "rows drawn from a posterior"
DESCRIPTION = """\
Draw from the distribution that answers a question: new rows of a class, rows with their class, codes of
rows, parameters. A model that was fitted to a table draws in the table's own words.

  ppl-gen sample f.pplgen "p(x | y)" --y setosa -n 16
  ppl-gen sample f.pplgen "p(x, y)" -n 500 --out new.csv
  ppl-gen sample f.pplgen "p(mu)" --json"""


def add(parser: Parser) -> None:
    """The options."""
    from ppl_gen.cli.results import add_given

    add_posterior(parser)
    completed(parser.add_argument("question", metavar="QUESTION", help='such as "p(x | y)"'), QUESTIONS)
    rows = parser.add_argument(
        "rows", metavar="ROWS", nargs="?", help="rows of what stands right of the bar: draws for each of them"
    )
    completed(rows, FILE)
    add_given(parser)
    parser.add_argument("-n", type=count, metavar="N", default=1, help="how many (default: %(default)s)")
    add_out(parser, "write the rows there instead: .csv, .json or .npy; - is CSV on the standard output")
    add_seed(parser, None, "a new one every time, which --json tells")
    add_json(parser)


def run(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    """Draw; returns the rows."""
    from ppl_gen.ask import ask
    from ppl_gen.cli.questions import Reader, opened
    from ppl_gen.cli.results import place_of, tell

    path = place_of(options.out, options.overwrite, options.json)
    posterior = opened(options.file)
    reader = Reader(posterior)
    given, _ = reader.values(options.question, dict(options.given), options.rows)
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    answer = ask(posterior, options.question, **given)
    drawn = answer.sample(options.n, seed=seed)
    drawn = drawn if isinstance(drawn, dict) else {answer._targets[0]: drawn}
    columns: dict[str, list[Any]] = {}
    for name, values in drawn.items():
        site = posterior.sites.get(name)
        if options.rows is not None and site is not None and site.local:
            rows = values.shape[1]
            if rows > 1:
                columns["row"] = [row + 1 for row in range(rows)] * options.n
            values = values.flatten(0, 1)
        columns |= reader.columns(name, values)
    head = {
        "question": options.question,
        "model": type(posterior.model).__name__,
        "joint": posterior.model.joint,
        "how": answer.how,
        "n": options.n,
        "seed": seed,
        "read": reader.notes,
    }
    lines = [f"{answer!r}; seed {seed}", *reader.notes]
    array = next(iter(drawn.values())) if len(drawn) == 1 else None
    return tell(terminal, head, columns, lines=lines, out=options.out, path=path, array=array)

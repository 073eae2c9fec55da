"""``ppl-gen ask``."""

import argparse
from typing import Any

from ppl_gen.cli.options import FILE, Parser, add_json, add_out, add_posterior, add_seed, completed, count
from ppl_gen.cli.terminal import Terminal

HELP = "a question to a posterior, about rows of a file"
DESCRIPTION = """\
Ask a posterior a question as a textbook writes it. What stands right of the bar comes from the rows of a
file, or from --NAME VALUE; missing cells are summed out. A class is answered by probabilities and the most
probable class; rows that the file holds, by their log densities in nats; a number, by its mean. The answer
says how it was obtained.

  ppl-gen ask f.pplgen "p(y | x)" new.csv
  ppl-gen ask f.pplgen "p(x)" new.csv --json
  ppl-gen ask f.pplgen "p(y | x)" --x 5.1,,1.4,0.2"""
QUESTIONS = ("p(y | x)", "p(x | y)", "p(x)", "p(y)", "p(x, y)", "p(z | x)", "p(z)")


def add(parser: Parser) -> None:
    """The options."""
    from ppl_gen.cli.results import add_given

    add_posterior(parser)
    completed(parser.add_argument("question", metavar="QUESTION", help='such as "p(y | x)"'), QUESTIONS)
    rows = parser.add_argument(
        "rows", metavar="ROWS", nargs="?", help="a table with the columns of the fit, or an array (.npy)"
    )
    completed(rows, FILE)
    add_given(parser)
    add_out(parser, "write the answers there instead: .csv, .json or .npy; - is CSV on the standard output")
    parser.add_argument("--draws", type=count, metavar="N", default=1000, help="to average over, where there "
                        "is no closed form (default: %(default)s)")  # fmt: skip
    add_seed(parser)
    add_json(parser)


def run(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    """Answer; returns the answer of every row, and how it was obtained."""
    from ppl_gen.ask import ask
    from ppl_gen.cli.questions import Reader, opened
    from ppl_gen.cli.results import place_of, tell
    from ppl_gen.engine import Importance
    from ppl_gen.notation import read_question

    path = place_of(options.out, options.overwrite, options.json)
    posterior = opened(options.file)
    reader = Reader(posterior)
    given, there = reader.values(options.question, dict(options.given), options.rows)
    targets = read_question(options.question).left
    answer = ask(posterior, options.question, Importance(max(options.draws, 2), options.seed), **given)
    columns: dict[str, list[Any]] = {}
    site = posterior.sites.get(targets[0]) if len(targets) == 1 else None
    single = site is not None and site.local and options.rows is None
    lines = []
    if site is not None and site.levels:
        probs = answer.probs.reshape(-1, answer.probs.shape[-1])
        words = reader.levels(targets[0], probs.shape[1])
        columns["mode"] = [words[int(code)] for code in probs.argmax(-1)]
        columns |= {f"p({word})": p for word, p in zip(words, probs.T.tolist(), strict=True)}
        array = probs
    elif there.keys() == set(targets):
        array = answer.log_prob(**there).reshape(-1)
        columns[f"log {options.question}"] = array.tolist()
        lines = [f"mean {array.mean():,.4f} nats a row"]
    else:
        array = answer.mean
        array = array[None] if single or site is None or not site.local else array
        columns |= {f"mean {name}": v for name, v in reader.columns(targets[0], array).items()}
    error = answer.standard_error
    if error is not None and error.numel() == len(array):
        columns["standard error"] = error.reshape(-1).tolist()
    head = {
        "question": options.question,
        "model": type(posterior.model).__name__,
        "joint": posterior.model.joint,
        "how": answer.how,
        "read": reader.notes,
    }
    return tell(
        terminal,
        head,
        columns,
        lines=[repr(answer), *lines, *reader.notes],
        out=options.out,
        path=path,
        array=array,
    )

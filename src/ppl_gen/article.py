"""A short article of sections, tables and figures: one self-contained HTML page, or text on a terminal.

Nothing here knows a model. Text between backticks is typeset as mathematics where it reads as such, as in
``"`p(y | x)` of `mu`"``, and as code elsewhere.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, TypeAlias

from ppl_gen.graph import markup

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["Card", "Figure", "Report", "Section", "Table"]


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; the caption says what to see.

    ``numbers`` are the columns set flush right; ``fold`` is the line behind which a page hides a long table,
    which is then left out on a terminal.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numbers: Sequence[int] = ()
    fold: str = ""

    def html(self) -> str:
        """The table in a box that scrolls by itself where it is too wide for the page."""
        head = self._row(self.head, 'th scope="col"')
        body = "".join(self._row(row, "td") for row in self.rows)
        name = escape(_plain(self.caption or self.fold or ", ".join(self.head)), quote=True)
        table = (
            f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table>\n'
            f"<thead>{head}</thead>\n<tbody>{body}</tbody></table></div>"
        )
        caption = f"<figcaption>{_html(self.caption)}</figcaption>" if self.caption else ""
        shown = f"<figure>{table}{caption}</figure>"
        return f"<details><summary>{_html(self.fold)}</summary>{shown}</details>" if self.fold else shown

    def _row(self, cells: Sequence[str], tag: str) -> str:
        align = (' class="number"' if i in self.numbers else "" for i in range(len(self.head)))
        row = (f"<{tag}{a}>{_html(cell)}</{tag[:2]}>" for a, cell in zip(align, cells, strict=True))
        return f"<tr>{''.join(row)}</tr>\n"


@dataclass(frozen=True)
class Figure:
    """A picture as SVG text, which carries its own description, and the caption that says what to see.

    ``dark`` takes its place on dark pages, where an image would keep its own light paper.
    """

    svg: str
    caption: str
    dark: str = ""

    def html(self) -> str:
        """The picture with its caption."""
        caption = f"<figcaption>{_html(self.caption)}</figcaption>"
        pictures = f'<div class="picture">{self.svg}</div>'
        if self.dark:
            pictures = (
                f'<div class="picture by-day">{self.svg}</div><div class="picture by-night">{self.dark}</div>'
            )
        return f"<figure>{pictures}{caption}</figure>"


@dataclass(frozen=True)
class Card:
    """Something that has a name, lines of mathematics with what they are, and a small picture.

    ``legend`` says how to read the picture.
    """

    name: str
    lines: Sequence[tuple[str, str]]
    svg: str
    legend: str = ""

    def html(self) -> str:
        """The lines beside the picture."""
        written = [(escape(what), markup(line)) for what, line in self.lines if line]
        lines = "".join(f"<dt>{what}</dt><dd>{line}</dd>" for what, line in written)
        legend = f'<p class="legend">{_html(self.legend)}</p>' if self.legend else ""
        text = f"<b>{escape(self.name)}</b><dl>{lines}</dl>{legend}"
        return f'<div class="card"><div>{text}</div>{self.svg}</div>'


Part: TypeAlias = str | Table | Figure | Card


@dataclass(frozen=True)
class Section:
    """A claim, and what it rests on: paragraphs (plain strings), tables, figures and cards."""

    claim: str
    parts: Sequence[Part]

    def print(self, console: "Console", number: int) -> None:
        """Write the section on a terminal, without pictures and folded tables."""
        console.print()
        console.rule(style="dim")
        console.print(_rich(f"{number}  {self.claim}"), style="bold")
        for part in self.parts:
            if isinstance(part, str):
                console.print()
                console.print(_rich(part))
            elif isinstance(part, Card):
                console.print()
                lines = ((part.name, part.lines[0][1]), *(("", line) for _, line in part.lines[1:] if line))
                for name, line in lines:
                    console.print(f"[bold]{name:<20}[/] [cyan]{line}[/]")
            elif isinstance(part, Table) and not part.fold:
                print_table(console, part)


@dataclass
class Report:
    """An article: title, lead, numbers at a glance (number, what it is), sections and a colophon."""

    title: str
    lead: str
    glance: list[tuple[str, str]] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    notice: str = ""

    def add(self, section: Section, console: "Console") -> None:
        """Append a section, and write it on the terminal."""
        self.sections.append(section)
        section.print(console, len(self.sections))

    def html(self) -> str:
        """The whole page: styles and pictures are inside, and it fetches nothing."""
        items = "".join(f"<li><b>{_html(number)}</b> {_html(what)}</li>" for number, what in self.glance)
        glance = f'<ul class="glance">{items}</ul>' if items else ""
        body = "\n".join(_section(i, section) for i, section in enumerate(self.sections, 1))
        notice = f'<p class="notice">{_html(self.notice)}</p>' if self.notice else ""
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{escape(_plain(self.title))}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
            f'<header><h1>{_html(self.title)}</h1>\n<p class="lead">{_html(self.lead)}</p>{notice}\n'
            f"{glance}</header>\n{body}\n</main>\n</body>\n</html>\n"
        )


def print_table(console: "Console", table: Table) -> None:
    """Write a table on a terminal, its caption below."""
    from rich import box
    from rich.table import Table as Grid

    grid = Grid(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for i, name in enumerate(table.head):
        grid.add_column(_rich(name), justify="right" if i in table.numbers else "left")
    for row in table.rows:
        grid.add_row(*map(_rich, row))
    console.print(grid)
    if table.caption:
        console.print(_rich(table.caption), style="dim")


def _section(number: int, section: Section) -> str:
    parts = [f"<p>{_html(part)}</p>" if isinstance(part, str) else part.html() for part in section.parts]
    heading = f'<h2 id="s{number}"><span>{number}</span> {_html(section.claim)}</h2>'
    return "\n".join([f'<section aria-labelledby="s{number}">', heading, *parts, "</section>"])


# Text with backticks ----------------------------------------------------------------------------------------


def _pieces(text: str) -> Iterable[tuple[str, str]]:
    """Pairs (kind, piece): plain text, a formula, or code."""
    for i, piece in enumerate(text.split("`")):
        formula = re.fullmatch(
            r"(\s*[pq]\([^()]+\))+|[^\W\d](\d*|_[a-z])|pi|mu|tau|sigma|theta|lam|phi", piece
        )
        yield ("text" if i % 2 == 0 else "formula" if formula else "code"), piece


def _html(text: str) -> str:
    how: dict[str, Callable[[str], str]] = {
        "text": lambda piece: escape(piece).replace("\n", "<br>"),
        "formula": markup,
        "code": lambda piece: f"<code>{escape(piece)}</code>",
    }  # fmt: skip
    return "".join(how[kind](piece) for kind, piece in _pieces(text))


def _rich(text: str) -> "Text":
    from rich.text import Text

    styles = {"text": "", "formula": "cyan", "code": "cyan"}
    return Text.assemble(*((piece, styles[kind]) for kind, piece in _pieces(text)))


def _plain(text: str) -> str:
    return text.replace("`", "")


STYLE = """
:root { --ink: #1f2328; --soft: #5b6470; --paper: #fdfcfa; --line: #d9d6cf; --tint: #f4f2ec; --link: #2a6fd0;
  --shade: #1f232840 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #a0a8b3; --paper: #14171b; --line: #343a43; --tint: #1c2026;
    --link: #7fb0f5; --shade: #000c }
  .by-day { display: none }
}
@media not (prefers-color-scheme: dark) { .by-night { display: none } }
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: break-word;
  font: 1.0625rem/1.6 Charter, "Bitstream Charter", "Iowan Old Style", Palatino, "Palatino Linotype", Georgia,
    "Liberation Serif", serif;
  font-variant-numeric: oldstyle-nums }
main { max-width: 40rem; margin: 0 auto; padding: 3.5rem 1.25rem 5rem }
h1 { font-size: 2.4rem; line-height: 1.15; font-weight: 600; margin: 0 0 1rem; letter-spacing: -.01em;
  text-wrap: balance }
h2 { font-size: 1.4rem; line-height: 1.3; font-weight: 600; margin: 3.75rem 0 1rem; text-wrap: balance }
h2 span:first-child { color: var(--soft); font-weight: 400; margin-right: .4em }
p { margin: 0 0 1rem; hyphens: auto }
.lead { font-size: 1.2rem; line-height: 1.5; color: var(--soft) }
.notice { border-left: 3px solid #e07b10; padding: .1rem 0 .1rem 1rem }
[role=math], .card dd { font-family: "STIX Two Text", "Cambria", "Latin Modern Roman", "Times New Roman",
  "Liberation Serif", serif; font-variant-numeric: lining-nums; font-size: 1.05em }
[role=math] i { padding-right: .04em }
sub { line-height: 0; font-size: .72em }
code { font: .86em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  background: var(--tint); border-radius: 3px; padding: .08em .3em; overflow-wrap: anywhere }
.glance { list-style: none; display: grid; grid-template-columns: 1fr 1fr;
  gap: 1rem 1.5rem; margin: 2rem 0 0; padding: 1.1rem 0; border: solid var(--line); border-width: 1px 0;
  font-size: .86rem; line-height: 1.4; color: var(--soft) }
.glance b { display: block; font-size: 1.7rem; line-height: 1.25; font-weight: 600; color: var(--ink) }
figure { margin: 1.75rem 0 }
figcaption, .card dt, .legend, summary { font-size: .875rem; line-height: 1.45; color: var(--soft) }
figcaption { margin-top: .6rem }
.picture svg { display: block; width: 100%; max-width: 34rem }
.scroll { overflow-x: auto; background:
  linear-gradient(to right, var(--paper) 40%, transparent) left / 1.2rem 100% no-repeat local,
  linear-gradient(to left, var(--paper) 40%, transparent) right / 1.2rem 100% no-repeat local,
  linear-gradient(to right, var(--shade), transparent) left / .8rem 100% no-repeat scroll,
  linear-gradient(to left, var(--shade), transparent) right / .8rem 100% no-repeat scroll }
table { border-collapse: collapse; width: 100%; font-size: .9rem; line-height: 1.4;
  font-variant-numeric: lining-nums tabular-nums; border: solid var(--ink); border-width: 1.5px 0 }
th { font-weight: 600; text-align: left; vertical-align: bottom; border-bottom: 1px solid var(--ink) }
th, td { padding: .35rem 1rem .35rem 0 }
th:last-child, td:last-child { padding-right: 0 }
td { vertical-align: top; border-bottom: 1px solid var(--line); hyphens: none; min-width: 3.2rem }
td:not(.number) { min-width: 5.6rem }
tr:last-child td { border-bottom: 0 }
.number { text-align: right; white-space: nowrap }
.number + :not(.number) { padding-left: 1rem }
.card { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 1rem 2rem;
  background: var(--tint); border-radius: 6px; padding: 1.1rem 1.4rem; margin: 1.5rem 0 }
.card > div { flex: 1 1 14rem; min-width: 0 }
.card svg { flex: none; max-width: 100%; max-height: 18rem }
.card svg [data-plate] + text { font-family: inherit; font-size: 13px }
.legend { margin: 1rem 0 0; hyphens: manual }
.card dl { margin: .5rem 0 0 }
.card dd { margin: 0 0 .5rem; line-height: 1.5 }
details { margin: 1.25rem 0 }
summary { cursor: pointer; color: var(--link) }
:focus-visible { outline: 2px solid var(--link); outline-offset: 3px }
@media (min-width: 38rem) {
  .glance { grid-template-columns: none; grid-auto-columns: 1fr; grid-auto-flow: column }
}
@media (min-width: 72rem) {
  main { padding-top: 5rem; margin-left: calc(50% - 29rem) }
  figure { width: 58rem; display: grid; grid-template-columns: 37.5rem 17.5rem; column-gap: 3rem }
  figcaption { margin: 0 }
  h1 { font-size: 3rem }
}
@media (max-width: 30rem) {
  body { font-size: 1rem }
  main { padding-top: 2rem }
  h1 { font-size: 1.9rem }
  table { font-size: .78rem; line-height: 1.35 }
  th, td { padding: .3rem .55rem .3rem 0 }
  td { min-width: 2.4rem }
  td:not(.number) { min-width: 3.6rem }
  td:first-child:not(.number) { min-width: 5rem }
  .number + :not(.number) { padding-left: .4rem }
  .number { white-space: normal }
  .card { padding: 1rem; justify-content: center }
}
"""

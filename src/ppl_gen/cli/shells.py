"""Scripts that complete the command line in bash, zsh and fish, read off its parser.

They hold every name they complete, so that pressing Tab starts no Python.
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ppl_gen.cli.options import FILE, FOLDER, OWN


class Value(NamedTuple):
    """An option or a place of a command.

    Attributes:
        names: of the option, such as --out; empty for a place.
        title: what the value is called; "" for a flag. words: the help.
        by: FILE, FOLDER, OWN or the words that it may be.
    """

    names: tuple[str, ...]
    title: str
    words: str
    by: str | Sequence[str]

    @property
    def choices(self) -> Sequence[str]:
        return () if isinstance(self.by, str) else self.by


class Command(NamedTuple):
    """A command with its options and places."""

    name: str
    words: str
    options: list[Value]
    places: list[Value]


def commands(made: argparse.ArgumentParser) -> list[Command]:
    """All that can be completed."""
    from ppl_gen.cli.parser import COMMANDS, commands_of

    found = []
    for name, parser in commands_of(made).items():
        values = [
            Value(
                tuple(action.option_strings),
                "" if action.nargs == 0 else str(action.metavar or action.dest),
                (action.help or "").replace("%(default)s", str(action.default)),
                getattr(action, "completed_by", OWN),
            )
            for action in parser._actions
        ]
        options, places = [v for v in values if v.names], [v for v in values if not v.names]
        found.append(Command(name, COMMANDS[name].HELP, options, places))
    return found


def bash(made: argparse.ArgumentParser) -> str:
    """For bash."""
    all_of = commands(made)
    cases, words = [], []
    for command in all_of:
        for option in command.options:
            if option.title:
                names = "|".join(f'"{command.name} {name}"' for name in option.names)
                cases.append(f"        {names}) {_bash(option)} ;;")
        flags = " ".join(name for option in command.options for name in option.names)
        places = " ".join(word for p in command.places for word in p.choices if "(" not in word)
        words.append(f'        {command.name}) words="{places}"; options="{flags}" ;;')
    names = " ".join(command.name for command in all_of)
    return f"""\
# bash completion of ppl-gen
_ppl_gen() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}
    local command= words= options= i
    if [[ $current == "=" ]]; then current=; fi
    if [[ $previous == "=" ]]; then previous=${{COMP_WORDS[COMP_CWORD - 2]}}; fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case " {names} " in *" ${{COMP_WORDS[i]}} "*) command=${{COMP_WORDS[i]}}; break ;; esac
    done
    COMPREPLY=()
    case "$command $previous" in
{chr(10).join(cases)}
    esac
    case "$command" in
{chr(10).join(words)}
        *) words="{names}"; options="--help --version" ;;
    esac
    if [[ $current == -* ]]; then words=$options; fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    local IFS=$'\\n'  # names of files may hold blanks
    if [[ -n $command && $current != -* ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}}
complete -o filenames -F _ppl_gen ppl-gen"""


def _bash(option: Value) -> str:
    if option.choices:
        return f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$current")); return'
    kind = {FILE: "-f", FOLDER: "-d"}.get(str(option.by))
    return f"local IFS=$'\\n'; COMPREPLY=($(compgen {kind} -- \"$current\")); return" if kind else "return"


def zsh(made: argparse.ArgumentParser) -> str:
    """For zsh."""
    all_of = commands(made)
    listed = "\n".join(f"        {_quoted(f'{c.name}:{_colons(c.words)}')}" for c in all_of)
    cases = []
    for command in all_of:
        specs = []
        for option in command.options:
            others = f"({' '.join(option.names)})" if len(option.names) > 1 else ""
            for name in option.names:
                sign = "=" if option.title and name.startswith("--") else ""
                specs.append(f"{others}{name}{sign}[{_colons(_brackets(option.words))}]{_zsh(option)}")
        for option in command.places:
            specs.append(f":{_zsh(option)}")
        lines = " \\\n                ".join(map(_quoted, specs))
        cases.append(f"            {command.name}) _arguments -s \\\n                {lines} ;;")
    return f"""\
#compdef ppl-gen
_ppl_gen() {{
    local curcontext="$curcontext" state line
    typeset -A opt_args
    local -a commands
    commands=(
{listed}
    )
    _arguments -C '(- *)'{{-h,--help}}'[show the help]' '(- *)--version[show the version]' \\
        '1:command:->command' '*::argument:->argument'
    case $state in
        command) _describe -t commands command commands ;;
        argument)
            case $line[1] in
{chr(10).join(cases)}
            esac ;;
    esac
}}
if [[ $funcstack[1] == _ppl-gen ]]; then _ppl_gen "$@"; else compdef _ppl_gen ppl-gen; fi"""


def _zsh(option: Value) -> str:
    if not option.title:
        return ""
    title = _colons(option.title)
    if option.choices:
        words = " ".join(word.replace(" ", "\\ ").replace("(", "\\(").replace(")", "\\)").replace("|", "\\|")
                         for word in option.choices)  # fmt: skip
        return f":{title}:({words})"
    return f":{title}:{ {FILE: '_files', FOLDER: '_files -/'}.get(str(option.by), ' ') }"


def _colons(text: str) -> str:
    return text.replace(":", "\\:")


def _brackets(text: str) -> str:
    return text.replace("[", "(").replace("]", ")")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def fish(made: argparse.ArgumentParser) -> str:
    """For fish."""
    lines = ["# fish completion of ppl-gen", "complete -c ppl-gen -f"]
    bare = "__fish_use_subcommand"
    lines.append(f"complete -c ppl-gen -n {bare} -s h -l help -d 'show the help'")
    lines.append(f"complete -c ppl-gen -n {bare} -l version -d 'show the version'")
    for command in commands(made):
        lines.append(f"complete -c ppl-gen -n {bare} -a {command.name} -d {_fish(command.words)}")
        here = f"complete -c ppl-gen -n '__fish_seen_subcommand_from {command.name}'"
        for option in command.options:
            names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            lines.append(f"{here} {names}{_taken(option)} -d {_fish(option.words)}")
        for option in command.places:
            lines.append(f"{here}{_taken(option, place=True)}")
    return "\n".join(_once(lines))


def _taken(option: Value, place: bool = False) -> str:
    if not option.title:
        return ""
    if option.choices:
        words = " ".join(f"'{word}'" if "(" in word else word for word in option.choices)
        return f"{'' if place else ' -x'} -a {_fish(words)}"
    if option.by == FILE:
        return " -F" if place else " -r -F"
    if option.by == FOLDER:
        return f"{' -f' if place else ' -x'} -a '(__fish_complete_directories)'"
    return "" if place else " -x"


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _once(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))


SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}

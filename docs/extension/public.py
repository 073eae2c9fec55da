"""What is public, and the page that it stands on: read from `__all__`, so that nothing is forgotten."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import ppl_gen

# Parts of the command line, and what other modules are made of. Nobody imports from them.
INTERNAL = {"__main__", "article", "cli", "comparison", "engine", "tour"}
# Modules without `__all__` that users import from, and what they import: all classes of the one.
OPEN = {"errors": None, "ranks": ["main", "alone", "count"]}


class Entry(NamedTuple):
    """A public name, as users import it, what it means, and the module on whose page it stands."""

    name: str
    value: Any
    home: str

    @property
    def page(self) -> str:
        """The page's document name."""
        short = self.name.rpartition(".")[2]
        return f"models/{slug(short)}" if self.home == "ppl_gen.models" else page_of(self.home)


def slug(model: str) -> str:
    """The name of a model's page.

    >>> slug("SemiSupervisedVAE"), slug("PPCA")
    ('semi_supervised_vae', 'ppca')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", model).lower()


def page_of(module: str) -> str:
    """The document name of a module's page."""
    return f"api/{module.rpartition('.')[2]}"


def modules() -> list[ModuleType]:
    """The modules below the package that users import from, and the package itself, which comes last."""
    names = sorted(module.name for module in pkgutil.iter_modules(ppl_gen.__path__))
    found = (importlib.import_module(f"ppl_gen.{name}") for name in names if name not in INTERNAL)
    public = [m for m in found if hasattr(m, "__all__") or m.__name__.rpartition(".")[2] in OPEN]
    return [*public, ppl_gen]


def exported(module: ModuleType) -> list[str]:
    """The public names of a module, in its own order."""
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    return list(getattr(module, "__all__", None) or OPEN[module.__name__.rpartition(".")[2]] or own)


def entries() -> list[Entry]:
    """Every public thing once: by its shortest name, at home in the first module that exports it.

    A module all of whose names the package exports too has no page: they stand on the package's own.
    """
    found: dict[tuple[str, int], Entry] = {}
    for module in modules():
        top = {n for n in ppl_gen.__all__ if getattr(ppl_gen, n) is getattr(module, n, None)}
        inside = module is not ppl_gen and set(exported(module)) <= top
        for name in exported(module) if not inside else ():
            value = getattr(module, name)
            shown = f"ppl_gen.{name}" if name in top else f"{module.__name__}.{name}"
            found.setdefault((name, id(value)), Entry(shown, value, module.__name__))
    known = {id(entry.value) for entry in found.values()}
    for entry in list(found.values()):
        if (made := returned(entry.value)) and id(made) not in known:
            full = f"{made.__module__}.{made.__name__}"
            found.setdefault((made.__name__, id(made)), Entry(full, made, entry.home))
    return list(found.values())


def returned(value: Any) -> type | None:
    """The class of ours that a public function makes, as its annotation says."""
    made = value.__annotations__.get("return") if inspect.isfunction(value) else None
    return made if inspect.isclass(made) and made.__module__.startswith("ppl_gen.") else None


def index() -> dict[str, Entry]:
    """Every public thing by its full names and its short one.

    Where two share a short name it is the top level's; an estimator leaves it to the model of that name.
    """
    found: dict[str, Entry] = {}
    for entry in sorted(entries(), key=lambda e: (e.name.count("."), e.home == "ppl_gen.estimators")):
        found.setdefault(entry.name.rpartition(".")[2], entry)
        found[entry.name] = entry
        defined = getattr(entry.value, "__module__", None)
        if not inspect.ismodule(entry.value) and isinstance(defined, str) and defined.startswith("ppl_gen"):
            found.setdefault(f"{defined}.{getattr(entry.value, '__qualname__', '')}", entry)
    for module in modules():
        for name in exported(module):
            same = (e for e in found.values() if e.value is getattr(module, name))
            found.setdefault(f"{module.__name__}.{name}", next(same))
    return found


def pages() -> Iterator[tuple[str, str]]:
    """The document name and reStructuredText of every page of the API; models have pages of their own."""
    every = entries()
    homes = [m for m in modules() if any(e.home == m.__name__ for e in every)]
    for module in sorted(homes, key=lambda m: m.__name__):
        own = [e for e in every if e.home == module.__name__]
        listed = [f"ppl_gen.{n}" for n in ppl_gen.__all__] if module is ppl_gen else [e.name for e in own]
        if module is not ppl_gen:
            listed += [
                entry.name
                for entry in every
                if entry not in own and getattr(module, entry.name.rpartition(".")[2], None) is entry.value
                if entry.name.rpartition(".")[2] in exported(module)
            ]
        lines = [module.__name__, "=" * len(module.__name__), ""]
        lines += [f".. automodule:: {module.__name__}", "   :no-members:", ""]
        lines += [
            ".. currentmodule:: None",
            "",
            ".. autosummary::",
            "   :nosignatures:",
            "",
            *(f"   ~{name}" for name in listed),
            "",
        ]
        if module.__name__ != "ppl_gen.models":
            lines += [line for entry in own for line in documented(entry)]
        yield page_of(module.__name__), "\n".join(lines)


def documented(entry: Entry) -> list[str]:
    """The directive that writes an entry from its docstring."""
    short = entry.name.rpartition(".")[2]
    title = [short, "-" * len(short), ""]
    if inspect.ismodule(entry.value):
        return [*title, f"The module :doc:`/{page_of(entry.value.__name__)}`.", ""]
    if inspect.isclass(entry.value) and issubclass(entry.value, Exception):
        return [*title, f".. autoexception:: {entry.name}", "   :show-inheritance:", ""]
    if inspect.isclass(entry.value):
        return [*title, f".. autoclass:: {entry.name}", "   :members:", ""]
    kind = "autofunction" if callable(entry.value) else "autodata"
    return [*title, f".. {kind}:: {entry.name}", ""]

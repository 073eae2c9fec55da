"""Checks of names: which sites the model has, and which the guide."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator

from ppl_gen.linting.effects import childless, forgotten, scored
from ppl_gen.linting.findings import Finding
from ppl_gen.linting.pair import Pair


def twice(pair: Pair) -> Iterator[Finding]:
    """Each name is drawn once."""
    for part, run in pair.runs:
        counts = Counter(s.name for s in run.statements if s.kind != "param")
        for name, count in counts.items():
            if count > 1:
                site = next(s for s in reversed(run.statements) if s.name == name)
                yield Finding(
                    "name-twice",
                    f"the {part} draws {name!r} {count} times in one run: later draws replace earlier ones",
                    f'name each draw, e.g. f"{name}_{{i}}" in a loop, or draw them at once in a pyro.plate',
                    name,
                    site.place,
                )


def missing_in_guide(pair: Pair) -> Iterator[Finding]:
    """The guide draws every latent that is not summed out."""
    if pair.guide is None or not pair.works:
        return
    extra = _extra(pair)
    data = {*misnamed(pair).values(), *forgotten(pair)}  # that are not observed
    for name, site in pair.latents.items():
        if name in data or (not scored(pair.p) and childless(pair, name)):
            continue  # what looks like data is the business of `scoring`
        if name in pair.q.samples or site.enumerated or (site.discrete and site.fn.has_enumerate_support):
            continue  # what could be summed out is the business of `enumeration`
        yield Finding(
            "missing-in-guide",
            f"the guide never draws {name!r}, which the model does{_near(name, extra)}: SVI leaves it at its "
            f"prior",
            f'draw it in the guide: pyro.sample("{name}", …)',
            name,
            site.place,
        )


def misnamed(pair: Pair) -> dict[str, str]:
    """Names to which pyro.condition attaches data, and which the model never draws; each with the nearest."""
    absent = sorted(pair.p.attached - pair.p.samples.keys()) if pair.p.error is None else []
    return {name: next(iter(_close(name, pair.latents)), "") for name in absent}


def attached(pair: Pair) -> Iterator[Finding]:
    """The model draws what data are attached to."""
    for name, near in misnamed(pair).items():
        names = ", ".join(map(repr, list(pair.latents)[:5]))
        yield Finding(
            "condition-misnamed",
            f"pyro.condition holds data for {name!r}, and the model draws no such site"
            + (f" (misspelt? it draws {near!r})" if near else f": it draws {names}")
            + ": the data are never seen",
            f'name them as the model does: pyro.condition(model, data={{"{near or "…"}": …}})',
            near or name,
            pair.p.samples[near].place if near else "",
        )


def missing_in_model(pair: Pair) -> Iterator[Finding]:
    """The model draws every site of the guide."""
    if not pair.works:
        return
    absent = [name for name in pair.latents if name not in pair.q.samples]
    for name in _extra(pair):
        yield Finding(
            "missing-in-model",
            f"the guide draws {name!r}, which the model does not{_near(name, absent)}",
            "name it as the model does; a guide's parameters are pyro.param, and its own auxiliary draws are "
            'marked infer={"is_auxiliary": True}',
            name,
            pair.q.samples[name].place,
        )


def drawn_data(pair: Pair) -> Iterator[Finding]:
    """The guide draws nothing that the model observes."""
    for name, site in pair.q.samples.items():
        seen = pair.p.samples.get(name)
        if name in pair.observed:
            continue  # a value there, and no random choice
        if seen is not None and seen.observed and not site.observed and not seen.deterministic:
            yield Finding(
                "guide-draws-data",
                f"the guide draws {name!r}, which the model observes",
                "leave it out of the guide; an automatic guide is made of the model with its data, "
                "AutoNormal(model), and called with the same arguments",
                name,
                site.place,
            )


def observed_in_guide(pair: Pair) -> Iterator[Finding]:
    """The guide observes nothing."""
    for name, site in pair.q.samples.items():
        if site.observed and not site.deterministic:
            yield Finding(
                "observed-in-guide",
                f"the guide observes {name!r} (obs=…): that term does not belong to q",
                "leave out obs= in the guide: data are the model's; the guide may look at them as arguments",
                name,
                site.place,
            )


def unsteady(pair: Pair) -> Iterator[Finding]:
    """Two runs from one seed have the same names."""
    for part, run in pair.runs:
        if run.error is not None or (part == "guide" and pair.automatic):
            continue
        clamped = pair.q.values if part == "model" else None
        again = pair.run(part, clamped)
        for kind in ("samples", "params"):
            before, after = getattr(run, kind), getattr(again, kind)
            for name in sorted(before.keys() - after.keys())[:1]:
                yield Finding(
                    "unsteady-name",
                    f"the {part} names {name!r} anew in each run: nothing is learned under a name that never "
                    f"comes back",
                    "use names that are the same in every run: no counters, times, hashes or uuids in them",
                    name,
                    before[name].place,
                )


def _extra(pair: Pair) -> list[str]:
    return [
        name
        for name, s in pair.q.samples.items()
        if name not in pair.p.samples and not s.infer.get("is_auxiliary") and not s.deterministic
    ]


def _near(name: str, names: Iterable[str]) -> str:
    close = _close(name, names)
    return f" (misspelt? it has {close[0]!r})" if close else ""


def _close(name: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    return [n for n in names if n.lower() == name.lower()] or difflib.get_close_matches(name, names, 1, 0.6)


CHECKS = (twice, attached, missing_in_guide, missing_in_model, drawn_data, observed_in_guide, unsteady)

"""Third chapter: what can be asked."""

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ppl_gen.article import Section, Table
from ppl_gen.ask import ask
from ppl_gen.errors import DataError, NotGenerated, PplGenError, UnknownVariable
from ppl_gen.fit import fit
from ppl_gen.inference import SVI
from ppl_gen.models import LogisticRegression
from ppl_gen.notation import read_question
from ppl_gen.posterior import Posterior
from ppl_gen.tour.workshop import Workshop, codes_of

QUESTIONS = (
    ("classify a row", "p(y | x)", False),
    ("… half of its features missing", "p(y | x)", True),
    ("generate or score a row of a class", "p(x | y)", False),
    ("is this row unusual?", "p(x)", False),
    ("… half of its features missing", "p(x)", True),
    ("generate or score row and class", "p(x, y)", False),
    ("which hidden cause?", "p(z | x)", False),
    ("what follows from a cause?", "p(x | z)", False),
    ("what is known of the means?", "p(mu)", False),
    ("what is known of the weights?", "p(w)", False),
)


def questions(w: Workshop) -> Section:
    """What each model can and cannot be asked, by asking."""
    train, test = w.wines
    method = SVI(steps=w.budget.regression_steps, learning_rate=0.1, seed=w.seed)
    regression = fit(LogisticRegression(classes=3, features=13), method, x=train.x, y=train.y)
    some = w.pixels["test"].x[:20].float()
    wines = {"x": test.x, "y": test.y}
    parts = {"x": test.x, "z": ask(w.unlabelled, "p(z | x)", x=test.x).mode}
    codes = {"x": some, "z": codes_of(w.vae, some)}
    models = ((w.labelled, wines), (regression, wines), (w.unlabelled, parts), (w.vae, codes))
    names = [type(posterior.model).__name__ for posterior, _ in models]
    rows, said, answered = [], [], dict.fromkeys(names, 0)
    for words, question, gaps in QUESTIONS:
        cells = []
        for name, (posterior, values) in zip(names, models, strict=True):
            mark, short, full = _reply(posterior, question, _half_missing(values) if gaps else values)
            cells.append(f"{mark}\u00a0{short}".strip())
            said.append((name, f"`{question}`" + (" with gaps" if gaps else ""), f"{mark} {full}"))
            answered[name] += mark == "✓"
        rows.append((f"`{question}`\n{words}", *cells))
    nb, lr = answered["GaussianNaiveBayes"], answered["LogisticRegression"]
    refusal = next(full for name, question, full in said if name == names[1] and "p(x |" in question)
    return Section(
        f"Of {len(rows)} questions, naive Bayes answers {nb} and logistic regression {lr}",
        [
            "A discriminative model spends everything on one conditional; a generative one can be asked "
            "for any other. Each question below was really asked of each fitted model. An answer says "
            "how it was obtained, and what cannot be answered is refused by name: of a row of a class, "
            f"logistic regression says “{refusal.removeprefix('✗ ').split(': ', 1)[1]}”",
            Table(
                ("question", *(_spaced(name) for name in names)),
                rows,
                "✓ answered, and how: exact, by formula; enumerated, summed over the classes; posterior "
                "average, over draws of the parameters; importance sampled, over weighted draws of the "
                "guide; guide, read off it. A warning: a few draws carry most of the weight. ✗ refused, and "
                "why; – refused, for this joint has no such variable. The VAE was asked about digits, the "
                "others about wines.",
            ),
            Table(
                ("model", "question", "answer or refusal"),
                said,
                "The name before a refusal is that of the error to catch. k-hat tells how heavily an average "
                "leans on its largest weights: below 0.7 it can be trusted.",
                fold="Every reply in full",
            ),
        ],
    )


def _reply(posterior: Posterior, question: str, values: Mapping[str, Tensor]) -> tuple[str, str, str]:
    """A mark, the answer's origin or the refusal's name, and all that was said."""
    left, right = read_question(question)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = ask(posterior, question, **{name: values.get(name, torch.zeros(1)) for name in right})
            if values.keys() >= set(left):
                answer.log_prob(**{name: values[name] for name in left})
            elif left[0] in posterior.parameters:
                _ = answer.mean
            else:
                _ = answer.probs
        except UnknownVariable as error:
            return "–", "", f"UnknownVariable: {error}"
        except PplGenError as error:
            return "✗", f"refused: {_reason(error, left, right)}", f"{type(error).__name__}: {error}"
    said = [f"{w.category.__name__}: {w.message}" for w in caught]
    short = answer.how.split(" (")[0].split(" q(")[0]
    return "✓", f"{short}, with a warning" if said else short, ". ".join([answer.how, *said])


def _reason(error: PplGenError, left: Sequence[str], right: Sequence[str]) -> str:
    """Why, in a few words; the error says it in full."""
    if isinstance(error, NotGenerated):
        return f"{next((name for name in left if repr(name) in str(error)), left[0])} is given"
    if isinstance(error, DataError):
        return f"needs all of {right[0] if right else left[0]}"
    return _spaced(type(error).__name__).lower()


def _half_missing(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    x = values["x"].clone()
    x[:, ::2] = torch.nan
    return {**values, "x": x}


def _spaced(name: str) -> str:
    """CamelCase as words, so that it can be broken over lines."""
    return "".join(f" {c}" if c.isupper() and i and not name.isupper() else c for i, c in enumerate(name))

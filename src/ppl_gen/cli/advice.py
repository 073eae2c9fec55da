"""What errors and warnings advise in Python, said as a step on the command line."""

import re
import shlex
from collections.abc import Callable

METHODS = {
    "Exact": "exact", "MaximumLikelihood": "ml", "EM": "em", "VariationalBayes": "vb", "SVI": "svi",
    "MAP": "map", "Laplace": "laplace", "NUTS": "nuts", "CrossValidation": "cv",
}  # fmt: skip
OPTIONS = ("steps", "learning_rate", "batch_size", "draws", "seed")
_SETTING = r"\b(loc|strength|precision|rate|scatter|shape|scale|bandwidth|noise)=(…|(?=[,);.\s]|$))"
Said = str | Callable[[re.Match[str]], str]
SAID: tuple[tuple[str, Said], ...] = (  # a pattern of Python's advice, and the same on the command line
    (r",? ?priors=(?=\))", ""),
    (
        r"Standardise them \(Dataset\.standardized\(\), or .*? / (?:\w+\.std\(0\)|numpy\.nanstd\(\w+, 0\))\)",
        "Standardise these columns in the file (take off the mean, divide by the standard deviation)",
    ),
    (r", or pass a prior of their size \(\)", ""),
    (r"or pass a prior of their size \((.*)\)", r"or give the model a prior of their size: \1"),
    (r" \(an input of a discriminative model: fill missing cells first\)",
     ": a model that is given x needs all of it. Fill the empty cells in the file, leave their column out by "
     "--drop, or take a model that generates x, such as GaussianNaiveBayes"),
    (r" \(no \w+\(\)\)", ""),
    (r" The error's \.posterior holds the last good state\.", ""),
    (r"\blearning_rate\b(?!=)", "--learning-rate"),
    (r"Pass [\w]+=…(?:,)? or use", "Use"),
    (r"fit\(posterior, SVI\(steps=(\d+)\), …\) goes on from here", r"fit again with --steps \1"),
    (r"(?:from ppl_gen\.distributions, )?use Categorical\(levels\) or Binomial\(levels\) for grey levels, "
     r"Gaussian\(\) for real numbers",
     "--set 'likelihood=Categorical(LEVELS)' or 'likelihood=Binomial(LEVELS)' for grey levels, "
     "--set likelihood=Gaussian for real numbers"),
    (r"binarise, x = \(x > threshold\)", "write 0 or 1 into the file"),
    (r", or a sure bound, LowerBound\(\)", ""),
    (r"Importance\(draws=…\)", "--draws N"),
    (r"(SVI\(\)) with a guide of it", r"\1"),
    (r"EM\(prior=True\)", "--method vb"),
    (r"\(restarts=, or more chains, look further\)", "(fits with another --seed look further)"),
    (r"MaximumLikelihood\(smoothing=…\) above [-\d.e]+ mends all but a constant feature, and "
     r"Exact\(\) needs none of this", "Leave that column out by --drop, or take a method with a "
     "prior (--method exact; --method vb where labels are hidden)"),
    (r"ask about one, or use \.log_prob", "ask about one, or name a file of rows to score"),
    (r", as with pandas\.qcut\(.*?\]\)", ""),
    (r"leave it out: columns_of\(frame, \*\*\{(['\"])(.*?)\1: None\}\)",
     lambda name: f"leave it out: --drop {shlex.quote(name[2])}"),
    (r"save did not write this file", "this is no posterior: expected a file that ppl-gen fit wrote"),
    (r"take fewer dimensions\b", "take fewer dimensions (--set latent=N)"),
    (r"[Tt]ake fewer components\b", "Take fewer components (--set components=N)"),
    (r"(?<!data )\brow (\d+)\b", lambda row: f"data row {int(row[1]) + 1}"),  # counted from 0 in Python
    (r" at \[(\d+), (\d+)\]", lambda at: f" in data row {int(at[1]) + 1}, column {int(at[2]) + 1} of x"),
    (r"^(y: .*?) at \[(\d+)\]", lambda at: f"{at[1]} in data row {int(at[2]) + 1}"),
    (r"[Dd]rop it\b|[Ll]eave the feature out\b", "leave it out by --drop"),
)  # fmt: skip


def in_options(words: str) -> str:
    """The same advice for someone who is at a command line.

    >>> in_options("it declares no closed form of its posterior (no updated()). Use SVI(steps=500).")
    'it declares no closed form of its posterior. Use --method svi --steps 500.'
    >>> in_options("Leave the feature out, or pass numbers, bandwidth=…")
    'leave it out by --drop, or pass numbers, --set bandwidth=VALUE'
    """
    for pattern, said in SAID:
        words = re.sub(pattern, said, words)
    words = re.sub(rf"\b({'|'.join(METHODS)})\(([^()]*)\)", _method, words)
    return re.sub(_SETTING, r"--set \1=VALUE", words)


def _method(call: re.Match[str]) -> str:
    options = re.findall(r"(\w+)=([\w.]+)", call[2])
    chosen = [f" --{name.replace('_', '-')} {value}" for name, value in options if name in OPTIONS]
    return f"--method {METHODS[call[1]]}{''.join(chosen)}"

"""Who is ahead where, in words."""

import pytest

from ppl_gen.laboratory.words import lead


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        ("....", "it is too close to call at every size"),
        ("nnnn", "naive Bayes is ahead at every size"),
        ("..ll", "logistic regression is ahead from 32 rows on; with fewer it is too close to call"),
        ("nn..", "naive Bayes is ahead from 8 to 16 rows; with more it is too close to call"),
        ("nnll", "naive Bayes is ahead from 8 to 16 rows, logistic regression from 32 rows on"),
        (
            "n.ll",
            "naive Bayes is ahead at 8 rows, logistic regression from 32 rows on; in between it is too close "
            "to call",
        ),
        (".nn.", "naive Bayes is ahead from 16 to 32 rows; elsewhere it is too close to call"),
        ("n.n.", "naive Bayes is ahead at 8 rows and at 32 rows; elsewhere it is too close to call"),
        ("...l", "logistic regression is ahead at 64 rows; with fewer it is too close to call"),
    ],
)
def test_who_is_ahead_is_told_from_the_numbers(ahead, said):
    names = {".": "", "n": "naive Bayes", "l": "logistic regression"}
    assert lead("error", (8, 16, 32, 64), [names[c] for c in ahead]) == f"In error, {said}"

"""The command from end to end: what its report says equals an independent computation."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression as Reference

from ppl_gen.__main__ import main
from ppl_gen.comparison.measures import BASELINE, Estimate, HeldOut, frequencies, hold_out, mean_of
from ppl_gen.comparison.page import score_table
from ppl_gen.comparison.pair import LR, NB, Design, Pair
from ppl_gen.comparison.reading import read_table
from ppl_gen.comparison.reasons import correlations, disagreement, evidence, example, rests_on_gaps
from ppl_gen.comparison.run import sizes_of
from ppl_gen.comparison.study import prepare
from ppl_gen.comparison.verdict import Measured, Verdict
from ppl_gen.laboratory import LearningCurves


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    """Iris with gaps, a category and a boolean target's kin, as a file of semicolons."""
    frame = load_iris(as_frame=True).frame
    frame["species"] = frame.pop("target").map({0: "setosa", 1: "versicolor", 2: "virginica"})
    frame["wide"] = np.where(frame["sepal width (cm)"] > 3, "yes", "no")
    rng = np.random.default_rng(0)
    for name in frame.columns.drop("species"):
        frame[name] = frame[name].astype(object).where(rng.random(len(frame)) > 0.05)
    path = tmp_path_factory.mktemp("flowers") / "iris.csv"
    frame.to_csv(path, sep=";", index=False)
    return path


@pytest.fixture(scope="module")
def study(flowers):
    frame, notes = read_table(flowers)
    return prepare(frame, "species", notes=notes)


# The two sides ----------------------------------------------------------------------------------------------


def test_naive_bayes_sums_missing_cells_out(study):
    train, test = study.data.split(0.3, seed=1)
    side = Pair(study.encoder).naive_bayes(train)
    alone = side.cells(test.x)
    by_hand = (side.log_prior() + alone.sum(1)).log_softmax(1)  # a missing cell's factor is 1
    torch.testing.assert_close(side(test), by_hand, rtol=1e-10, atol=1e-10)
    assert bool((alone[test.x.isnan()] == 0).all())


def test_logistic_regression_is_the_penalised_maximum(study):
    train, test = study.data.split(0.3, seed=1)
    design = Design.of(study.encoder, train.x)
    x = design(train.x)
    sd = x.std(0, correction=0)

    def units(z):
        return (z - x.mean(0)) / torch.where(sd > 1e-12, sd, 1.0)

    ones = torch.ones(len(train), 1).double()  # the intercept has the same prior as the weights
    reference = Reference(C=1.0, fit_intercept=False, tol=1e-10, max_iter=10_000)
    reference.fit(torch.cat([ones, units(x)], 1), train.y)
    expected = reference.predict_log_proba(torch.cat([ones[: len(test)], units(design(test.x))], 1))
    found = Pair(study.encoder).logistic_regression(train)(test)
    torch.testing.assert_close(found, torch.as_tensor(expected), rtol=1e-4, atol=1e-4)


def test_l_bfgs_ends_where_newton_does(study, monkeypatch):
    train, test = study.data.split(0.3, seed=1)
    newton = Pair(study.encoder).logistic_regression(train)(test)
    monkeypatch.setattr("ppl_gen.comparison.pair.MANY", 10)
    torch.testing.assert_close(
        Pair(study.encoder).logistic_regression(train)(test), newton, rtol=1e-4, atol=1e-4
    )


def test_the_design_looks_at_training_rows_only(study):
    train, test = study.data.split(0.3, seed=1)
    design = Design.of(study.encoder, train.x)
    x = design(train.x)
    assert not x.isnan().any()
    assert not design(test.x).isnan().any()
    assert x.shape[1] == len(design.names(study.encoder)) == 4 + 2 + int(train.x.isnan().any(0).sum())
    torch.testing.assert_close(x[:, :4].mean(0), torch.zeros(4).double(), atol=1e-12, rtol=0)
    far = test.x + torch.tensor([100.0, 0, 0, 0, 0])  # moves no statistic
    expected = torch.zeros_like(design(test.x))
    expected[:, 0] = torch.where(far[:, 0].isnan(), 0.0, 100 / design.sd[0])
    torch.testing.assert_close(design(far) - design(test.x), expected)


# What is measured -------------------------------------------------------------------------------------------


def test_every_row_is_predicted_once_by_fits_that_had_not_seen_it(study):
    seen = []

    def learner(train):
        seen.append(train)
        return lambda test: torch.full((len(test), 3), 1 / 3).double().log()

    held = hold_out({NB: learner, LR: learner}, study.data, folds=4)
    assert held.rows.sort().values.tolist() == list(range(150))
    torch.testing.assert_close(held.y, study.data.y[held.rows])
    assert [len(train) for train in seen[::2]] == [112, 112, 113, 113]
    one = hold_out({NB: learner, LR: learner}, study.data, whole=100, most=30)
    assert (len(one.rows), one.folds, one.training) == (30, 1, 120)


def test_intervals_are_students():
    values = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    low, high = stats.t.interval(0.95, 4, loc=0.6, scale=stats.sem(values.numpy()))
    found = mean_of(values)
    assert (found.value, found.low, found.high) == pytest.approx((0.6, low, high))


@pytest.mark.parametrize(("low", "high", "sign"), [(0.1, 0.3, 1), (-0.3, -0.1, -1), (-0.1, 0.1, 0)])
def test_sign_of_an_estimate(low, high, sign):
    assert Estimate((low + high) / 2, low, high).sign == sign


def test_correlations_within_a_class_are_those_of_numpy(study):
    data = study.data
    found = {(a, b): r for a, b, r, _ in correlations(study.encoder, data)}
    both = ~data.x[:, :2].isnan().any(1)
    x, y = data.x[both][:, :2], data.y[both]
    centred = torch.cat([x[y == k] - x[y == k].mean(0) for k in range(3)])
    pair = (data.features[0], data.features[1])
    assert found[pair] == pytest.approx(abs(np.corrcoef(centred.T.numpy())[0, 1]), abs=1e-9)
    assert found[data.features[1], "wide"] > 0.6  # of which the category was made


def test_evidence_is_the_mutual_information_of_a_coin():
    import pandas as pd

    n = 4000
    y = np.arange(n) % 2
    told = np.where(np.arange(n) // 2 % 4 == 0, 1 - y, y)  # right in three of four rows
    frame = pd.DataFrame({"told": told.astype(str), "noise": (np.arange(n) // 8 % 2).astype(str), "y": y})
    study = prepare(frame, "y", types={"told": "categorical", "noise": "categorical"})
    found = evidence(Pair(study.encoder).naive_bayes(study.data), study.data)
    information = np.log(2) + 0.75 * np.log(0.75) + 0.25 * np.log(0.25)
    assert [name for name, _ in found] == ["told", "noise"]
    assert found[0][1].value == pytest.approx(information, abs=1e-3)  # one pseudo-row in 2,000
    assert found[1][1].value == pytest.approx(0, abs=1e-3)


def test_disagreement_counts():
    def sure(k):
        return [0.98 if j == k else 0.01 for j in range(3)]

    nb = torch.tensor([sure(0), sure(1), sure(2), [0.5, 0.4, 0.1]], dtype=torch.float64).log()
    lr = torch.tensor([sure(0), sure(2), sure(1), [0.4, 0.5, 0.1]], dtype=torch.float64).log()
    y = torch.tensor([0, 1, 1, 2])
    found = disagreement(HeldOut(torch.arange(4), y, {NB: nb, LR: lr}, 10, 1))
    assert (found.rows, found.differ, found.first, found.second, found.strongest) == (4, 3, 1, 1, [1, 2, 3])


@pytest.mark.slow
def test_calibration_errors_have_intervals_about_them():
    """That of what as many rows give on average, which resampled rows alone overshoot."""
    g = torch.Generator().manual_seed(0)
    n, trials, values, covered = 300, 40, [], []
    for trial in range(trials):
        p = 0.5 + 0.5 * torch.rand(n, generator=g, dtype=torch.float64)
        y = (torch.rand(n, generator=g, dtype=torch.float64) > p).long()
        right = torch.stack([p, 1 - p], 1).log()
        over = torch.stack([p**0.5, 1 - p**0.5], 1).log()
        each, apart = HeldOut(torch.arange(n), y, {NB: over, LR: right}, 9, 1).calibration_errors(trial)
        for side in (NB, LR):
            assert each[side].low < each[side].value < each[side].high
            assert each[side].low >= 0
        values.append((each[NB].value, each[LR].value, apart.value))
        covered.append([(e.low, e.high) for e in (each[NB], each[LR], apart)])
    truth = torch.tensor(values).mean(0)
    for k in range(3):
        misses = sum(not low <= truth[k] <= high for low, high in (row[k] for row in covered))
        assert misses <= stats.binom.isf(1e-6, trials, 0.1)  # the bootstrap is approximate


def test_an_example_is_explained_against_the_class_of_the_other_side(study):
    data = study.data
    side = Pair(study.encoder).naive_bayes(data[:140])
    nb = side(data)
    for there in (1, 2):
        rivals = nb.argsort(1, descending=True)
        lr = torch.full_like(nb, 0.1).scatter(1, rivals[:, there : there + 1], 0.8).log()
        held = HeldOut(torch.arange(150), data.y, {NB: nb, LR: lr}, 140, 1)
        found = example(side, held, data, [145, 146])
        assert found.place == 145
        assert found.why.chosen == data.classes[int(rivals[145, 0])]
        assert found.why.rival == data.classes[int(rivals[145, there])]
        assert found.why.total == pytest.approx(float(nb[145, rivals[145, 0]] - nb[145, rivals[145, there]]))
    assert example(side, HeldOut(held.rows, held.y, {NB: lr, LR: nb}, 140, 1), data, [145]) is None


def test_decisions_that_rest_on_missing_cells_are_found():
    import pandas as pd

    g = np.random.default_rng(0)
    y = np.repeat(["a", "b"], 200)
    frame = pd.DataFrame({name: g.normal(size=400) + np.where(y == "a", -1, 1) for name in ("gone", "kept")})
    frame.loc[:99, "gone"] = np.nan  # only ever in class a
    frame.loc[[0, 1, 399], "kept"] = (0.5, -3.0, -3.0)
    study = prepare(frame.assign(y=y), "y")
    data, learner = study.data, Pair(study.encoder).logistic_regression
    side = learner(data)
    assert [said(data.x[:2]).argmax(1).tolist() for said in (side.log_probs, side.ignoring_gaps)] == [
        [0, 0],
        [1, 0],  # the cell that is there speaks for b in the first row, for a in the second
    ]
    torch.testing.assert_close(side.ignoring_gaps(data.x[100:]), side.log_probs(data.x[100:]))
    held = HeldOut(torch.arange(400), data.y, {NB: side(data), LR: side(data)}, 400, 1)
    found = rests_on_gaps(learner, held, data, [0, 1, 399])
    assert [(gap.place, gap.columns, gap.otherwise) for gap in found] == [(0, ("gone",), 1)]
    other = HeldOut(held.rows, held.y, {NB: side(data), LR: side(data).flip(1)}, 400, 1)
    assert not rests_on_gaps(learner, other, data, [0])  # this fit does not decide as the one told of


def test_sizes_grow_from_few_rows_to_all_that_are_not_held_out():
    for rows, classes in ((20, 2), (150, 3), (30, 8), (10**6, 20)):
        sizes, held_out = sizes_of(rows, classes)
        assert list(sizes) == sorted(set(sizes))
        assert classes <= sizes[0] <= sizes[-1] <= rows - held_out


# What is said -----------------------------------------------------------------------------------------------


def curves(nb, lr):
    """Learning curves whose means are these, over four repeats that hardly vary."""
    wobble = torch.tensor([-1e-3, 1e-3, 0, 0]).double()[:, None]
    score = torch.stack([torch.tensor(mean).double() + wobble * sign for mean, sign in ((nb, 1), (lr, -1))])
    return LearningCurves((NB, LR), (10, 100, 1000), score, score, score, {}, "toy", "as is", 50, 0)


def measured(nb, lr, loss_nb=0.0, loss_lr=0.0):
    """Scores of 400 rows whose errors are these shares, and whose probabilities are as given."""
    y = torch.zeros(400, dtype=torch.long)

    def side(share, more):
        p = torch.full((400,), 0.9 - more).double()
        p[: round(400 * share)] = 0.1 + more
        return torch.stack([p, 1 - p], 1).log()

    return Measured.of(HeldOut(torch.arange(400), y, {NB: side(nb, loss_nb), LR: side(lr, loss_lr)}, 3600, 1))


LEVEL = curves([0.3, 0.2, 0.1], [0.3, 0.2, 0.1])


def test_verdicts():
    assert Verdict.of(measured(0.3, 0.1), LEVEL).headline == f"Pick {LR}"
    assert Verdict.of(measured(0.1, 0.3), LEVEL).headline == f"Pick {NB}"
    assert Verdict.of(measured(0.2, 0.2), LEVEL).headline == "Too close to call"
    assert Verdict.of(measured(0.2, 0.2), LEVEL).pick == ""
    leaning = curves([0.3, 0.2, 0.1], [0.3, 0.2, 0.05])
    assert Verdict.of(measured(0.2, 0.2), leaning).headline == f"Too close to call, with a lean to {LR}"
    split = Verdict.of(measured(0.10, 0.02, loss_nb=0.0, loss_lr=0.3), LEVEL)
    assert split.headline == f"To decide, pick {LR}; for probabilities, {NB}"
    assert split.pick == "both"


def test_no_error_is_below_zero():
    rare = measured(0.0025, 0.0).each["error"][NB]  # one row in 400: Student's interval alone would be
    assert (rare.value, rare.low) == (0.0025, 0.0)
    assert rare.high > rare.value


def test_a_lead_of_the_curves_is_reconciled_with_a_verdict_that_is_open():
    leaning = curves([0.3, 0.2, 0.1], [0.3, 0.2, 0.05])
    said = Verdict.of(measured(0.2, 0.2), leaning).change
    assert f"That lead of {LR} is one on these very rows: the curves average 4 splits of them" in said
    assert "leave it open who is ahead in error and log loss." in said
    assert "That lead" not in Verdict.of(measured(0.3, 0.1), leaning).change
    assert "That lead" not in Verdict.of(measured(0.2, 0.2), LEVEL).change


@pytest.mark.parametrize("seed", range(20))
def test_the_sums_of_the_page_come_out(seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (344,), generator=g)
    said = {s: torch.randn(344, 3, generator=g).double().log_softmax(1) for s in (NB, LR)}
    scores = Measured.of(HeldOut(torch.arange(344), y, said, 310, 1))

    def number(text):
        return round(float(text.splitlines()[0].replace("−", "-").removesuffix("\N{NO-BREAK SPACE}%")), 3)

    for _, _, nb, lr, difference in score_table(scores).rows:
        assert number(difference) == pytest.approx(number(nb) - number(lr), abs=1e-9)
    _, _, *over = score_table(scores).rows[2]
    for side, cell in zip((NB, LR), over[:2], strict=True):
        right = 100 * (1 - scores.value("error", side))
        assert number(cell) == pytest.approx(100 * scores.confidence(side) - right, abs=1e-9)


def test_a_verdict_says_when_it_would_change():
    crossing = Verdict.of(measured(0.3, 0.1), curves([0.2, 0.2, 0.2], [0.3, 0.2, 0.1])).change
    said = (
        "naive Bayes is ahead with few rows and logistic regression with more: the curves cross at about 100"
    )
    assert f"in error and log loss, {said} rows" in crossing
    none = Verdict.of(measured(0.3, 0.1), curves([0.3, 0.2, 0.2], [0.2, 0.1, 0.1])).change
    assert "logistic regression is ahead wherever one is, from 10 to 1,000 training rows; no crossing" in none
    assert "nobody is clearly ahead from 10 to 1,000" in Verdict.of(measured(0.3, 0.1), LEVEL).change
    assert none.endswith("More than 3,600 training rows were not measured.")


def test_the_report_says_what_was_measured(flowers, study, tmp_path, capsys):
    out = tmp_path / "report.html"
    out.write_text("an older report")
    torch.manual_seed(3)
    before = torch.get_rng_state(), torch.get_num_threads()
    assert (
        main(["compare", str(flowers), "--target", "species", "--out", str(out), "--quick", "--seed", "4"])
        == 0
    )
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    said = capsys.readouterr()
    assert said.err == ""  # no bar without a terminal
    page = out.read_text(encoding="utf-8")
    held = hold_out(Pair(study.encoder).learners, study.data, folds=5, seed=4)
    wrong = {s: held.log_probs[s].argmax(1).numpy() != held.y.numpy() for s in (NB, LR)}
    difference = stats.t.interval(0.95, 149, *(f(1.0 * wrong[NB] - wrong[LR]) for f in (np.mean, stats.sem)))
    low, high = (f"{100 * end:z.1f}".replace("-", "−") for end in difference)
    nb, lr = (f"{100 * wrong[side].mean():.1f}\N{NO-BREAK SPACE}%" for side in (NB, LR))
    sentence = (
        "Each of the 150 rows was predicted by fits to about 120 others: naive Bayes is wrong in "
        f"{nb} and logistic regression in {lr} "
    )
    assert sentence in page
    assert f"95 % interval {low} to {high}" in page
    flat = re.sub(r"\s+", " ", said.out)
    assert re.sub(r"\s+", " ", sentence).strip() in flat
    assert "cells are separated by a semicolon" in page.lower()
    assert "categorical" in said.out
    assert max(map(len, said.out.splitlines())) <= 100 + len(str(out))
    assert page.count('role="img"') >= 6  # four figures and two graphs, each with words
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?:https?:)?//|>nan<|None|<script""", page)
    assert "MixedNaiveBayes" in page
    assert "LogisticRegression" in page


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report(flowers, tmp_path):
    pages = []
    for name in "ab":
        assert (
            main(["compare", str(flowers), "--target", "species", "--out", str(tmp_path / name), "--quick"])
            == 0
        )
        pages.append(re.sub(r"Measured in [\d,]+ seconds", "", (tmp_path / name).read_text()))
    assert pages[0] == pages[1]


# What is refused --------------------------------------------------------------------------------------------


def test_mistakes_end_with_2_and_no_traceback(flowers, tmp_path, capsys):
    out = tmp_path / "report.html"
    out.write_text("an older report")
    given = ["compare", str(flowers), "--out", str(out), "--quick"]
    for more, message in (
        (["--target", "Species"], "no column 'Species'; .* Did you mean 'species'?"),
        (["--target", "sepal width (cm)"], "is a quantity"),
        (["--target", "species", "--types", "wide=round"], "--types wide: expected gaussian"),
        (["--target", "species", "--types", "species=gaussian"], "--types: 'species' is the target"),
        (["--target", "species", "--drop", "petals"], "--drop: no column 'petals'"),
    ):
        assert main([*given, *more]) == 2
        said = capsys.readouterr()
        assert re.fullmatch(rf"ppl-gen: .*{message}.*\n", said.err), said.err
        assert said.out == ""
    assert main(["compare", str(tmp_path / "none.csv"), "--target", "y", "--out", str(out)]) == 2
    assert "none.csv: no such file" in capsys.readouterr().err
    assert out.read_text() == "an older report"


@pytest.mark.parametrize(
    "options", [["--types", "wide"], ["--repeats", "1"], ["--repeats", "x"], ["--seed", "-1"], []]
)
def test_bad_options(flowers, capsys, options):
    with pytest.raises(SystemExit, match="2"):
        main(["compare", str(flowers), *(["--target", "species"] if options else []), *options])
    assert "usage: ppl-gen compare" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["", "none/report.html"])
def test_a_report_that_cannot_be_written_is_refused_before_the_work(flowers, tmp_path, capsys, out):
    assert main(["compare", str(flowers), "--target", "species", "--out", str(tmp_path / out)]) == 2
    said = capsys.readouterr()
    assert re.fullmatch(r"ppl-gen: cannot write to .*\n", said.err)
    assert said.out == ""


def test_ctrl_c_leaves_the_old_report(flowers, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    out = tmp_path / "report.html"
    out.write_text("an older report")
    monkeypatch.setattr("ppl_gen.comparison.run.hold_out", interrupted)
    monkeypatch.setattr("ppl_gen.comparison.run.learning_curves", lambda *_, **__: None)
    assert main(["compare", str(flowers), "--target", "species", "--out", str(out)]) == 130
    assert capsys.readouterr().err == "ppl-gen: stopped by Ctrl-C\n"
    assert out.read_text() == "an older report"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_as_a_program_with_warnings_as_errors(tmp_path):
    (tmp_path / "bad.csv").write_text("a,b\n1,2,3\n")
    program = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "ppl_gen",
        "compare",
        str(tmp_path / "bad.csv"),
        "--target",
        "b",
    ]
    done = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(
        "bad.csv: line 2 has 3 cells, the first line 2. Quote cells that hold a comma.\n"
    )


# No columns -------------------------------------------------------------------------------------------------


def test_the_baseline_is_the_training_frequencies(study):
    train, test = study.data[:70], study.data[70:]  # 50 of the first class, 20 of the second
    counts = np.array([51, 21, 1])
    expected = torch.tensor(np.log(counts / counts.sum())).expand(len(test), 3)
    torch.testing.assert_close(frequencies(train)(test), expected)
    held = hold_out(Pair(study.encoder).learners, study.data, folds=5)
    alone = Measured.of(held)
    assert alone.each["error"][BASELINE].value == pytest.approx(2 / 3)
    assert alone.each["log loss"][BASELINE].value == pytest.approx(np.log(3), abs=1e-3)
    for side in (NB, LR):
        loss = held.log_loss(side) - held.log_loss(BASELINE)
        low, high = stats.t.interval(0.95, 149, loc=loss.mean(), scale=stats.sem(loss))
        found = alone.over["log loss"][side]
        assert (found.low, found.high) == pytest.approx((low, high))
    assert alone.better("error") == alone.better("log loss") == [NB, LR]
    assert alone.tells
    assert Verdict.of(alone, LEVEL).evidence.endswith("nats; both sides are better.")


def with_baseline(nb, lr, alone):
    """Scores of 400 rows of two classes, the true one of which each side gives these probabilities."""
    p = torch.stack([torch.full((400,), each).double() for each in (nb, lr, alone)])
    p += torch.linspace(-0.05, 0.05, 400).double()
    said = {n: torch.stack([q, 1 - q], 1).log() for n, q in zip((NB, LR, BASELINE), p, strict=True)}
    return Measured.of(HeldOut(torch.arange(400), torch.zeros(400, dtype=torch.long), said, 3600, 1))


def test_columns_that_tell_nothing_get_no_pick():
    useless = with_baseline(0.6, 0.65, 0.7)
    found = Verdict.of(useless, LEVEL, "colour")
    assert (found.pick, found.headline) == ("neither", "Neither: these columns do not tell colour")
    both = "not clearly better: naive Bayes and logistic regression in"
    assert f"{both} error, naive Bayes and logistic regression in log loss." in found.evidence
    assert (
        "the class frequencies alone are wrong in 0.0\N{NO-BREAK SPACE}%, their log loss 0.358 nats"
        in found.evidence
    )
    one = Verdict.of(with_baseline(0.6, 0.8, 0.7), LEVEL)
    assert one.pick == LR
    assert "naive Bayes in log loss." in one.evidence


@pytest.mark.parametrize("seed", ["0", pytest.param("1", marks=pytest.mark.slow)])
def test_random_labels_get_no_pick(tmp_path, capsys, seed):
    rng = np.random.default_rng(0)
    path, out = tmp_path / "dice.csv", tmp_path / "report.html"
    cells = np.column_stack([rng.normal(size=(400, 12)), rng.integers(18, size=400)])
    path.write_text(
        "\n".join([",".join([*"abcdefghijkl", "y"]), *(",".join(map(str, row)) for row in cells)])
    )
    assert main(["compare", str(path), "--target", "y", "--out", str(out), "--quick", "--seed", seed]) == 0
    said = capsys.readouterr().out
    assert "Neither: these columns do not tell y" in said
    assert "no columns: class frequencies" in re.sub(r"\s+", " ", said)
    assert (
        "<td>no columns: class frequencies" in out.read_text()
        or "no columns: class frequencies</" in out.read_text()
    )


def test_names_that_no_font_has_are_drawn(tmp_path, capsys):
    rng = np.random.default_rng(0)
    path, out = tmp_path / "moods.csv", tmp_path / "report.html"
    rows = [f"{a},{b},{c},{'😀' if a + c > 0 else 'b'}" for a, b, c in rng.normal(size=(60, 3))]
    path.write_text("\n".join(["😀 mood,❤️‍🔥 $a_{$ and 中文,x^{_ $\\foo$,y 🎯", *rows]), encoding="utf-8")
    assert main(["compare", str(path), "--target", "y 🎯", "--out", str(out), "--quick"]) == 0
    assert capsys.readouterr().err == ""  # and no warning of matplotlib's, which would be an error here
    assert "😀 mood" in out.read_text(encoding="utf-8")

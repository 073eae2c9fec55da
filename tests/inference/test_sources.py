"""Rows from files, data sets and loaders: the numbers of those in memory, bit for bit."""

import math
import random
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from ppl_gen import EM, SVI, Batches, Exact, MaximumLikelihood, Parquet, ask, fit, log_evidence, to_arviz
from ppl_gen.core import ProbabilisticModel
from ppl_gen.data import iris
from ppl_gen.errors import DataError, Interrupted, NonFinite
from ppl_gen.inference.sources import opened
from ppl_gen.inference.stored import feed, stored
from ppl_gen.inference.tensors import layout
from ppl_gen.inputs import admit
from ppl_gen.models import VAE, GaussianMixture, GaussianNaiveBayes, LogisticRegression, PoissonNaiveBayes

DATA = iris().standardized()
X, Y = DATA.x.numpy().copy(), DATA.y.numpy().copy()
LR = LogisticRegression(classes=3, features=4)
NB = GaussianNaiveBayes(classes=3, features=4)
NAMES = ("x", "y")
ROWS = TensorDataset(DATA.x, DATA.y)
BY_BATCHES = SVI(steps=30, batch_size=32)  # 150 rows: the last batch of an epoch has 22


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("ppl-gen")]


def mapped(folder, **arrays):
    """Read-only memory maps of the arrays."""
    found = {}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        found[name] = np.load(folder / f"{name}.npy", mmap_mode="r")
        assert isinstance(found[name], np.memmap)
    return found


def same(one, other):
    assert torch.equal(one.elbo, other.elbo)
    assert one.shapes == other.shapes
    assert one.n == other.n
    for (name, a), b in zip(one.model.state_dict().items(), other.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("prefetch", [None, 0, 1, 3])
def test_a_memory_map_gives_the_numbers_of_the_array(tmp_path, prefetch):
    method = SVI(steps=30, batch_size=32, prefetch=prefetch)
    expected = fit(LR, BY_BATCHES, x=X, y=Y)
    found = fit(LR, method, **mapped(tmp_path, x=X, y=Y))
    same(found, expected)
    assert found.data is None
    assert found.fingerprints == expected.fingerprints
    assert not readers()
    again = fit(found, method, **mapped(tmp_path, x=X, y=Y))
    same(again, fit(expected, BY_BATCHES, x=X, y=Y))  # the same rows: more steps
    assert len(again.elbo) == 60
    assert ask(found, "p(y | x)", x=X[:3]).probs.shape == (3, 3)
    with pytest.raises(DataError, match="pass them by name"):
        found.estimate_elbo()


def test_other_types_in_a_file_are_converted_batch_by_batch(tmp_path):
    files = mapped(tmp_path, x=X.astype(">f4"), y=Y.astype(np.uint8))
    expected = fit(LR, BY_BATCHES, x=X.astype(np.float32), y=Y)
    same(fit(LR, BY_BATCHES, **files), expected)
    pixels = (X > 0).astype(np.uint8)
    vae, method = VAE(features=4, latent=2, hidden=(8,)), SVI(steps=20, batch_size=40)
    same(fit(vae, method, **mapped(tmp_path, x=pixels)), fit(vae, method, x=pixels))
    for method in (Exact(), MaximumLikelihood()):
        found = fit(NB, method, **mapped(tmp_path, x=X.astype(np.float32), y=Y.astype(np.uint8)))
        expected = fit(NB, method, x=X.astype(np.float32), y=Y)
        for name, value in expected.draw(1, seed=0).items():
            torch.testing.assert_close(found.draw(1, seed=0)[name], value, rtol=1e-12, atol=1e-12)


def test_missing_cells_and_classes_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("ppl_gen.inference.stored.CHUNK", 1)  # chunks of a thousand rows
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((2500, 4)), generator.integers(3, size=2500).astype(float)
    x[2100, 2] = np.nan
    y[[2200, 2300]] = np.nan
    files = mapped(tmp_path, x=x, y=y)
    method = SVI(steps=12, batch_size=300)
    found, expected = fit(NB, method, **files), fit(NB, method, x=x, y=y)
    assert found.note == expected.note
    assert "2 of 2,500 rows without y" in found.note
    torch.testing.assert_close(found.elbo, expected.elbo, rtol=0.5, atol=0)  # it starts from fewer rows
    with pytest.raises(
        DataError, match=r"y: expected a class for every row, got none \(NaN\) for row 2200 and 1 more"
    ):
        fit(NB, Exact(), **files)
    filled = mapped(tmp_path, x=x, y=np.nan_to_num(y))
    exact = fit(NB, Exact(), x=x, y=np.nan_to_num(y))
    assert fit(NB, Exact(), **filled).log_evidence == pytest.approx(exact.log_evidence, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "row", "value", "message"),
    [
        ("x", 2345, np.inf, r"x: expected finite real numbers, got inf at \[2345, 1\]"),
        ("y", 2222, 7, r"y: expected class codes 0 to 2, got 7 at \[2222\]"),
    ],
)
@pytest.mark.parametrize("method", [SVI(steps=1, batch_size=10), Exact()])
def test_a_bad_cell_of_a_file_is_found_before_the_first_step(
    tmp_path, monkeypatch, name, row, value, message, method
):
    monkeypatch.setattr("ppl_gen.inference.stored.CHUNK", 1)
    generator = np.random.default_rng(0)
    arrays = {"x": generator.standard_normal((2500, 4)), "y": generator.integers(3, size=2500)}
    arrays[name][(row, 1) if name == "x" else row] = value
    with pytest.raises(DataError, match=message):
        fit(NB, method, **mapped(tmp_path, **arrays))


class Rows(Dataset):
    """Rows as mappings; ``noise`` draws random numbers for each."""

    def __init__(self, noise=lambda: 0.0):
        self.noise, self.readers = noise, set()

    def __len__(self):
        return 150

    def __getitem__(self, i):
        self.readers.add(threading.current_thread().name)
        return {"x": DATA.x[i] + self.noise(), "y": DATA.y[i]}


def test_a_data_set_gives_the_numbers_of_its_rows():
    expected = fit(LR, BY_BATCHES, x=X, y=Y)
    same(fit(LR, BY_BATCHES, Rows()), expected)
    same(fit(LR, BY_BATCHES, Batches(ROWS, names=NAMES)), expected)
    read_ahead = Rows()
    same(fit(LR, SVI(steps=30, batch_size=32, prefetch=2), read_ahead), expected)
    assert any("ahead" in name for name in read_ahead.readers)
    same(fit(LR, SVI(steps=30), Rows()), fit(LR, SVI(steps=30), x=X, y=Y))  # no batch_size: all at once


def test_a_loader_is_no_value_and_what_it_brought_is_not_kept():
    x, y = torch.randn(6, 2, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 2
    lr = LogisticRegression(classes=2, features=2)
    for source in (TensorDataset(x, y), loader := DataLoader(TensorDataset(x, y), batch_size=3)):
        with pytest.raises(DataError, match=r"x: expected .*, got (TensorDataset|DataLoader): .*Batches\("):
            fit(lr, SVI(steps=1), x=source)
    posterior = fit(lr, SVI(steps=2), Batches(loader, names=("x", "y")))
    tree = partial(to_arviz, posterior, groups="log_likelihood")
    for asked in (posterior.estimate_elbo, tree, lambda: log_evidence(posterior)):
        with pytest.raises(
            DataError, match=r"holds no data, .* its fit read them in batches.*: pass them by"
        ):
            asked()
    assert math.isfinite(posterior.estimate_elbo(x=x, y=y)[0])


@pytest.mark.parametrize("noise", [lambda: torch.randn(()), np.random.normal, random.random])
def test_what_a_data_set_draws_is_decided_by_the_seed_and_disturbs_no_step(noise):
    rows = Rows(noise)
    method = SVI(steps=30, batch_size=32, prefetch=2)
    torch.manual_seed(1)
    found = fit(LR, method, rows)
    torch.manual_seed(2)
    np.random.seed(3)
    same(fit(LR, method, rows), found)
    assert rows.readers == {"MainThread"}  # generators belong to all threads
    other = fit(LR, SVI(steps=30, batch_size=32, seed=1), rows)
    assert not torch.equal(other.elbo, found.elbo)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_keeps_its_own_batches(workers):
    loader = DataLoader(ROWS, batch_size=32, shuffle=True, num_workers=workers)
    source = Batches(loader, names=NAMES)
    found = fit(LR, SVI(steps=30), source)
    assert found.n == 150
    torch.manual_seed(5)
    same(fit(LR, SVI(steps=30), source), found)
    assert not torch.equal(fit(LR, SVI(steps=30, seed=1), source).elbo, found.elbo)
    assert fit(found, None, source).fingerprints == found.fingerprints
    with pytest.raises(DataError, match="batch_size: these batches have a size of their own"):
        fit(LR, BY_BATCHES, source)


def weights(source, steps):
    """The weight of a row, and the rows, of each step."""
    data = stored(opened(source), fitted_door)
    rows = feed(data, 1, seed=0)
    return [(part.scale, part.batch.n) for part, _ in zip(rows, range(steps), strict=False)]


def fitted_door(values, found):
    return admit(LR, values, missing=True, found=found)


def test_rows_of_a_ragged_batch_weigh_more():
    five = [(150 / 32, 32)] * 4 + [(150 / 22, 22)]
    loader = DataLoader(ROWS, batch_size=32)
    assert weights(Batches(loader, names=NAMES), 7) == five + five[:2]
    dropped = DataLoader(ROWS, batch_size=32, drop_last=True, shuffle=True)
    assert weights(Batches(dropped, names=NAMES), 6) == [(150 / 32, 32)] * 6
    data = fitted_door({"x": X, "y": Y}, None)
    assert [(part.scale, part.batch.n) for part, _ in zip(feed(data, 32, 0), range(5), strict=False)] == five


def test_an_epoch_of_ragged_batches_adds_up_to_the_whole():
    """At fixed parameters, the weighted bounds of an epoch's batches average to that of all rows."""
    method = MaximumLikelihood()
    point = fit(NB, method, x=X, y=Y)
    log_p = ask(point, "p(x, y)").log_prob(x=X, y=Y)
    data = fitted_door({"x": X, "y": Y}, None)
    parts = [part for part, _ in zip(feed(data, 32, 0), range(5), strict=False)]
    total = sum(part.scale * log_p[part.places].sum() * part.batch.n for part in parts) / 150
    assert float(total) == pytest.approx(float(log_p.sum()), rel=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rows(),
        lambda: Rows(lambda: torch.randn(())),
        lambda: Batches(DataLoader(ROWS, batch_size=40, shuffle=True), names=NAMES),
        lambda: [{"x": X[i::4], "y": Y[i::4]} for i in range(4)],
    ],
)
def test_a_stream_can_be_entered_at_any_step(make):
    data = stored(opened(make()), fitted_door)
    through = [part for part, _ in zip(feed(data, 40, seed=2), range(11), strict=False)]
    for step in (0, 3, 4, 9):
        there = next(feed(data, 40, seed=2, step=step))
        assert torch.equal(there.batch.inputs["x"], through[step].batch.inputs["x"])
        assert there.scale == through[step].scale


def test_conjugate_models_count_what_comes():
    expected = fit(NB, x=X, y=Y)
    for source in (Batches(ROWS, names=NAMES), Batches(DataLoader(ROWS, batch_size=32), names=NAMES), Rows()):
        found = fit(NB, Exact(), source if isinstance(source, Batches) else Batches(source))
        assert found.log_evidence == pytest.approx(expected.log_evidence, rel=1e-12)
        assert found.n == 150


def test_parquet_by_row_groups(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.table({**{name: X[:, i] for i, name in enumerate("abcd")}, "kind": Y, "text": ["a"] * 150})
    pq.write_table(table[:100], tmp_path / "1.parquet", row_group_size=40)
    pq.write_table(table[100:], tmp_path / "2.parquet", row_group_size=40)
    files = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    rows = Parquet(files, x=list("abcd"), y="kind")
    assert rows.n == 150
    assert list(rows.blocks) == [40, 40, 20, 40, 10]
    places = torch.tensor([149, 0, 77, 99, 100, 0])
    np.testing.assert_array_equal(rows.read(places)["x"], X[places])
    np.testing.assert_array_equal(rows.read(places)["y"], Y[places])
    found = fit(LR, BY_BATCHES, rows)
    same(fit(LR, SVI(steps=30, batch_size=32, prefetch=2), Parquet(files, x=list("abcd"), y="kind")), found)
    assert found.n == 150
    assert fit(found, None, rows).fingerprints == found.fingerprints
    start, end = found.elbo[:5].mean(), found.elbo[-5:].mean()
    assert end > start
    exact = fit(NB, Exact(), rows)
    assert exact.log_evidence == pytest.approx(fit(NB, x=X, y=Y).log_evidence, rel=1e-12)
    for make, message in (
        (lambda: Parquet(tmp_path / "3.parquet", x="a"), "expected a file"),
        (lambda: Parquet(files, x=["a", "e"]), "has no column 'e'; it has a, b, c, d, kind, text"),
        (lambda: Parquet(files), "expected a file and columns"),
        (
            lambda: fit(LR, BY_BATCHES, Parquet(files, x=["a", "b", "c", "text"], y="kind")),
            "x: expected numbers",
        ),
    ):
        with pytest.raises(DataError, match=message):
            make()


def test_parquet_keeps_two_windows_of_row_groups(tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    monkeypatch.setattr("ppl_gen.inference.batches.WINDOW", 200)
    monkeypatch.setattr("ppl_gen.inference.parquet.WINDOW", 200)
    pq.write_table(pa.table({"x": np.arange(5000.0)}), tmp_path / "x.parquet", row_group_size=50)
    rows = Parquet(tmp_path / "x.parquet", x="x")
    data = stored(rows, poisson_door)
    seen, read = [], []
    decoded = rows._decoded
    rows._decoded = lambda group: read.append(group) or decoded(group)
    for part, _ in zip(feed(data, 30, seed=0), range(167), strict=False):
        seen.append(part.batch.observed["x"][:, 0])
        assert sum(rows.sizes[i] for i in rows.held) <= 2 * (200 + 50)
    assert torch.equal(torch.cat(seen).sort().values, torch.arange(5000.0, dtype=torch.float64))
    assert len(read) <= 100 + 8  # each group once an epoch; some were there from the start


def poisson_door(values, found):
    return admit(PoissonNaiveBayes(classes=2, features=1), {"x": values["x"][:, None]}, found=found)


class Endless(IterableDataset):
    """A hundred rows, which it does not tell."""

    def __iter__(self):
        return iter([{"x": DATA.x[i], "y": DATA.y[i]} for i in range(100)])


REFUSED = {
    "tuples without names": (ROWS, {}, r"names='x', 'y'|names=\('x', 'y'\)"),
    "a name for one part": (Batches(ROWS, names=("x",)), {}, "names: expected one for each of 2 parts"),
    "a loader's tuples": (DataLoader(ROWS, batch_size=5), {}, r"got list; name its parts"),
    "no length": (DataLoader(Endless(), batch_size=10), {}, r"Endless has no len\(\): Batches\(…, rows=…\)"),
    "a wrong length": (
        Batches(DataLoader(Endless(), batch_size=10), rows=90), {}, r"expected 90 rows an.*got 100.*rows=100",
    ),
    "single rows": (Endless(), {}, r"DataLoader\(dataset, batch_size=…\)"),
    "read once": ((part for part in [{"x": X}]), {}, "can be read once"),
    "weights": (
        Batches(DataLoader(ROWS, sampler=WeightedRandomSampler([1.0] * 150, 150)), NAMES),
        {},
        "takes rows in its own way",
    ),
    "other data": (Rows(), {"x": X}, "expected no other data beside them"),
    "a number": (3, {}, "batches: expected a DataLoader, a Dataset or Parquet"),
    "nothing": ([], {}, "expected at least one"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_weighed_or_named_is_refused(what):
    source, data, message = REFUSED[what]
    with pytest.raises(DataError, match=message):
        fit(LR, SVI(steps=20), source, **data)
    assert not readers()


def test_rows_that_are_told_count():
    assert fit(LR, SVI(steps=20), Batches(DataLoader(Endless(), batch_size=30), rows=100)).n == 100
    half = DataLoader(ROWS, batch_size=30, sampler=SubsetRandomSampler(range(75)))
    assert fit(LR, SVI(steps=5), Batches(half, NAMES)).n == 75
    pairs = DataLoader(TensorDataset(DATA.x, torch.zeros(150), DATA.y), batch_size=30)
    assert fit(LR, SVI(steps=5), Batches(pairs, ("x", None, "y"))).shapes.keys() == {"x", "y"}
    with pytest.raises(DataError, match=r"Exact\(\), MaximumLikelihood\(\) or SVI"):
        fit(NB, EM(), Rows())


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_error_of_the_reader_names_the_row_and_leaves_nothing(prefetch):
    class Broken(Rows):
        def __getitem__(self, i):
            if i == 149:
                raise OSError("cannot read row 149")
            return super().__getitem__(i)

    class Bad(Rows):
        def __getitem__(self, i):
            return super().__getitem__(i) | ({"x": DATA.x[i] + torch.inf} if i == 149 else {})

    before = torch.get_rng_state().clone()
    method = SVI(steps=50, batch_size=8, prefetch=prefetch)
    for broken, error, message in (
        (Broken(), OSError, "cannot read row 149"),
        (Bad(), DataError, r"x: expected finite real numbers, got inf at \[149, 0\]"),
    ):
        with pytest.MonkeyPatch.context() as patch:  # the bad row is met in a step, not before
            patch.setattr("ppl_gen.inference.stored.FEW", 4)
            patch.setattr("ppl_gen.inference.sources._identity", lambda rows, n: "")
            with pytest.raises(error, match=message):
                fit(LR, method, broken)
    assert not readers()
    assert torch.equal(before, torch.get_rng_state())


def test_ctrl_c_and_a_stop_leave_no_reader(tmp_path):
    calls = []

    def press(fraction):
        calls.append(fraction)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return 1.0

    files = mapped(tmp_path, x=X, y=Y)
    with pytest.warns(Interrupted, match="stopped by hand after 7 of 100 steps"):
        fit(LR, SVI(steps=100, batch_size=10, schedule=press, prefetch=3), **files)
    assert not readers()

    def bad(fraction):
        return float("nan") if fraction > 0.1 else 1.0

    with pytest.raises(NonFinite):
        fit(LR, SVI(steps=100, batch_size=10, schedule=bad, prefetch=3), **files)
    assert not readers()


def test_a_mixture_of_a_file(tmp_path):
    mixture, method = GaussianMixture(components=2, features=4), SVI(steps=20, batch_size=50)
    same(fit(mixture, method, **mapped(tmp_path, x=X)), fit(mixture, method, x=X))


# What a batch may look like amid a fit ----------------------------------------------------------------------


class Pair(ProbabilisticModel):
    """Two columns, each with a mean of its own."""

    joint = "p(a) p(b)"

    def __init__(self):
        super().__init__()
        self.means = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def model(self, n):
        with pyro.plate("data", n):
            pyro.sample("a", dist.Normal(self.means[0], 1.0))
            pyro.sample("b", dist.Normal(self.means[1], 1.0))


def without(values, i):
    return torch.where(torch.arange(len(values)) == i, math.nan, values)


ONES, FIVES = torch.ones(8, dtype=torch.float64), torch.full((8,), 5.0, dtype=torch.float64)


@pytest.mark.parametrize(
    "batches",
    [
        [{"a": ONES, "b": FIVES}, {"b": FIVES, "a": ONES}],
        [{"a": without(ONES, 7), "b": FIVES}, {"a": ONES, "b": without(FIVES, 0)}],
    ],
    ids=["names in another order", "other gaps"],
)
def test_a_graph_is_for_the_names_it_was_made_for(batches):
    """Steps enough for a graph, which knows its tensors by their order alone."""
    found = fit(Pair(), SVI(steps=1000, learning_rate=0.05, compile=False), Batches(batches)).model.means
    assert torch.allclose(found, torch.tensor([1.0, 5.0], dtype=torch.float64), atol=1e-3)


def test_another_type_or_layout_is_another_graph():
    x = torch.ones(4, 3, dtype=torch.float64)
    data = admit(LR, {"x": torch.ones(4, 4), "y": torch.zeros(4)})
    here = layout(data, 1.0)
    assert here == layout(data, 1.0)
    others = [x, torch.ones(4, 4).mT.contiguous().mT[:, :3], x.long(), x[:3]]
    assert len({layout(replace(data, inputs={"x": v}), 1.0) for v in others} | {here, layout(data, 2.0)}) == 6


class Read:
    """Batches that nobody can look at before their turn."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


def test_a_bad_batch_amid_a_fit_leaves_what_was_before_it():
    bad = X[96:128].copy()
    bad[5, 2] = math.inf
    good = [{"x": X[i : i + 32], "y": Y[i : i + 32]} for i in (0, 32, 64)] * 12
    batches = Batches(Read([*good, {"x": bad, "y": Y[96:128]}]), rows=37 * 32)
    with pytest.raises(
        DataError, match=r"SVI stopped at step 36: in a batch: x: .*inf at \[5, 2\]"
    ) as caught:
        fit(LR, SVI(steps=60), batches)
    elbo = fit(LR, SVI(steps=60), Batches(Read([*good, good[0]]), rows=37 * 32)).elbo
    assert torch.equal(caught.value.posterior.elbo, elbo[:36])
    assert "refused" in caught.value.posterior.note


def test_workers_that_go_on_from_fit_to_fit_are_refused():
    loader = DataLoader(ROWS, batch_size=32, num_workers=1, persistent_workers=True)
    with pytest.raises(DataError, match="persistent_workers=False"):
        fit(LR, SVI(steps=3), Batches(loader, names=NAMES))

"""Records keep their rows together; synthetic rows agree with the truth they carry.

Statistical bounds are meant for any seed: each raises a false alarm with probability at most `ALARM`.
"""

from collections.abc import Callable
from statistics import NormalDist

import pytest
import torch

from ppl_gen.data import (
    Dataset,
    breast_cancer,
    digits,
    gaussian_classes,
    gaussian_mixture,
    iris,
    linear_gaussian,
    wine,
)

ALARM = 1e-6


def z_bound(comparisons: int) -> float:
    """How large the largest of this many standard normals may be (Bonferroni, two-sided)."""
    return NormalDist().inv_cdf(1 - ALARM / (2 * comparisons))


def toy(rows: int = 20) -> Dataset:
    x = torch.arange(2.0 * rows, dtype=torch.float64).view(rows, 2)
    y = (torch.arange(rows) % 5 == 0).long()
    return Dataset("toy", x, y, ("often", "seldom"), ("u", "v<"), "made & counted")


@pytest.mark.parametrize("load", [wine, iris, breast_cancer, digits])
def test_bundled_data_are_those_of_sklearn(load: Callable[[], Dataset]) -> None:
    import sklearn.datasets

    data, bunch = load(), getattr(sklearn.datasets, f"load_{load.__name__}")()
    assert (data.x.numpy() == bunch.data).all()
    assert (data.y.numpy() == bunch.target).all()
    assert data.x.dtype == torch.float64
    assert data.y.dtype == torch.int64
    assert data.features == tuple(bunch.feature_names)
    assert len(data.classes) == len(bunch.target_names)
    assert data.truth == {}
    assert "\n" not in data.source
    assert all(type(name) is str for name in (*data.classes, *data.features))


def test_digits_are_pixels() -> None:
    assert digits().features[:2] + digits().features[-1:] == ("pixel_0_0", "pixel_0_1", "pixel_7_7")


@pytest.mark.parametrize("rows", [slice(2, 4), [2, 3], torch.tensor([2, 3]), torch.arange(20) // 2 == 1])
def test_rows_stay_together(rows: slice | list[int] | torch.Tensor) -> None:
    part = toy()[rows]
    assert part.x.tolist() == [[4, 5], [6, 7]]
    assert part.y.tolist() == [0, 0]
    assert len(part) == 2
    assert toy()[5].x.tolist() == [[10, 11]]


@pytest.mark.parametrize("test", [0.25, 0.5, 0.9, 1, 7, 177])
@pytest.mark.parametrize("seed", range(5))
def test_split_is_disjoint_exhaustive_stratified_and_repeatable(test: float, seed: int) -> None:
    data = wine()
    data.x[:, 0] = torch.arange(len(data))  # a serial number
    train, held_out = data.split(test, seed=seed)
    assert sorted([*train.x[:, 0].tolist(), *held_out.x[:, 0].tolist()]) == list(range(178))
    size = test if isinstance(test, int) else round(test * 178)
    assert len(held_out) == size
    share = torch.bincount(data.y) * size / 178
    assert ((torch.bincount(held_out.y, minlength=3) - share).abs() < 1).all()
    assert torch.equal(held_out.x, data.split(test, seed=seed)[1].x)


def test_split_is_random_and_gives_every_row_its_chance() -> None:
    splits, row_in_test = 400, torch.zeros(20)
    for seed in range(splits):
        marked = toy().split(0.3, seed=seed)[1].x[:, 0].long() // 2
        row_in_test[marked] += 1
    # Hoeffding for each of 20 rows: the mean strays further than this with probability ALARM / 20.
    bound = (torch.log(torch.tensor(2 * 20 / ALARM)) / (2 * splits)).sqrt()
    assert ((row_in_test / splits - 0.3).abs() < bound).all()


@pytest.mark.parametrize(
    ("test", "error", "message"),
    [
        (1.5, ValueError, "test: expected a fraction between 0 and 1 .* got 1.5"),
        (float("nan"), ValueError, "test: expected a fraction between 0 and 1 .* got nan"),
        (0, ValueError, "test: .* got 0"),
        (20, ValueError, "test: .* got 20"),
        (0.001, ValueError, "test: .* got 0.001"),
        ("half", TypeError, "test: .* got 'half'"),
        (True, TypeError, "test: .* got True"),
    ],
)
def test_split_says_what_is_wrong(test: float, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        toy().split(test)


def test_standardized() -> None:
    x = torch.stack(
        [torch.arange(7.0, dtype=torch.float64) * 3e5 + 1e8, torch.full((7,), 0.1).double()], dim=1
    )
    data = Dataset(
        "toy", x, torch.zeros(7, dtype=torch.int64), ("all",), ("line", "constant"), "made by hand"
    )
    own = data.standardized()
    # Rounding: 7 numbers near 1e8 with a spread of 6e5, each known to 1e8 * 2^-53.
    slack = 7 * 1e8 / 6e5 * torch.finfo(torch.float64).eps
    torch.testing.assert_close(own.x.mean(0), torch.zeros(2).double(), rtol=0, atol=slack)
    torch.testing.assert_close(own.x[:, 0].std(correction=0), torch.tensor(1.0).double(), rtol=0, atol=slack)
    assert (own.x[:, 1] == 0).all()
    assert torch.equal(data[2:4].standardized(like=data).x, own.x[2:4])
    with pytest.raises(ValueError, match="like: expected the features"):
        data.standardized(like=toy())
    with pytest.raises(ValueError, match="like: expected at least one row"):
        data.standardized(like=data[:0])


def test_how_it_is_shown() -> None:
    assert repr(wine()) == "wine: 178 rows × 13 features, 3 classes (59, 71, 48)"
    html = toy()._repr_html_()
    assert "v&lt;" in html
    assert "made &amp; counted" in html
    assert html.count("<tr>") == 6
    assert "…" in wine()._repr_html_()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("x", torch.zeros(2, 2)),
        ("x", torch.zeros(2, 3).double()),
        ("y", torch.zeros(2)),
        ("y", torch.tensor([0, 2])),
    ],
)
def test_a_record_that_does_not_fit_is_refused(field: str, value: torch.Tensor) -> None:
    tensors = {"x": torch.zeros(2, 2).double(), "y": torch.tensor([0, 1]), field: value}
    with pytest.raises(ValueError, match=f"^{field}: expected"):
        Dataset("toy", tensors["x"], tensors["y"], ("a", "b"), ("u", "v"), "made by hand")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("draw", [gaussian_classes, gaussian_mixture])
def test_rows_of_a_class_lie_around_its_mean(draw: Callable[..., Dataset], seed: int) -> None:
    data = draw(2000, 3, 4, separation=5.0, seed=seed)
    mu = data.truth["mu"]
    torch.testing.assert_close(torch.pdist(mu).square().mean().sqrt(), torch.tensor(5.0).double())
    error = data.x - mu[data.y]
    # Given the labels, every one of 12 cell means is exactly normal.
    means = torch.stack([error[data.y == k].sum(0) / (data.y == k).sum().sqrt() for k in range(3)])
    assert means.abs().max() < z_bound(12)
    # The sum of all squares is chi-square; Laurent & Massart (2000) bound both of its tails.
    n, t = error.numel(), torch.tensor(2 / ALARM).log()
    assert -2 * (n * t).sqrt() < error.square().sum() - n < 2 * (n * t).sqrt() + 2 * t
    # Class frequencies, by Hoeffding.
    bound = (torch.tensor(2 * 3 / ALARM).log() / (2 * 2000)).sqrt()
    assert ((torch.bincount(data.y, minlength=3) / 2000 - data.truth["pi"]).abs() < bound).all()


def test_copies_are_exact_and_follow_the_columns() -> None:
    plain, doubled = (
        gaussian_classes(50, features=3, seed=4),
        gaussian_classes(50, features=3, copies=2, seed=4),
    )
    assert torch.equal(doubled.x, plain.x.repeat(1, 3))
    assert torch.equal(doubled.y, plain.y)
    assert doubled.features[3:] == ("x0_copy1", "x1_copy1", "x2_copy1", "x0_copy2", "x1_copy2", "x2_copy2")


@pytest.mark.parametrize("seed", range(5))
def test_linear_gaussian_is_its_truth(seed: int) -> None:
    data = linear_gaussian(2000, noise=0.3, seed=seed)
    truth = data.truth
    error = (data.x - truth["z"] @ truth["weight"].mT - truth["mu"]) / truth["noise"]
    for normal in (error, truth["z"]):
        assert (normal.sum(0) / 2000**0.5).abs().max() < z_bound(normal.shape[1] * 2)
        n, t = normal.numel(), torch.tensor(4 / ALARM).log()
        assert -2 * (n * t).sqrt() < normal.square().sum() - n < 2 * (n * t).sqrt() + 2 * t
    assert (data.y == 0).all()
    assert data.classes == ("all",)


@pytest.mark.parametrize("draw", [gaussian_classes, gaussian_mixture, linear_gaussian])
def test_seeds_repeat_and_leave_the_global_generator_alone(draw: Callable[..., Dataset]) -> None:
    before = torch.get_rng_state()
    first, again, other = draw(rows=9, seed=1), draw(rows=9, seed=1), draw(rows=9, seed=2)
    first.split(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.x, other.x)


@pytest.mark.parametrize(
    ("draw", "arguments", "name"),
    [
        (gaussian_classes, dict(rows=0), "rows"),
        (gaussian_classes, dict(rows=5, copies=-1), "copies"),
        (gaussian_classes, dict(rows=5, separation=float("nan")), "separation"),
        (gaussian_mixture, dict(components=0), "components"),
        (linear_gaussian, dict(rows=5, latent=6), "latent"),
        (linear_gaussian, dict(rows=5, noise=0.0), "noise"),
    ],
)
def test_arguments_are_checked(draw: Callable[..., Dataset], arguments: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected .* got"):
        draw(**arguments)

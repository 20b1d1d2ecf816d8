"""Equivalence is shown where it was planted and nowhere else; the page says what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from bench.datasets import load_embedded_digits
from bench.equivalence import __main__ as command
from bench.equivalence import samples as module
from bench.equivalence.__main__ import main
from bench.equivalence.comparisons import LEVEL, adjust, compare, resolvable_margin
from bench.equivalence.gradients import compute_exact_gradients, measure_gradients
from bench.equivalence.page import ACCURACY_MARGIN, compare_all
from bench.equivalence.samples import Sample, explain_absence, shorten
from bench.iterations import select_iterations
from bench.training.engines import ENGINES, Engine
from bench.training.loop import Training, place_dataset
from models.recipe import MultiStep, OneCycle

(FOURTH,) = select_iterations(("iteration_4",))
CPU = torch.device("cpu")


def draw(mean: float, *, deviation: float = 1.0, count: int = 20, seed: int = 0) -> list[float]:
    """Return normal values with exactly this mean and standard deviation."""
    values = np.random.default_rng(seed).normal(size=count)
    standard = (values - values.mean()) / values.std(ddof=1)
    return (mean + deviation * standard).tolist()


def test_identical_samples_are_equivalent_and_not_different() -> None:
    """No difference, an interval about zero, and both tests agree."""
    sample = draw(97.0)
    found = compare(sample, sample, margin=1.0)
    assert found.difference == 0.0
    assert found.lower == pytest.approx(-found.upper)
    assert found.p_equivalence < LEVEL
    assert found.p_mean == found.p_distribution == 1.0


def test_shifted_samples_are_different_and_not_equivalent() -> None:
    """A shift of two margins is found by every test."""
    found = compare(draw(99.0, seed=1), draw(97.0), margin=1.0)
    assert found.difference == pytest.approx(2.0)
    assert found.p_equivalence > 0.99
    assert max(found.p_mean, found.p_distribution) < 1e-3


def test_a_small_sample_shows_neither() -> None:
    """Three seeds cannot show equivalence, though nothing differs."""
    found = compare(draw(97.0, count=3), draw(97.0, count=3, seed=1), margin=1.0)
    assert found.p_equivalence > LEVEL < found.p_mean


@pytest.mark.parametrize("shift", [-1.0, -0.52, -0.4, 0.0, 0.4, 0.52, 1.0])
def test_equivalence_is_the_interval_within_the_margin(shift: float) -> None:
    """Both one-sided tests reject exactly when the 90 % interval lies in the margin."""
    found = compare(draw(shift, seed=1), draw(0.0), margin=1.0)
    inside = found.lower > -1.0 and found.upper < 1.0
    assert inside == (found.p_equivalence < LEVEL)


def test_two_one_sided_tests_by_hand() -> None:
    """Equal variances and sizes: Student's t of the distances to both margins."""
    found = compare(draw(0.3, seed=1), draw(0.0), margin=1.0)
    error = np.sqrt(2.0 / 20)
    assert found.p_equivalence == pytest.approx(stats.t.sf((1.0 - 0.3) / error, 38))
    assert found.p_mean == pytest.approx(2 * stats.t.sf(0.3 / error, 38))
    assert found.upper == pytest.approx(0.3 + stats.t.ppf(0.95, 38) * error)


def test_samples_without_spread_are_compared_by_their_values() -> None:
    """No division by zero: equal is equivalent, farther than the margin is not."""
    same = compare([97.0] * 3, [97.0] * 3, margin=0.5)
    assert (same.p_equivalence, same.p_mean, same.lower, same.upper) == (0.0, 1.0, 0.0, 0.0)
    apart = compare([98.0] * 3, [97.0] * 3, margin=0.5)
    assert (apart.p_equivalence, apart.p_mean) == (1.0, 0.0)


def test_holm_corrects_each_kind_of_test() -> None:
    """The smallest p-value of a kind is multiplied by the number of comparisons."""
    single = [compare(draw(x, seed=1), draw(0.0), margin=1.0) for x in (0.0, 0.2, 0.4)]
    adjusted = adjust(single)
    assert adjusted[0].p_equivalence == pytest.approx(3 * single[0].p_equivalence)
    assert adjusted[2].p_mean == pytest.approx(3 * single[2].p_mean)
    assert [c.difference for c in adjusted] == [c.difference for c in single]


def test_the_resolvable_margin_has_its_power() -> None:
    """Equal engines are shown equivalent in nine of ten simulated comparisons at that margin."""
    margin = resolvable_margin(20, power=0.9)
    generator = np.random.default_rng(1)
    shown = [
        compare(generator.normal(size=20), generator.normal(size=20), margin=margin).p_equivalence
        < LEVEL
        for _ in range(600)
    ]
    assert 0.86 < np.mean(shown) < 0.95
    assert resolvable_margin(40, power=0.9) < margin


def make_sample(engine: str, mean: float, *, count: int = 20, seed: int = 0) -> Sample:
    return Sample(
        engine=engine,
        accuracies=tuple(draw(mean, deviation=0.2, seed=seed)[:count]),
        losses=tuple(draw(0.2, deviation=0.005, seed=seed)[:count]),
        diverged=0,
        gradient_difference=None,
        gradient_error=None,
    )


def test_every_engine_is_compared_with_the_reference() -> None:
    """On accuracy and loss; the one whose accuracy was shifted is found, the others not."""
    rows = compare_all(
        (
            make_sample("plain", 95.0),
            make_sample("same", 95.0, seed=1),
            make_sample("worse", 95.0 - 2 * ACCURACY_MARGIN, seed=2),
            make_sample("once", 95.0, count=1),
        )
    )
    found = {(r.engine, r.measure): r.comparison.p_equivalence < LEVEL for r in rows}
    assert found == {
        ("same", "accuracy"): True,
        ("same", "loss"): True,
        ("worse", "accuracy"): False,
        ("worse", "loss"): True,
    }


def test_the_short_recipe_keeps_what_is_to_be_compared() -> None:
    """Augmentation, optimiser and batch size; the learning rate is reduced once."""
    short = shorten(FOURTH.recipe)
    assert short.schedule == MultiStep(rate=0.1, milestones=(1,))
    kept = ("augmentation", "optimizer", "batch_size", "label_smoothing", "precision")
    assert all(getattr(short, name) == getattr(FOURTH.recipe, name) for name in kept)
    one_cycle = dataclasses.replace(FOURTH.recipe, schedule=OneCycle(peak=0.2))
    assert shorten(one_cycle).epochs == 2


def test_absent_engines_have_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there, and one that refuses the network."""
    picky = Engine(train=ENGINES["eager"].train, explain_refusal=lambda *_: "too light")
    monkeypatch.setitem(ENGINES, "picky", picky)
    assert explain_absence("missing", FOURTH, CPU) == "not part of this version"
    assert explain_absence("picky", FOURTH, CPU) == "too light"
    assert explain_absence("plain", FOURTH, CPU) is None


def test_an_engine_that_trains_copies_shows_no_gradients() -> None:
    """Weights that never change are not taken for gradients of zero."""

    def train(build: Callable[[], nn.Module], *_: object, **__: object) -> list[Training]:
        build()
        return []

    frozen = Engine(train=train)
    training, _ = place_dataset(load_embedded_digits(), CPU)
    assert measure_gradients(frozen, lambda: nn.Sequential(nn.Flatten()), training) is None
    flat = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    gradients = compute_exact_gradients(lambda: flat, training, seed=0)
    assert gradients["1.weight"].dtype == torch.float64


def test_a_tiny_page_on_the_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two engines are trained on a few images, compared and tabled; a missing one is named."""
    monkeypatch.setattr(module, "TRAINING_IMAGES", 256)
    monkeypatch.setattr(command, "KNOWN", ("eager", "slow"))
    threads = torch.get_num_threads()
    page = tmp_path / "equivalence.md"
    main(["--output", str(page), "--dataset", "digits", "--seeds", "2", "--engines", "eager,slow"])
    text = page.read_text(encoding="utf-8")
    assert torch.get_num_threads() == threads
    for words in ("| eager | accuracy |", "| eager | loss |", "| plain | 2 | 0 |", "1,000,001"):
        assert words in text
    assert "* slow: not measured, not part of this version" in text
    assert "nan" not in text


@pytest.mark.parametrize(
    "arguments", [["--engines", "fast"], ["--seeds", "1"], ["--seeds", "ten"]], ids=" ".join
)
def test_wrong_options_end_with_exit_code_2(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the value and what to write."""
    with pytest.raises(SystemExit) as end:
        main(["--output", str(tmp_path / "page.md"), *arguments])
    assert end.value.code == 2
    assert arguments[1] in capsys.readouterr().err


def test_missing_mnist_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in `bench run`, with exit code 2."""
    with pytest.raises(SystemExit) as end:
        main(["--output", str(tmp_path / "page.md"), "--data", str(tmp_path)])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("bench.equivalence: error: ")

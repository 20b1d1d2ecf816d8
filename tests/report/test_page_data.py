"""The JSON document inside the page: what its charts draw and its buttons download."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from fractions import Fraction
from statistics import median
from typing import Any

import pytest
import torch
from builders import (
    CLAIM,
    CONDITIONS,
    COST,
    MACHINE,
    SHAKY,
    STEADY,
    make_diverged,
    make_iteration,
    make_run,
    make_verdict,
)
from msgspec.structs import replace as replace_fields
from page_reader import read_data
from scipy import stats

from bench.challenges import DIGITS, MNIST
from bench.evidence import select_evidence
from bench.iterations import Iteration, list_iterations
from bench.records import Challenge, Conditions, LayerCost, Mistake, Run
from bench.report.page import render_page
from bench.verdict import judge_all
from models.recipe import SGD, Constant, Cosine, MultiStep, OneCycle, Recipe, Schedule

UNEVEN = (9_000, 9_500, 9_938, 9_941, 9_940, 9_939)
RUNS = [
    make_run(seed=0, validation_correct=STEADY, training_correct=range(50_000, 57_500, 500)),
    make_run(seed=1, validation_correct=SHAKY, wall_seconds=61.26),
    make_diverged(seed=2, epochs=2),
    make_diverged(seed=3),
    make_run(seed=4, validation_correct=UNEVEN),
]
"""One that holds, one that misses, two that diverged (one at once), and a short one."""


def read(
    runs: list[Run], iteration: Iteration | None = None, challenge: Challenge = MNIST
) -> dict[str, Any]:
    """Return the document of the page on these runs."""
    iteration = iteration or make_iteration()
    verdicts = judge_all(select_evidence(runs, iteration), iteration, challenge)
    return read_data(render_page(verdicts, [iteration], challenge))


def read_section(runs: list[Run], **options: Any) -> dict[str, Any]:
    """Return the only section of that document."""
    (section,) = read(runs, **options)["sections"]
    return section


def with_schedule(schedule: Schedule, *, epochs: int, batch_size: int) -> Iteration:
    """Return an iteration with that schedule."""
    recipe = Recipe(optimizer=SGD(), schedule=schedule, batch_size=batch_size, epochs=epochs)
    iteration = make_iteration(epochs=epochs)
    return Iteration(
        name=iteration.name,
        path=iteration.path,
        narrative=iteration.narrative,
        recipe=recipe,
        fingerprint=iteration.fingerprint,
    )


def test_the_document_asks_the_challenge_question():
    """Target, reliability, budget and the length of the window are the challenge's."""
    data = read(RUNS)

    assert (data["challenge"], data["target"], data["reliability"]) == ("mnist", 0.994, 0.9)
    assert data["parameters"] == 10_000
    assert data["sections"][0]["window"] == 3
    assert data["floor"] == 0.5 / 10_000, "no error at all is drawn at half an image"


def test_a_section_says_which_evidence_it_is():
    """Name, conditions, fingerprint, cost and verdict are those of the runs."""
    section = read_section(RUNS)

    assert section["anchor"] == section["iteration"] == "iteration_4"
    assert section["name"] == "Iteration 4"
    assert section["conditions"] == str(CONDITIONS)
    assert section["fingerprint"] == "f" * 64
    assert (section["parameters"], section["macs"]) == (7_924, 1_446_000)
    assert section["answer"] == make_verdict(RUNS).answer
    assert section["epochs"] == 15


def test_errors_are_the_images_that_each_epoch_got_wrong():
    """By seed and epoch, in the order of the seeds: total minus right, for both halves."""
    section = read_section(RUNS)

    assert section["seeds"] == [0, 1, 2, 3, 4]
    assert (section["images"], section["training_images"]) == (10_000, 60_000)
    assert section["validation_errors"] == [
        [10_000 - n for n in counts] for counts in (STEADY, SHAKY, STEADY[:2], (), UNEVEN)
    ]
    assert section["training_errors"][0] == list(range(10_000, 2_500, -500))
    assert section["training_errors"][2] == [600, 600]


def test_losses_are_those_of_the_epochs_to_five_decimals():
    """Every seed has as many losses as epochs; 0.123456789 is 0.12346."""
    run = make_run(validation_correct=(9_900, 9_950))
    epochs = (
        replace_fields(run.epochs[0], validation_loss=0.123456789, training_loss=2.3),
        replace_fields(run.epochs[1], validation_loss=0.5, training_loss=0.000014),
    )
    section = read_section([replace_fields(run, epochs=epochs)])

    assert section["validation_loss"] == [[0.12346, 0.5]]
    assert section["training_loss"] == [[2.3, 0.00001]]


def test_every_seed_has_its_outcome_minimum_best_and_first_epoch():
    """Read off the counts by hand; what did not happen is null."""
    section = read_section(RUNS)

    assert section["outcomes"] == ["holds", "misses", "diverged", "diverged", "misses"]
    assert section["minima"] == [9_944, 9_939, None, None, 9_939]
    assert section["bests"] == [9_947, 9_947, 9_850, None, 9_941]
    assert section["best_epochs"] == [14, 14, 2, None, 4]
    assert section["firsts"] == [9, 9, None, None, 4]
    assert section["seconds"] == [300.0, 61.3, 300.0, 300.0, 300.0]


def test_bands_hold_the_middle_of_the_seeds_that_finished_an_epoch():
    """Two runs have no third epoch: the median of epoch 1 is over four, of epoch 15 over two."""
    bands = read_section(RUNS)["bands"]
    finished = [[run.epochs[e] for run in RUNS if len(run.epochs) > e] for e in range(15)]

    assert [band["epoch"] for band in bands] == list(range(1, 16))
    assert [band["runs"] for band in bands] == [len(epochs) for epochs in finished]
    for band, epochs in zip(bands, finished, strict=True):
        assert band["median"] == median(e.validation_correct for e in epochs)
        assert band["training"] == median(e.training_correct for e in epochs)
        assert band["validation_loss"] == 0.04
        assert band["training_loss"] == 0.05
        assert band["lower"] == min(e.validation_correct for e in epochs)
        assert band["upper"] == max(e.validation_correct for e in epochs)


def test_of_forty_seeds_the_band_leaves_out_two_at_each_end():
    """Central 90 %: forty seeds of 9,900 to 9,939 have 9,902 to 9,937 in it."""
    runs = [make_run(seed=s, validation_correct=(9_900 + s,) * 3) for s in range(40)]
    band = read_section(runs)["bands"][0]

    assert (band["lower"], band["median"], band["upper"]) == (9_902, 9_919.5, 9_937)


def test_martingale_paths_follow_the_rule_seed_by_seed():
    """Against the protocol's formula, integrated numerically: half a point, half uniform."""
    paths = read_section(RUNS)["paths"]
    holds = [True, False, False, False, False]

    assert paths["threshold"] == pytest.approx(math.log(20))
    for place in range(len(holds)):
        s = sum(holds[: place + 1])
        f = place + 1 - s
        q, grid = 0.9, 200_000

        def average(low: float, high: float, s: int = s, f: int = f, grid: int = grid) -> float:
            step = (high - low) / grid
            points = torch.arange(grid, dtype=torch.float64) * step + low + step / 2
            return float((points**s * (1 - points) ** f).mean())

        null = q**s * (1 - q) ** f
        reliable = 0.5 * (f == 0) + 0.5 * average(q, 1.0)
        unreliable = 0.5 * (s == 0) + 0.5 * average(0.0, q)
        assert paths["holds"][place] == pytest.approx(math.log(reliable / null), abs=1e-6)
        assert paths["fails"][place] == pytest.approx(math.log(unreliable / null), abs=1e-6)


def test_thresholds_are_shares_of_seeds_with_exact_bounds():
    """At each minimum and at the target; Clopper-Pearson by scipy."""
    section = read_section(RUNS)
    shares = {step["label"]: step for step in section["thresholds"]}

    assert list(shares) == ["99.39 %", "99.4 %, the target", "99.44 %"]
    for label, part in (("99.39 %", 3), ("99.4 %, the target", 1), ("99.44 %", 1)):
        interval = stats.binomtest(part, 5).proportion_ci(0.95, method="exact")
        step = shares[label]
        assert (step["share"], step["of"]) == (part / 5, f"{part} of 5 seeds")
        assert (step["lower"], step["upper"]) == pytest.approx((interval.low, interval.high))
    assert [step["threshold"] for step in section["thresholds"]] == [0.9939, 0.994, 0.9944]


def test_sensitivity_has_every_window_three_reliabilities_and_near_targets():
    """What was asked is marked once in each group, and counts are read off the runs."""
    varied = read_section(RUNS)["sensitivity"]
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in varied:
        groups.setdefault(each["group"], []).append(each)

    assert [each["label"] for each in groups["window"]] == [str(n) for n in range(1, 16)]
    assert [each["label"] for each in groups["reliability"]] == ["80 %", "90 %", "95 %"]
    assert [each["label"] for each in groups["target"]][5] == "99.4 %"
    assert len(groups["target"]) == 11
    asked = {name: [e["label"] for e in each if e["asked"]] for name, each in groups.items()}
    assert asked == {"window": ["3"], "reliability": ["90 %"], "target": ["99.4 %"]}
    holding = {n: sum(min(run, default=0) >= 9_940 for run in ends(n)) for n in range(1, 16)}
    assert [each["of"] for each in groups["window"]] == [f"{holding[n]}/5" for n in range(1, 16)]
    assert all(str(each["answer"]) in each["text"] for each in varied)


def ends(window: int) -> list[tuple[int, ...]]:
    """Return the last counts of the runs that finished, none for one that is too short."""
    finished = (STEADY, SHAKY, UNEVEN)
    return [counts[-window:] if len(counts) >= window else () for counts in finished]


def test_the_mean_is_over_windows_with_students_interval():
    """Means of the last three epochs of the three runs that have them, by scipy."""
    mean = read_section(RUNS)["mean"]
    means = [sum(counts[-3:]) / 30_000 for counts in (STEADY, SHAKY, UNEVEN)]
    low, high = stats.t.interval(0.95, 2, loc=sum(means) / 3, scale=stats.sem(means))

    assert mean["value"] == pytest.approx(sum(means) / 3, abs=1e-12)
    assert (mean["lower"], mean["upper"]) == pytest.approx((low, min(high, 1)), abs=1e-9)


def test_the_worst_seed_is_null_when_one_diverged():
    """A run without a window is worse than every accuracy: it has no place on the axis."""
    assert read_section(RUNS)["worst"] is None
    assert read_section(RUNS[:2])["worst"] == 9_939


@pytest.mark.parametrize(
    ("schedule", "rival"),
    [
        (
            MultiStep(rate=0.1, milestones=(2, 3), factor=0.5),
            lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [2 * 10, 3 * 10], gamma=0.5),
        ),
        (Cosine(rate=0.1), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40)),
        (
            OneCycle(peak=0.1),
            lambda o: torch.optim.lr_scheduler.OneCycleLR(
                o, max_lr=0.1, total_steps=40, cycle_momentum=False
            ),
        ),
        (Constant(rate=0.1), lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0)),
    ],
    ids=["MultiStep", "Cosine", "OneCycle", "Constant"],
)
def test_learning_rates_are_those_of_torch(schedule: Schedule, rival: Any):
    """Four epochs of ten steps: every rate is what torch's own scheduler has at that step."""
    iteration = with_schedule(schedule, epochs=4, batch_size=6_000)
    section = read_section([make_run(validation_correct=(9_950,) * 4)], iteration=iteration)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = rival(optimizer)
    expected = []
    for _ in range(40):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()

    *steps, last = section["rates"]
    assert [round(each["epoch"] * 10) for each in steps] == list(range(40))
    assert [each["rate"] for each in steps] == pytest.approx(expected, rel=1e-9)
    assert last == {"epoch": 4.0, "rate": pytest.approx(expected[-1])}
    assert section["rates_logarithmic"] == isinstance(schedule, MultiStep)


NETWORK = [
    ("a.conv", "Conv2d", (8, 26, 26), 72, 3),
    ("a.relu", "ReLU", (8, 26, 26), 0, 3),
    ("a.norm", "BatchNorm2d", (8, 26, 26), 16, 3),
    ("a.drop", "Dropout", (8, 26, 26), 0, 3),
    ("pool", "MaxPool2d", (8, 13, 13), 0, 4),
    ("b.conv", "Conv2d", (10, 11, 11), 720, 8),
    ("mean", "AdaptiveAvgPool2d", (10, 1, 1), 0, None),
    ("classes", "Linear", (10,), 110, None),
]


def test_every_layer_is_in_exactly_one_block_of_the_network():
    """Normalisation, activation and dropout are drawn with the layer before; sums are kept."""
    layers = tuple(
        LayerCost(
            name=name, kind=kind, output_shape=shape, parameters=n, macs=7, receptive_field=field
        )
        for name, kind, shape, n, field in NETWORK
    )
    run = make_run(cost=replace_fields(COST, layers=layers))
    blocks = read_section([run])["blocks"]

    assert [block["text"].split(":")[0] for block in blocks] == [
        "a.conv", "pool", "b.conv", "mean", "classes",
    ]  # fmt: skip
    kinds = [k for b in blocks for k in b["text"].split(": ")[1].split(";")[0].split(", ")]
    assert kinds == [kind for _, kind, *_ in NETWORK]
    assert [block["parameters"] for block in blocks] == [88, 0, 720, 0, 110]
    assert [(b["channels"], b["side"]) for b in blocks] == [
        (8, 26), (8, 13), (10, 11), (10, 1), (10, 1),
    ]  # fmt: skip
    assert [block["field"] for block in blocks] == [3, 4, 8, None, None]


def test_a_network_without_recorded_layers_has_no_blocks():
    """Nothing is drawn of what nobody wrote down."""
    assert read_section([make_run(cost=replace_fields(COST, layers=()))])["blocks"] == []


def test_confusions_count_the_mistakes_of_all_last_epochs():
    """Three fours as nines by two seeds, one seven as one by one of them; most frequent first."""
    fours = [Mistake(n, 4, 9) for n in (1, 5, 9)]
    runs = [
        make_run(seed=0, mistakes=fours),
        make_run(seed=1, mistakes=[*fours, Mistake(20, 7, 1)]),
    ]
    expected = Counter({(4, 9): 6, (7, 1): 1})

    confusions = read_section(runs)["confusions"]

    found = [(each["label"], each["predicted"], each["count"]) for each in confusions]
    assert found == [(*pair, count) for pair, count in expected.most_common()]


def read_two_iterations() -> dict[str, Any]:
    """Return the document of two iterations, the later one larger and better."""
    iterations = [make_iteration(name=f"iteration_{n}") for n in (1, 2)]
    counts = {"iteration_1": (9_930, 9_934, 9_932), "iteration_2": (9_950, 9_954, 9_951)}
    costs = {"iteration_1": COST, "iteration_2": replace_fields(COST, parameters=9_000, macs=1_000)}
    verdicts = [
        make_verdict(
            [
                make_run(seed=s, validation_correct=[n] * 3, iteration=name, cost=costs[name])
                for s, n in enumerate(counts[name])
            ],
            iteration,
        )
        for name, iteration in zip(counts, iterations, strict=True)
    ]
    return read_data(render_page(verdicts, iterations, MNIST))


def test_fronts_name_what_no_other_beats_at_its_cost():
    """The later is better: costlier in parameters, so both are in front; cheaper in MACs."""
    fronts = read_two_iterations()["fronts"]

    assert fronts["parameters"] == ["iteration_1", "iteration_2"]
    assert fronts["macs"] == ["iteration_2"]


def test_a_step_is_the_difference_in_points_with_welchs_interval():
    """Means of the windows of both, by scipy, in percentage points."""
    (step,) = read_two_iterations()["steps"]
    test = stats.ttest_ind((99.50, 99.54, 99.51), (99.30, 99.34, 99.32), equal_var=False)
    interval = test.confidence_interval(0.95)

    assert step["name"] == "iteration 1 to iteration 2"
    assert step["mean"] == pytest.approx(298.55 / 3 - 297.96 / 3)
    assert (step["lower"], step["upper"]) == pytest.approx((interval.low, interval.high), abs=1e-6)


def test_claims_are_the_authors_own_and_the_public_ones():
    """Per cent becomes a proportion; the page says of each that it is one run."""
    own, *public = read(RUNS)["claims"]

    assert own["accuracy"] == pytest.approx(CLAIM.validation_accuracy / 100)
    assert own["parameters"] == 7_924
    assert "one run" in own["text"]
    assert len(public) == 14
    assert all("one run" in claim["text"] for claim in public)
    assert public[0]["accuracy"] == pytest.approx(0.9952)


def test_a_demonstration_compares_no_claims():
    """A claim of MNIST says nothing of other digits."""
    run = make_run(challenge=DIGITS, total=360, validation_correct=[355] * 15)
    data = read([run], challenge=DIGITS)

    assert data["claims"] == []
    assert data["sections"][0]["images"] == 360
    assert data["sections"][0]["validation_errors"] == [[5] * 15]


def list_commands(section: dict[str, Any]) -> list[str]:
    """Return each run's command as the page's table makes it: template, then seed."""
    templates = section["commands"]
    return [
        templates[place].replace("{seed}", str(seed))
        for place, seed in zip(section["commit_of"], section["seeds"], strict=True)
    ]


def test_each_run_has_the_command_that_trains_it_again():
    """From its own commit, on its own device and engine, into a ledger of its own."""
    conditions = replace_fields(CONDITIONS, engine="native")
    machines = [MACHINE, replace_fields(MACHINE, commit="abcdef" + "0" * 34)]
    runs = [
        make_run(seed=s, conditions=conditions, machine=machines[s % 2], validation_correct=STEADY)
        for s in range(8)
    ]
    section = read_section(runs)

    command = list_commands(section)[7]

    assert command == (
        "git checkout abcdef000000 && bench run iteration_4 --seeds 7-7 --device cpu "
        "--engine native --dataset mnist --ledger again"
    )
    assert section["commits"] == ["0123456789ab", "abcdef000000"]
    assert section["commit_of"] == [0, 1] * 4


def test_a_block_of_seeds_and_a_gpu_are_part_of_the_command():
    """Width and device are conditions: the device's kind alone is what --device takes."""
    conditions = Conditions(
        device="cuda sm_90", precision="fp32", engine="stacked", torch="2.11", block=16
    )
    (command,) = list_commands(read_section([make_run(conditions=conditions)]))

    assert shlex.split(command.partition(" && ")[2]) == [
        "bench", "run", "iteration_4", "--seeds", "0-0", "--device", "cuda", "--engine", "stacked",
        "--block", "16", "--dataset", "mnist", "--ledger", "again",
    ]  # fmt: skip


@pytest.mark.parametrize("changes", [{"commit": None, "dirty": None}, {"dirty": True}])
def test_code_that_cannot_be_had_again_is_not_checked_out(changes: dict[str, Any]):
    """Without a commit, or with uncommitted changes, the command does not pretend to."""
    section = read_section([make_run(machine=replace_fields(MACHINE, **changes))])
    (command,) = list_commands(section)

    assert command.startswith("bench run ")
    assert section["commits"][0] in ("not recorded", "0123456789ab with uncommitted changes")


@pytest.mark.parametrize("hostile", ["x; rm -rf ~", "$(id)", "a'b", 'a"b', "`id`", "a b", "&& id"])
def test_a_hostile_name_stays_one_word_of_the_shell(hostile: str):
    """Name, engine and commit are quoted: a shell splits off no command of theirs."""
    conditions = replace_fields(CONDITIONS, engine=hostile, device=f"{hostile.split()[0]} sm_90")
    machine = replace_fields(MACHINE, commit=hostile)
    run = make_run(iteration=hostile, conditions=conditions, machine=machine)
    (command,) = list_commands(read_section([run], iteration=make_iteration(name=hostile)))

    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    assert list(lexer) == [
        "git", "checkout", hostile[:12], "&&",
        "bench", "run", hostile, "--seeds", "0-0", "--device", hostile.split()[0],
        "--engine", hostile, "--dataset", "mnist", "--ledger", "again",
    ]  # fmt: skip


def test_a_name_with_the_place_of_a_seed_in_it_stays_as_it_is():
    """The template's own place for the seed is the only one that is filled."""
    name = "odd {seed}"
    run = make_run(seed=0, iteration=name)
    (command,) = list_commands(read_section([run], iteration=make_iteration(name=name)))

    assert shlex.split(command.partition(" && ")[2])[2:5] == [name, "--seeds", "0-0"]


def test_nothing_in_the_document_is_not_a_number():
    """Runs of all kinds, and runs that all diverged, give JSON that every reader takes."""
    for runs in (RUNS, RUNS[:1], RUNS[2:4], []):
        data = read(runs)
        assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_real_iterations_without_runs_give_an_empty_document():
    """No section, no step, no front; the public claims need no run of ours."""
    iterations = list_iterations()
    verdicts = [make_verdict([], iteration) for iteration in iterations]
    data = read_data(render_page(verdicts, iterations, MNIST))

    assert (data["sections"], data["steps"]) == ([], [])
    assert data["fronts"] == {"parameters": [], "macs": []}


def test_totals_that_differ_are_drawn_in_proportion():
    """A run scored on half the images has its errors doubled, so that one axis serves all."""
    runs = [
        make_run(seed=0, validation_correct=(9_950,) * 3),
        make_run(seed=1, validation_correct=(4_975,) * 3, total=5_000),
    ]
    section = read_section(runs)

    assert section["images"] == 10_000
    assert section["validation_errors"] == [[50] * 3, [50] * 3]
    assert section["minima"] == [9_950, 9_950]
    assert Fraction(section["bands"][0]["median"]) == 9_950

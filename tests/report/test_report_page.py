"""The page as a reader meets it: structure, words, safety and sanity without evidence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from builders import (
    CONDITIONS,
    SHAKY,
    STEADY,
    make_diverged,
    make_iteration,
    make_run,
    make_verdict,
)
from page_reader import find_charts, read_data
from scipy import stats

import bench
from bench.challenges import DIGITS, MNIST
from bench.errors import BenchError
from bench.evidence import select_evidence
from bench.iterations import Iteration, list_iterations
from bench.records import Answer, Conditions
from bench.report.page import TEMPLATES, render_page, write_page
from bench.report.tables import tabulate_recipe
from bench.verdict import Verdict, judge
from models.recipe import (
    SGD,
    CenterCrop,
    OneCycle,
    Pipeline,
    RandomApply,
    RandomRotation,
    Recipe,
    Resize,
    Statement,
)

CUDA = Conditions(device="cuda sm_90", precision="fp32", engine="graph", torch="2.11")
SCRIPT = "<script>alert('x')</script>"


def render(*verdicts: Verdict, iterations: list[Iteration] | None = None) -> str:
    return render_page(verdicts, iterations or [make_iteration()], MNIST)


def runs_of(*outcomes: tuple[int, ...]):
    return [make_run(seed=seed, validation_correct=v) for seed, v in enumerate(outcomes)]


def test_the_same_evidence_gives_the_same_bytes():
    """Nothing of the moment or the machine enters the page."""
    verdict = make_verdict(runs_of(STEADY, SHAKY))
    assert render(verdict) == render(verdict)


def test_a_narrative_is_shown_as_text_and_never_run(read):
    """What an iteration file says cannot become markup, in its title or in its analysis."""
    iteration = make_iteration(title=SCRIPT, analysis=(SCRIPT, "A & B < C"))
    page = render(make_verdict(runs_of(STEADY), iteration), iterations=[iteration])
    document = read(page)
    assert SCRIPT not in page
    assert SCRIPT in document.text
    assert "A & B < C" in document.text


def test_code_in_a_verdict_is_escaped_like_all_else(read):
    """Backticks make code of a text, and code is escaped too."""
    name = "<b>"
    iteration = make_iteration(name=name)
    document = read(render(make_verdict([], iteration), iterations=[iteration]))
    assert not document.find_all("b")
    assert "bench run '<b>'" in [code.text for code in document.find_all("code")]


def test_there_is_one_card_and_one_chart_for_each_iteration(read):
    """Four iterations with three seeds each: four cards, four charts of three seeds."""
    iterations = [make_iteration(name=f"iteration_{n}") for n in (1, 2, 3, 4)]
    verdicts = [
        make_verdict([make_run(seed=s, iteration=i.name) for s in range(3)], i) for i in iterations
    ]
    page = render(*verdicts, iterations=iterations)
    document = read(page)
    (answers,) = document.find_all("div", "answers")
    assert len(answers.find_all("article", "card")) == 4
    drawn = [each.attributes["data-section"] for each in find_charts(document, "accuracy")]
    assert drawn == [iteration.name for iteration in iterations]
    seeds = {each["anchor"]: each["seeds"] for each in read_data(page)["sections"]}
    assert seeds == {name: [0, 1, 2] for name in drawn}


def test_every_id_is_used_once_and_every_reference_leads_somewhere(read):
    """Links and descriptions point at elements of the page, each of which is unique."""
    other = make_run(seed=0, conditions=CUDA)
    iteration = make_iteration()
    selection = select_evidence([*runs_of(STEADY, SHAKY), other], iteration)
    verdicts = [judge(selection, iteration, MNIST, e.conditions) for e in selection.evidence]
    elements = read(render(*verdicts)).find_all()
    ids = [e.attributes["id"] for e in elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    links = [e.attributes["href"][1:] for e in elements if e.tag == "a"]
    labels = [id_ for e in elements for id_ in e.attributes.get("aria-labelledby", "").split()]
    assert links
    assert set(links + labels) <= set(ids)


def test_two_conditions_of_one_iteration_get_a_card_each(read):
    """Evidence from unlike conditions is never pooled, and its titles tell it apart."""
    iteration = make_iteration()
    selection = select_evidence([*runs_of(STEADY, STEADY), make_run(conditions=CUDA)], iteration)
    verdicts = [judge(selection, iteration, MNIST, e.conditions) for e in selection.evidence]
    document = read(render(*verdicts))
    first, second = document.find_all("article", "card")
    assert [p.text for p in first.find_all("p", "conditions")] == [str(CONDITIONS)]
    assert [p.text for p in second.find_all("p", "conditions")] == [str(CUDA)]


@pytest.mark.parametrize(
    ("outcomes", "answer", "symbol"),
    [
        ([STEADY] * 60, Answer.HOLDS, "✓"),
        ([SHAKY] * 3, Answer.FAILS, "✗"),
        ([STEADY], Answer.UNDECIDED, "?"),
    ],
)
def test_a_card_says_its_answer_in_a_symbol_and_a_word(read, outcomes, answer, symbol):
    """Colour is never alone: each badge reads `symbol WORD`."""
    (card,) = read(render(make_verdict(runs_of(*outcomes)))).find_all("article", "card")
    assert [badge.text for badge in card.find_all("p", "badge")] == [f"{symbol} {answer}"]


def test_the_question_is_the_challenge_in_words(read):
    """Every number of the question is the challenge's own."""
    document = read(render(make_verdict([])))
    (question,) = document.find_all("p", "question")
    assert question.text == (
        "99.4 % on MNIST in every one of the last 3 epochs, for at least 90 % of seeds, within "
        "15 epochs, in fewer than 10,000 parameters."
    )


def test_a_page_without_runs_says_what_to_run(read):
    """An empty ledger gives a whole page, no chart, and the command for each iteration."""
    iterations = list(list_iterations())
    document = read(render(*(make_verdict([], i) for i in iterations), iterations=iterations))
    assert "bench run" in [
        code.text for code in document.find_all("p", "next-step")[0].find_all("code")
    ]
    assert not document.find_all("svg")
    for card, iteration in zip(document.find_all("article", "card"), iterations, strict=True):
        assert f"bench run {iteration.name}" in card.text


def test_a_page_without_iterations_is_whole(read):
    """Nothing to judge is nothing to trip over."""
    assert "Is it consistent?" in read(render_page([], [], MNIST)).text


def test_one_run_is_shown_without_an_interval_or_a_claim_decided(read):
    """One seed has no interval, and one seed decides no claim."""
    document = read(render(make_verdict(runs_of(STEADY))))
    assert "an interval needs two seeds" in document.text
    assert document.text.count("? UNDECIDED") >= 4  # both badges and both claims


def test_other_conditions_of_an_iteration_are_set_apart_and_folded(read):
    """The conditions with most runs come first; all others follow, their section closed."""
    iteration = make_iteration()
    selection = select_evidence([*runs_of(STEADY, STEADY), make_run(conditions=CUDA)], iteration)
    verdicts = [judge(selection, iteration, MNIST, e.conditions) for e in selection.evidence]
    document = read(render(*verdicts))
    (others,) = document.find_all("div", "others")
    (card,) = others.find_all("article", "card")
    assert str(CUDA) in card.text
    main, other = document.find_all("section", "iteration")
    assert not main.find_all("details", "more")
    (folded,) = other.find_all("details", "more")
    assert "open" not in folded.attributes
    assert find_charts(folded, "accuracy")
    assert str(CUDA) in other.find_all("p", "conditions")[0].text


def test_runs_that_all_diverged_are_named_and_not_drawn(read):
    """Not one finished epoch: every seed is in the data, and the page says why no chart is."""
    page = render(make_verdict([make_diverged(seed=seed) for seed in range(3)]))
    document = read(page)
    assert not find_charts(document, "accuracy")
    assert not find_charts(document, "loss")
    assert not find_charts(document, "best")
    assert "No run finished an epoch" in document.text
    assert "seed 0 diverged" in document.text
    (section,) = read_data(page)["sections"]
    assert section["outcomes"] == ["diverged"] * 3


def test_seeds_that_wait_and_runs_that_are_stale_are_named_on_the_card(read):
    """Every recorded run that does not count is accounted for."""
    stale = make_run(seed=0, fingerprint="0" * 64)
    runs = [make_run(seed=seed) for seed in (0, 1, 3, 4)]
    iteration = make_iteration()
    tuning = make_run(seed=1_000_000)
    verdict = judge(select_evidence([stale, tuning, *runs], iteration), iteration, MNIST)
    (card,) = read(render(verdict)).find_all("article", "card")
    assert "Missing seeds 2 " in card.text
    assert "Waiting seeds 3 to 4" in card.text
    assert "Stale 1 run of other code" in card.text
    assert "Tuning 1 run never count" in card.text


def test_a_demonstration_is_announced_loudly(read):
    """The digits' page says that it is no evidence on MNIST, and compares no claim."""
    run = make_run(challenge=DIGITS, total=360, validation_correct=[355] * 15)
    verdict = make_verdict([run], challenge=DIGITS)
    document = read(render_page([verdict], [make_iteration()], DIGITS))
    demonstration, scriptless = document.find_all("p", "warning")
    assert "need JavaScript" in scriptless.text
    assert "say nothing about MNIST" in demonstration.text
    assert "--data DIR" in demonstration.text
    assert "The claim among the seeds" not in document.text
    assert "bench run iteration_4 --seeds 0-0" in document.text
    assert " --dataset digits --ledger again" in document.text


def test_mnist_is_no_demonstration(read):
    """The banner is for demonstrations alone."""
    document = read(render(make_verdict(runs_of(STEADY))))
    assert not [p for p in document.find_all("p", "warning") if p.attributes.get("role") == "note"]
    assert "demonstration" not in document.text.lower()


def test_an_accuracy_below_the_target_is_never_shown_at_it(read):
    """One image of 1,000,000 short of the target is 99.39 %, not 99.40 %."""
    below = make_run(validation_correct=[993_999] * 15, total=1_000_000)
    page = render(make_verdict([below], make_iteration(claim=None)))
    document = read(page)
    assert "99.39 % (seed 0)" in document.text
    assert not re.search(r"99\.40\d* %", document.find_all("section", "iteration")[0].text)


def test_an_accuracy_at_the_target_is_shown_at_it(read):
    """Exactly 9,940 of 10,000 in every epoch has a mean of 99.400 %, with a point for interval."""
    runs = runs_of(*[(9_940,) * 15] * 3)
    assert "99.400 % (95 % interval 99.400 % to 99.400 %)" in read(render(make_verdict(runs))).text


def test_a_page_repeats_the_commands_that_reproduce_its_runs(read):
    """All seeds at once; `--seeds 3` would mean the first three. The button copies just that."""
    document = read(render(make_verdict(runs_of(*[STEADY] * 6))))
    (command,) = document.find_all("div", "code")
    (shown,), (button,) = command.find_all("pre"), command.find_all("button")
    assert shown.text == (
        "bench run iteration_4 --seeds 0-5 --device cpu --engine eager --dataset mnist "
        "--ledger again"
    )
    assert button.attributes["data-copy-from"] == shown.attributes["id"]


def test_every_row_of_every_table_is_as_long_as_its_heading(read):
    """Runs of unlike length, diverged ones among them, leave no cell out."""
    runs = [make_run(seed=0), make_diverged(seed=1, epochs=2), make_diverged(seed=2)]
    tables = read(render(make_verdict(runs))).find_all("table")
    assert len(tables) >= 9
    for table in tables:
        lengths = {
            len([e for e in row.find_all() if e.tag in ("th", "td")])
            for row in table.find_all("tr")
        }
        assert len(lengths) == 1


def test_a_recipe_is_shown_field_by_field(read):
    """Nested settings keep the name of what they belong to."""
    text = read(render(make_verdict([]))).text
    for row in ("optimizer SGD", "optimizer: momentum 0.9", "schedule: milestones 10",
                "augmentation: degrees 7", "averaging none", "batch size 128"):  # fmt: skip
        assert row in text


def test_a_sentence_of_the_analysis_shows_symbol_word_and_figure(read):
    """Measured lines say so in words beside the colour; a line that nobody can measure is bare."""
    iteration = make_iteration(
        analysis=(
            Statement(text="It overfits.", says="overfits"),
            Statement(text="Consistent in the final epochs.", says="is consistent"),
            "A good schedule is hard to find.",
        )
    )
    runs = runs_of(*[STEADY] * 3)
    document = read(render(make_verdict(runs, iteration), iterations=[iteration]))
    assert [mark.text for mark in document.find_all("span", "mark")] == [
        "✗ contradicted",
        "? undecided",
    ]
    overfits, consistent = (figure.text for figure in document.find_all("span", "figure"))
    assert overfits.startswith("Training minus validation accuracy in the last epoch: −0.460")
    assert consistent.startswith("3 of 3 seeds hold the target in each of the last 3 epochs")
    lines = [item.text for item in document.find_all("li")]
    assert "A good schedule is hard to find." in lines


def test_an_iteration_without_analysis_shows_one_made_from_its_runs(read):
    """It says that its author wrote none; without runs there is nothing to make it from."""
    iteration = make_iteration(analysis=())
    with_runs = read(render(make_verdict(runs_of(STEADY), iteration), iterations=[iteration]))
    assert "Made from the runs; its author wrote none." in with_runs.text
    assert len(with_runs.find_all("span", "mark")) == 8
    without = read(render(make_verdict([], iteration), iterations=[iteration]))
    assert "None written." in without.text
    assert not without.find_all("span", "mark")


def test_consecutive_iterations_are_compared_in_one_table(read):
    """One row a step, with interval, corrected p and the chance of being better."""
    iterations = [make_iteration(name=f"iteration_{n}") for n in (1, 2)]
    counts = {"iteration_1": (9_930, 9_934, 9_932), "iteration_2": (9_950, 9_954, 9_951)}
    verdicts = [
        make_verdict(
            [
                make_run(seed=s, validation_correct=[n] * 3, iteration=i.name)
                for s, n in enumerate(counts[i.name])
            ],
            i,
        )
        for i in iterations
    ]
    document = read(render(*verdicts, iterations=iterations))
    (table,) = [t for t in document.find_all("table") if "iteration 1 to iteration 2" in t.text]
    expected = stats.ttest_ind(*(counts[f"iteration_{n}"] for n in (2, 1)), equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert f"+{interval.low / 100:.2f} to +{interval.high / 100:.2f} points" in table.text
    assert expected.pvalue < 0.001
    assert table.text.endswith("below 0.001 100.0 %")
    assert "From each iteration to the next" not in read(render(make_verdict([]))).text


def test_the_tables_that_describe_mark_what_was_asked(read):
    """The target among the thresholds, and the challenge's own row in each of three variations."""
    document = read(render(make_verdict(runs_of(STEADY, SHAKY))))
    thresholds, sensitivity = (
        next(t for t in document.find_all("table") if heading in t.text)
        for heading in ("Threshold", "Changed")
    )
    rows = [row.text for row in thresholds.find_all("tr")]
    assert rows[2].startswith("99.4 % 1 of 2")
    assert rows[2].endswith("target")
    assert sum(row.text.endswith("as asked") for row in sensitivity.find_all("tr")) == 3


def test_rendering_never_imports_torch():
    """The page is made where torch is not installed: a fresh interpreter stays without it."""
    code = (
        "import sys; from bench.challenges import MNIST; from bench.report.page import render_page;"
        "render_page([], [], MNIST); sys.exit('torch' in sys.modules)"
    )
    root = Path(bench.__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0


def test_a_page_is_written_whole_and_leaves_nothing_beside_it(tmp_path: Path):
    """The file holds the page as UTF-8; no temporary file stays."""
    path = tmp_path / "reports" / "index.html"
    write_page(path, "first ✓")
    write_page(path, "second ✓")
    assert path.read_text(encoding="utf-8") == "second ✓"
    assert list(path.parent.iterdir()) == [path]


def test_a_page_that_cannot_be_written_is_one_line_of_advice(tmp_path: Path):
    """A file in place of the folder is a user's mistake, not a traceback."""
    (tmp_path / "reports").write_text("not a folder")
    with pytest.raises(BenchError, match="the page cannot be written") as error:
        write_page(tmp_path / "reports" / "index.html", "page")
    assert "\n" not in str(error.value)


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [(t, g) for t in ("ink", "soft", "accent") for g in ("ground", "paper", "shade")]
    + [("ink", "code")]
    + [(answer, f"{answer}-ground") for answer in ("holds", "fails", "undecided")]
    + [("undecided", "paper"), ("fails", "paper"), ("holds", "paper")],
)
def test_every_text_stands_out_from_its_ground(scheme: int, text: str, ground: str):
    """Contrast is 4.5 : 1 or more (WCAG 2.2, 1.4.3, with its formula of relative luminance)."""
    css = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    palettes = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", palettes[scheme]))
    light, dark = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_recipe_of_transforms_is_shown_setting_by_setting() -> None:
    """Each transform in its place of the pipeline, numbered; what a cycle does to the momentum."""
    recipe = Recipe(
        optimizer=SGD(momentum=0.9),
        schedule=OneCycle(peak=0.1, momentum=(0.85, 0.95)),
        batch_size=128,
        epochs=15,
        augmentation=Pipeline(
            pictures=(
                RandomApply(transforms=(CenterCrop(size=22), Resize(size=28)), p=0.1),
                RandomRotation(degrees=(-7, 7), fill=1),
            )
        ),
    )
    rows = dict(tabulate_recipe(recipe).rows)
    assert rows["schedule: momentum"] == "0.85, 0.95"
    assert rows["augmentation: pictures 1"] == "RandomApply"
    assert rows["augmentation: pictures 1: transforms 1: size"] == "22"
    assert rows["augmentation: pictures 2"] == "RandomRotation"
    assert rows["augmentation: pictures 2: degrees"] == "-7, 7"
    assert rows["augmentation: normalised"] == "none"

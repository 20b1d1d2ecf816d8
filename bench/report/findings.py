"""Tables of the findings that describe and never decide: rows of text, nothing computed."""

from __future__ import annotations

from bench.challenges import name_class, name_kind, shows_digits
from bench.figures import format_count, format_percent
from bench.findings import (
    Comparison,
    Difficulty,
    DigitDifficulty,
    FirstEpochs,
    SamplingError,
    Sensitivity,
    Share,
    ThresholdShare,
    Variation,
)
from bench.records import Challenge
from bench.report.tables import Column, Table
from bench.report.wording import (
    ABSENT,
    SYMBOLS,
    format_epochs,
    format_exact_percent,
    format_gap,
    format_number,
    format_p,
    format_percentile,
)

SHOWN_IMAGES = 25
"""Hard images listed on the page; the caption says how many there are."""


def tabulate_thresholds(shares: tuple[ThresholdShare, ...], challenge: Challenge) -> Table:
    """Return the share of seeds at or above every threshold, the target among them."""
    level = format_exact_percent(challenge.confidence)
    return Table(
        caption="Seeds at or above a threshold in every one of the last "
        f"{challenge.window} epochs, at each threshold where their number changes. Exact bounds "
        f"(Clopper–Pearson) at {level} each, not for all rows together.",
        columns=(
            Column(heading="Threshold", numeric=True),
            Column(heading="Seeds", numeric=True),
            *_bound_columns(),
            Column(heading=""),
        ),
        rows=tuple(_threshold_row(each, challenge) for each in shares),
    )


def _threshold_row(each: ThresholdShare, challenge: Challenge) -> tuple[str, ...]:
    is_target = each.threshold == challenge.target
    return (
        format_exact_percent(each.threshold) if is_target else format_percent(each.threshold),
        _of(each.share),
        *_bounds(each.share),
        "target" if is_target else "",
    )


def tabulate_sensitivity(sensitivity: Sensitivity, challenge: Challenge) -> Table:
    """Return the reliable finding for other windows, reliabilities and targets."""
    rows = [
        *(
            _vary_row(f"last {format_number(each.window, 'epoch')}", each, challenge)
            for each in sensitivity.windows
        ),
        *(
            _vary_row(f"{format_exact_percent(each.reliability)} of seeds", each, challenge)
            for each in sensitivity.reliabilities
        ),
        *(
            _vary_row(f"target {format_exact_percent(each.target)}", each, challenge)
            for each in sensitivity.targets
        ),
    ]
    return Table(
        caption="The same seeds, judged with one number changed. The stated error rate is that of "
        "the challenge as it was asked, not of the best row.",
        columns=(
            Column(heading="Changed"),
            Column(heading="Seeds that hold", numeric=True),
            Column(heading="Reliable"),
            Column(heading="Decided after", numeric=True),
            Column(heading=""),
        ),
        rows=tuple(rows),
    )


def _vary_row(label: str, variation: Variation, challenge: Challenge) -> tuple[str, ...]:
    numbers = (variation.window, variation.reliability, variation.target)
    asked = numbers == (challenge.window, challenge.reliability, challenge.target)
    return (
        label,
        f"{format_count(variation.holding)} of {format_count(variation.runs)}",
        f"{SYMBOLS[variation.answer]} {variation.answer}",
        ABSENT if variation.decided_after is None else format_count(variation.decided_after),
        "as asked" if asked else "",
    )


def caption_hard_images(difficulty: Difficulty) -> str:
    """Return how many images most seeds get wrong, and how many of them are shown."""
    if not difficulty.hard:
        return "No image is wrong in more than half of the seeds."
    more = len(difficulty.hard) > SHOWN_IMAGES
    return (
        f"{format_number(len(difficulty.hard), 'image')} that more than half of "
        f"{format_number(difficulty.seeds, 'seed')} get wrong in the last epoch"
        + (f", the hardest {SHOWN_IMAGES} of them." if more else ".")
    )


def tabulate_digits(difficulty: Difficulty, challenge: Challenge) -> Table | None:
    """Return how hard each digit is, `None` when no seed finished or nothing was wrong."""
    if not difficulty.digits:
        return None
    level = format_exact_percent(challenge.confidence)
    noun = name_kind(challenge)
    return Table(
        caption=f"Errors by {noun} in the last epoch. The error rate is a mean over seeds with "
        f"Student's {level} interval; images that most seeds get wrong have the exact {level} "
        "bounds of their share.",
        columns=(
            Column(heading=noun.capitalize(), numeric=shows_digits(challenge)),
            Column(heading="Images", numeric=True),
            Column(heading="Errors of all seeds", numeric=True),
            Column(heading="Error rate", numeric=True),
            Column(heading="Interval", numeric=True),
            Column(heading="Wrong in most seeds", numeric=True),
            *_bound_columns(),
        ),
        rows=tuple(_digit_row(digit, challenge) for digit in difficulty.digits),
    )


def _digit_row(digit: DigitDifficulty, challenge: Challenge) -> tuple[str, ...]:
    rate = digit.error_rate
    bounds = ABSENT
    if rate is not None and rate.lower is not None and rate.upper is not None:
        bounds = f"{format_percent(rate.lower)} to {format_percent(rate.upper)}"
    return (
        name_class(challenge, digit.label),
        ABSENT if digit.images is None else format_count(digit.images),
        format_count(digit.errors),
        ABSENT if rate is None else format_percent(rate.mean),
        bounds,
        format_count(digit.hard),
        *(_bounds(digit.hard_share) if digit.hard_share else (ABSENT, ABSENT)),
    )


def tabulate_comparisons(comparisons: tuple[Comparison, ...], challenge: Challenge) -> Table | None:
    """Return the steps from each iteration to the next, `None` when there is no step."""
    if not comparisons:
        return None
    level = format_exact_percent(challenge.confidence)
    several = len({comparison.conditions for comparison in comparisons}) > 1
    return Table(
        caption="Mean accuracy of the final window against the iteration before, over seeds that "
        f"have one, with Welch's {level} interval; p is corrected by Holm for all rows. "
        "Better is the chance that a run of the later iteration beats one of the earlier, ties "
        "counting half; a run that diverged is beaten by any that did not.",
        columns=(
            Column(heading="Step"),
            *((Column(heading="Conditions"),) if several else ()),
            Column(heading="Seeds", numeric=True),
            Column(heading="Difference", numeric=True),
            Column(heading="p, corrected", numeric=True),
            Column(heading="Better", numeric=True),
        ),
        rows=tuple(
            (
                f"{_name(each.earlier)} to {_name(each.later)}",
                *((str(each.conditions),) if several else ()),
                f"{format_count(each.earlier_runs)} and {format_count(each.later_runs)}",
                format_gap(each.difference, confidence=challenge.confidence),
                format_p(each.adjusted_p),
                format_percentile(each.improvement),
            )
            for each in comparisons
        ),
    )


def _name(iteration: str) -> str:
    return iteration.replace("_", " ")


def _bound_columns() -> tuple[Column, Column]:
    return Column(heading="At least", numeric=True), Column(heading="At most", numeric=True)


def _bounds(share: Share) -> tuple[str, str]:
    return (format_percent(share.lower, decimals=1), format_percent(share.upper, decimals=1))


def _of(share: Share) -> str:
    return f"{format_count(share.part)} of {format_count(share.whole)}"


def describe_first(first: FirstEpochs) -> str:
    """Return when the seeds were first at an accuracy, the median and how many never were."""
    if first.earliest is None or first.latest is None:
        return "never"
    seeds = len(first.by_seed)
    text = format_epochs(first.earliest, first.latest)
    if first.earliest != first.latest or first.never:
        text += f", median {_write_median(first)}"
    never = f"{format_count(first.never)} of {format_count(seeds)}"
    return f"{text}; never in {never}" if first.never else text


def _write_median(first: FirstEpochs) -> str:
    return "never" if first.median is None else f"{float(first.median):g}"


def describe_sampling(sampling: SamplingError | None, challenge: Challenge) -> str:
    """Return what a test set of as many fresh images would show at the mean accuracy."""
    if sampling is None:
        return ABSENT
    lowest, highest = format_count(sampling.lowest), format_count(sampling.highest)
    return (
        f"{lowest} to {highest} of {format_count(sampling.images)} correct in "
        f"{format_exact_percent(challenge.confidence)} of them "
        f"(standard error {100 * sampling.standard_error:.3f} points)"
    )

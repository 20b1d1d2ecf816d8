"""What others report of one run of a small network on MNIST: single runs, best of their epochs."""

from __future__ import annotations

from dataclasses import dataclass

GITHUB = "https://github.com"


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicClaim:
    """One reported run: best accuracy on the test set and lowest of the last three, in per cent.

    Accuracies are as written, `lowest` is `None` where no log shows it; `source` is where it is
    written, `None` where it was passed on without one.
    """

    parameters: int
    accuracy: str
    lowest: str | None
    source: str | None


PUBLIC_CLAIMS = (
    PublicClaim(
        parameters=3_762,
        accuracy="99.52",
        lowest="99.42",
        source=f"{GITHUB}/woolly-of-cv/pytorch-examples",
    ),
    PublicClaim(
        parameters=4_838,
        accuracy="99.42",
        lowest="99.35",
        source=f"{GITHUB}/woolly-of-cv/pytorch-examples",
    ),
    PublicClaim(
        parameters=5_760,
        accuracy="99.45",
        lowest="99.37",
        source=f"{GITHUB}/woolly-of-cv/pytorch-examples",
    ),
    PublicClaim(parameters=6_188, accuracy="99.54", lowest=None, source=None),
    PublicClaim(
        parameters=6_544,
        accuracy="99.45",
        lowest="99.40",
        source=f"{GITHUB}/KD1994/session-7-MNIST-8k",
    ),
    PublicClaim(
        parameters=6_720,
        accuracy="99.53",
        lowest=None,
        source=f"{GITHUB}/pankaja0285/era_v1_session7_pankaja",
    ),
    PublicClaim(
        parameters=6_750, accuracy="99.50", lowest="99.41", source=f"{GITHUB}/dine1717/ERA2"
    ),
    PublicClaim(
        parameters=7_416, accuracy="99.43", lowest="99.40", source=f"{GITHUB}/sujitojha1/EVA8"
    ),
    PublicClaim(
        parameters=7_416, accuracy="99.33", lowest=None, source=f"{GITHUB}/jaiyesh/tsai-era"
    ),
    PublicClaim(
        parameters=7_416, accuracy="99.45", lowest=None, source=f"{GITHUB}/VarunSivamani/ERA-V1"
    ),
    PublicClaim(
        parameters=7_416,
        accuracy="99.47",
        lowest="99.34",
        source=f"{GITHUB}/KD1994/session-7-MNIST-8k",
    ),
    PublicClaim(
        parameters=7_918, accuracy="99.52", lowest="99.45", source=f"{GITHUB}/snehanshu-raj/ERA"
    ),
    PublicClaim(
        parameters=8_172, accuracy="99.57", lowest="99.48", source=f"{GITHUB}/dine1717/ERA2"
    ),
    PublicClaim(
        parameters=9_994, accuracy="99.61", lowest="99.60", source=f"{GITHUB}/sagarigrandhi/EVA4"
    ),
)
"""By parameters: what the README files and logged notebooks of these repositories say."""

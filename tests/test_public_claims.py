"""What others report of single runs, as it is kept."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from bench.challenges import MNIST
from bench.public_claims import PUBLIC_CLAIMS, PublicClaim

each_claim = pytest.mark.parametrize(
    "claim", PUBLIC_CLAIMS, ids=lambda claim: f"{claim.parameters}-{claim.accuracy}"
)


def test_claims_are_in_the_order_of_their_parameters():
    """The smallest network comes first, and none is there twice."""
    parameters = [claim.parameters for claim in PUBLIC_CLAIMS]

    assert parameters == sorted(parameters)
    assert len(set(PUBLIC_CLAIMS)) == len(PUBLIC_CLAIMS) > 0


@each_claim
def test_an_accuracy_is_in_per_cent_as_it_was_written(claim: PublicClaim):
    """Two decimals, as the logs have them, and no more than all images."""
    for accuracy in filter(None, (claim.accuracy, claim.lowest)):
        assert re.fullmatch(r"\d\d\.\d\d", accuracy)
        assert 99 < Decimal(accuracy) < 100


@each_claim
def test_the_lowest_of_the_last_epochs_is_not_above_the_best(claim: PublicClaim):
    """A best epoch is the best of all."""
    lowest = Decimal(claim.lowest or "0")

    assert lowest <= Decimal(claim.accuracy)


@each_claim
def test_a_claim_is_within_the_budget_and_names_a_repository_if_any(claim: PublicClaim):
    """Only small networks are of interest; a source is an owner and a repository on GitHub."""
    assert 0 < claim.parameters < MNIST.parameters
    assert claim.source is None or re.fullmatch(
        r"https://github\.com/[\w.-]+/[\w.-]+", claim.source
    )

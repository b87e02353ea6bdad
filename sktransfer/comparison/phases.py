"""What needs no choice, then the choice of an encoder, then what starts from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sktransfer.comparison.candidates import Candidate
from sktransfer.comparison.leading import Choice, choose_leader
from sktransfer.comparison.lineup import Lineup
from sktransfer.comparison.schedule import Schedule
from sktransfer.comparison.summary import Summary
from sktransfer.exceptions import TrainingError

__all__ = ["Course", "run_phases"]


@dataclass(frozen=True)
class Course:
    """How a comparison went.

    Attributes
    ----------
    candidates : list of Candidate
        In the order in which they ran.
    sharing : list of Candidate
        The same, as they ran.
    outcomes : dict of (name, size) to list of dict
        From `Schedule.run`.
    choice : Choice
        Which encoder led.
    encoder : BertFeaturizer or None
        That one, as it ran; where none led, the first whose vectors were made.
    """

    candidates: list[Candidate]
    sharing: list[Candidate]
    outcomes: dict[tuple[str, int], list[dict[str, Any]]]
    choice: Choice
    encoder: Any


def run_phases(
    schedule: Schedule,
    lineup: Lineup,
    share: Callable[[list[Candidate]], list[Candidate]],
) -> Course:
    """Run a line-up.

    Parameters
    ----------
    schedule : Schedule
        With a deadline, encoders that could not be told apart from the leader are tuned
        after it.
    lineup : Lineup
        Who runs when.
    share : callable
        From candidates to such that find each other's vectors.

    Returns
    -------
    course : Course
    """
    candidates, sharing = list(lineup.first), share(lineup.first)
    outcomes = schedule.run(sharing)
    choice = choose_leader(
        Summary(schedule.data, candidates, outcomes, None), lineup.evidence
    )
    rivals = choice.rivals if schedule.deadline is not None else []
    error = None
    if choice.failure:
        error = TrainingError(
            "there is no encoder to start from, as none has frozen features: "
            + choice.failure
        )
    for stage in lineup.rest(choice.leader, rivals):
        shared = share(stage)
        outcomes |= schedule.run(shared, error)
        candidates, sharing = candidates + stage, sharing + shared
    # The leader's own rows first.
    ordered = sorted(sharing, key=lambda c: c.encoder != choice.leader)
    encoder = schedule.costs.find_encoder(c.estimator for c in ordered)
    return Course(candidates, sharing, outcomes, choice, encoder)

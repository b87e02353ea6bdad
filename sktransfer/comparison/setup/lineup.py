"""Who runs when: some strategies start from an encoder that others have to find first.

With one encoder everything is known beforehand. With several, each has a row of frozen
features, and the strategies that tune follow the one whose row leads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sktransfer.comparison.setup.candidates import Candidate, cost_of

__all__ = ["Lineup"]

# What `cost_of` answers for estimators that train layers of a network, and above.
_TRAINS_LAYERS = 40


@dataclass(frozen=True)
class Lineup:
    """Candidates in the order in which they run.

    Attributes
    ----------
    first : list of Candidate
        What runs before an encoder is chosen, the cheap ones first.
    late : list of Candidate, default=[]
        What could, but takes long.
    followers : dict of str to list of Candidate, default={}
        By encoder what starts from it if it leads, under plain names. Empty where there
        is nothing to choose.
    encoders : list of str, default=[]
        Names of the transformers that take part, the cheap ones first.
    """

    first: list[Candidate]
    late: list[Candidate] = field(default_factory=list)
    followers: dict[str, list[Candidate]] = field(default_factory=dict)
    encoders: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> Lineup:
        """Sort candidates, whose names are plain where they belong to an encoder."""
        strategies = [c for c in candidates if c.for_each_encoder]
        encoders = list(dict.fromkeys(str(c.encoder) for c in strategies))
        if len(encoders) < 2:
            return cls(sorted(candidates, key=cost_of), encoders=encoders)
        followers = {
            encoder: [c for c in strategies if c.follows and c.encoder == encoder]
            for encoder in encoders
        }
        others = [c.named_apart() for c in candidates if not c.follows]
        if not any(followers.values()):
            return cls(sorted(others, key=cost_of), encoders=encoders)
        return cls(
            sorted((c for c in others if cost_of(c) < _TRAINS_LAYERS), key=cost_of),
            [c for c in others if cost_of(c) >= _TRAINS_LAYERS],
            followers,
            encoders,
        )

    @property
    def names(self) -> list[str]:
        """Names of the rows that are certain to be there."""
        followers = next(iter(self.followers.values()), [])
        return [c.name for c in (*self.first, *self.late, *followers)]

    @property
    def possible(self) -> list[Candidate]:
        """All that may run, each as it is recorded."""
        followers = [c for found in self.followers.values() for c in found]
        return [*self.first, *self.late, *(c.named_apart() for c in followers)]

    @property
    def evidence(self) -> dict[str, str | None]:
        """Encoder to the name of its row of frozen features, if there is one."""
        found = {
            c.encoder: c.name
            for c in reversed(self.first)
            if c.for_each_encoder and not c.follows
        }
        return {encoder: found.get(encoder) for encoder in self.encoders}

    def rest(
        self, leader: str | None, rivals: Iterable[str] = ()
    ) -> list[list[Candidate]]:
        """What runs after an encoder was chosen.

        Parameters
        ----------
        leader : str or None
            The encoder. With None some other stands in, so that rows can say why they
            were not run.
        rivals : iterable of str, default=()
            Encoders that are tuned after it, under names that tell them.

        Returns
        -------
        candidates : list of list of Candidate
            Those of the leader and of each rival, one after the other; the cheap ones
            of each first.
        """
        if not self.followers:
            return []
        of_leader = [c.leading() for c in self.followers[leader or self.encoders[0]]]
        if leader is None:
            of_leader = [replace(c, encoder=None) for c in of_leader]
        of_rivals = [[c.named_apart() for c in self.followers[r]] for r in rivals]
        return [
            sorted(found, key=cost_of)
            for found in ([*self.late, *of_leader], *of_rivals)
        ]

    def resolve(self, name: str | None, leader: str | None) -> str | None:
        """Name of a row; where each encoder has such a row, that of the leader."""
        if name is None or name in self.names:
            return name
        return f"{name} ({leader or self.encoders[0]})"

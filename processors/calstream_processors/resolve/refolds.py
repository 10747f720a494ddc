"""The refolds under way in one partition, and which entities their slices have."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from calstream_schemas.observations import Fact, Observation
from calstream_schemas.refolds import Refold
from calstream_schemas.rule_sets import RuleSet

Keys = Callable[[], Iterable[str]]
"""Gives the keys of all entities of a workspace."""


class Step(NamedTuple):
    """A slice that is about to be done.

    Attributes:
        refold: how far it is before.
        slices: the keys of all slices, in order each; those of slices that are done may be there.
    """

    refold: Refold
    slices: Sequence[Sequence[str]]

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the slice."""
        return self.slices[self.refold.done]


class Refolds:
    """At most one refold for each workspace: a newer one takes the place of an older one.

    What the slices have is derived: it is listed when it is first needed, also after a restart.
    Entities that came since are folded by the rules in force anyway, so it is all the same whether
    they are in a list or not.
    """

    def __init__(self) -> None:
        self._under_way: dict[str, Step] = {}

    def of(self, workspace: str) -> Refold | None:
        """The refold under way, if there is one."""
        found = self._under_way.get(workspace)
        return found.refold if found else None

    def restore(self, workspace: str, refold: Refold) -> None:
        """Takes a refold over as it was left."""
        self._under_way[workspace] = Step(refold, ())

    def step(self, observation: Observation, keys: Keys, rules: RuleSet) -> Step | None:
        """What an observation asks to be done: the first slice of a refold, or the next.

        None where it asks for nothing, or for what was done or replaced. Changes nothing.

        Args:
            observation: which asks.
            keys: of the workspace's entities.
            rules: in force until now.
        """
        found = self._under_way.get(observation.workspace)
        if observation.rule_set is not None:
            listed = list(keys())
            # one that it replaces had perhaps not come to all contacts
            restates = observation.rule_set.leads != rules.leads or (
                found is not None and found.refold.restates
            )
            refold = Refold.begun(observation, listed, restates=restates)
            return Step(refold, _sliced(refold, listed))
        if observation.fact is not Fact.REFOLD or found is None:
            return None
        if not found.refold.is_next(observation):
            return None
        return found if found.slices else found._replace(slices=_sliced(found.refold, keys()))

    def advance(self, workspace: str, step: Step, changed: int) -> Refold:
        """Takes note that a slice is done; a refold that is done is forgotten.

        Args:
            workspace: whose.
            step: what was done.
            changed: how many entities of it have a new version.

        Returns:
            How far the refold is now.
        """
        refold = step.refold.with_slice(changed)
        if refold.is_done:
            self._under_way.pop(workspace, None)
        else:
            self._under_way[workspace] = step._replace(refold=refold)
        return refold


def _sliced(refold: Refold, keys: Iterable[str]) -> list[list[str]]:
    slices: list[list[str]] = [[] for _ in range(refold.slices)]
    for key in keys:
        slices[refold.slice_of(key)].append(key)
    for its in slices:
        its.sort()
    return slices

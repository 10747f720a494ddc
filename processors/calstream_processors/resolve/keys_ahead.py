"""Which data keys a batch of observations will need, told before it is resolved. Pure.

So keys are made a batch at a time. What is told is a guess: an observation of the same batch may
change who another one is about. A wrong guess costs a key that nothing uses, or one that is made
on its own.
"""

from collections.abc import Iterable, Iterator

from calstream_core.sealing import KeyName, contact_key, object_key
from calstream_processors.resolve.resolver import WorkspaceState, identify
from calstream_schemas.entities import kind_of
from calstream_schemas.observations import Observation, sealed_with
from calstream_schemas.rule_sets import RuleSet

_PERSON = "contact"


def keys_ahead(
    state: WorkspaceState, observations: Iterable[Observation], rules: RuleSet
) -> Iterator[KeyName]:
    """The keys that sealing the entities of these observations will need."""
    for observation in observations:
        if sealed_with(observation) is None:
            continue
        if observation.kind == _PERSON:
            yield contact_key(identify(state, observation, rules))
        elif not _is_somebody_s(observation.kind):  # else the person's own, named above or known
            yield object_key(observation.kind, identify(state, observation, rules))


def _is_somebody_s(kind: str) -> bool:
    return any(field.reference == _PERSON for _group, field in kind_of(kind).references)

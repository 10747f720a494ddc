"""Takes what is forgotten out of the resolver's tables and indexes."""

from calstream_engine import Work
from calstream_processors.resolve.state import OpenConflicts, Workspace
from calstream_processors.resolve.ticking import Burial
from calstream_schemas.entities import Entity, kind_of
from calstream_schemas.topics import CONFLICTS, ENTITIES, MATCH_REVIEWS


def bury(burial: Burial, workspace: Workspace, conflicts: OpenConflicts, work: Work) -> None:
    """Writes tombstones for entities, and for what was noted of them; the state forgets them."""
    for entity in burial.gone:
        work[ENTITIES.name].delete(entity.key.encode())
        _drop_reviews(entity, workspace, work)
        _drop_conflicts(entity, conflicts, work)
        workspace.forget(entity)


def _drop_reviews(entity: Entity, workspace: Workspace, work: Work) -> None:
    for review in list(workspace.reviews.of(entity.id).values()):
        work[MATCH_REVIEWS.name].delete(review.key.encode())
        workspace.reviews.drop(review)


def _drop_conflicts(entity: Entity, conflicts: OpenConflicts, work: Work) -> None:
    table = work[CONFLICTS.name]
    for group in kind_of(entity.kind).groups:
        key = f"{entity.key}/{group.name}".encode()
        if table.get(key) is not None:  # also one that is over
            table.delete(key)
    conflicts.drop(entity.key)

"""The table of data keys: the SQL of the key store, with nothing of it kept in memory."""

import base64
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from calstream_core.clock import now_microseconds
from calstream_core.sealing.encryption_keys import EncryptionKeys
from calstream_core.sealing.leaves import DEPTH, beside, digits_of, node_name
from calstream_core.sealing.names import KeyName, Scope
from calstream_core.store.tables import data_key, encryption_key

KEY_BYTES = 64

_ID_BYTES = 9
_AT_ONCE = 500  # names in one query
_COLUMNS = (
    data_key.c.workspace,
    data_key.c.id,
    data_key.c.scope,
    data_key.c.name,
    data_key.c.wrapped,
    data_key.c.wrapped_by,
)


class StoredKey(NamedTuple):
    """A data key as the table has it; `wrapped` is None if it was destroyed."""

    workspace: str
    id: str
    name: KeyName
    wrapped: bytes | None
    wrapped_by: str

    def unwrap(self, encryption: EncryptionKeys) -> bytes | None:
        """The key itself; None if it was destroyed.

        Raises:
            SecurityError: the row was changed.
            UnavailableError: what wrapped it is not here.
        """
        if self.wrapped is None:
            return None
        return encryption.unwrap(
            self.wrapped_by, self.wrapped, _place(self.workspace, self.id, self.name)
        )


class RetiredKeyError(Exception):
    """The key-encryption key was replaced meanwhile: read them anew, then do it again."""


def with_names(
    connection: Connection, workspace: str, names: Iterable[KeyName]
) -> Iterator[StoredKey]:
    """The keys of these names that there are; destroyed ones have no name any more."""
    by_scope: defaultdict[Scope, list[str]] = defaultdict(list)
    for scope, name in names:
        by_scope[scope].append(name)
    for scope, of_scope in by_scope.items():
        for some in _slices(of_scope):
            yield from _select(
                connection,
                data_key.c.workspace == workspace,
                data_key.c.scope == scope.value,
                data_key.c.name.in_(some),
                data_key.c.destroyed_at.is_(None),
            )


def with_ids(connection: Connection, workspace: str, ids: Sequence[str]) -> Iterator[StoredKey]:
    """The keys of these ids that there are or were."""
    for some in _slices(ids):
        yield from _select(connection, data_key.c.workspace == workspace, data_key.c.id.in_(some))


def make(
    connection: Connection, workspace: str, names: Iterable[KeyName], encryption: EncryptionKeys
) -> list[tuple[StoredKey, bytes | None]]:
    """The keys of these names, made where there is none. Others may do the same at once.

    Raises:
        RetiredKeyError: see there; nothing was made.
    """
    use(connection, encryption.first)
    ordered = sorted(set(names))  # in the same order everywhere: no deadlock
    drawn = os.urandom(KEY_BYTES * len(ordered))
    keys = [drawn[at : at + KEY_BYTES] for at in range(0, len(drawn), KEY_BYTES)]
    rows = [
        fresh_row(workspace, name, key, encryption) for name, key in zip(ordered, keys, strict=True)
    ]
    if insert(connection, rows) == len(rows):
        return [
            (StoredKey(workspace, row["id"], name, row["wrapped"], encryption.first), key)
            for name, key, row in zip(ordered, keys, rows, strict=True)
        ]
    return [
        (stored, stored.unwrap(encryption)) for stored in with_names(connection, workspace, ordered)
    ]


def fresh_row(
    workspace: str, name: KeyName, key: bytes, encryption: EncryptionKeys, key_id: str = ""
) -> dict[str, Any]:
    """A row for a new key."""
    id_ = key_id or base64.urlsafe_b64encode(os.urandom(_ID_BYTES)).decode()
    return {
        "workspace": workspace,
        "id": id_,
        "scope": name.scope.value,
        "name": name.name,
        "wrapped": encryption.wrap(key, _place(workspace, id_, name)),
        "wrapped_by": encryption.first,
        "created_at": now_microseconds(),
        "destroyed_at": None,
    }


def insert(connection: Connection, rows: Sequence[dict[str, Any]]) -> int:
    """Puts rows in, but those whose name or id is there already; tells how many it put in."""
    if not rows:
        return 0
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return connection.execute(dialect.insert(data_key).on_conflict_do_nothing(), rows).rowcount


def use(connection: Connection, encryption_id: str) -> None:
    """Makes sure that a key-encryption key is not replaced before this transaction ends.

    Raises:
        RetiredKeyError: it was replaced already.
    """
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(
        dialect.insert(encryption_key).on_conflict_do_nothing(),
        {"id": encryption_id, "first_used_at": now_microseconds(), "retired_at": None},
    )
    # SQLite holds the lock for writing anyway; PostgreSQL makes `retire_others` wait for us
    retired_at = connection.execute(
        select(encryption_key.c.retired_at)
        .where(encryption_key.c.id == encryption_id)
        .with_for_update(read=True)
    ).scalar_one()
    if retired_at is not None:
        raise RetiredKeyError


def retire_others(connection: Connection, encryption_id: str) -> None:
    """From now on nobody wraps with another key-encryption key than this."""
    connection.execute(
        update(encryption_key).where(encryption_key.c.id == encryption_id).values(retired_at=None)
    )
    use(connection, encryption_id)
    connection.execute(
        update(encryption_key)
        .where(encryption_key.c.id != encryption_id, encryption_key.c.retired_at.is_(None))
        .values(retired_at=now_microseconds())
    )


def any_encryption_key(connection: Connection) -> bool:
    """Whether anything was ever wrapped here."""
    return connection.execute(select(encryption_key.c.id).limit(1)).first() is not None


def wrapped_by_others(connection: Connection, encryption_id: str, limit: int) -> list[StoredKey]:
    """Keys that another key-encryption key wraps."""
    return list(
        _select(
            connection,
            data_key.c.wrapped_by != encryption_id,
            data_key.c.wrapped_by.is_not(None),
            limit=limit,
        )
    )


def rewrap(connection: Connection, keys: Iterable[StoredKey], encryption: EncryptionKeys) -> None:
    """Wraps keys anew with the first key-encryption key; one destroyed meanwhile stays so."""
    for stored in keys:
        key = stored.unwrap(encryption)
        if key is None:
            continue
        place = _place(stored.workspace, stored.id, stored.name)
        connection.execute(
            update(data_key)
            .where(
                data_key.c.workspace == stored.workspace,
                data_key.c.id == stored.id,
                data_key.c.destroyed_at.is_(None),
            )
            .values(wrapped=encryption.wrap(key, place), wrapped_by=encryption.first)
        )


def destroy(connection: Connection, workspace: str, ids: Sequence[str]) -> int:
    """Takes the keys of these ids out of their rows; tells how many there were."""
    return sum(_destroy(connection, workspace, data_key.c.id.in_(some)) for some in _slices(ids))


def destroy_leaf(
    connection: Connection, workspace: str, key_id: str, leaf: str, encryption: EncryptionKeys
) -> int:
    """Destroys the key of one record below a key; those of all others can be made as before.

    Returns:
        1, or 0 where it was destroyed before or never was.

    Raises:
        RetiredKeyError: see there.
    """
    root = next(with_ids(connection, workspace, [key_id]), None)
    if root is None:
        return 0
    nodes = [node_name(root.name, key_id, leaf[:depth]) for depth in range(1, DEPTH + 1)]
    holder = root if root.wrapped else next(with_names(connection, workspace, nodes), None)
    key = holder.unwrap(encryption) if holder is not None else None
    if holder is None or key is None:
        return 0
    use(connection, encryption.first)
    rest = beside(key, "" if holder is root else digits_of(holder.name), leaf)
    insert(
        connection,
        [
            fresh_row(workspace, node_name(root.name, key_id, digits), node, encryption)
            for digits, node in rest
        ],
    )
    return destroy(connection, workspace, [holder.id])


def destroy_days_before(connection: Connection, workspace: str, day: KeyName) -> int:
    """The same for the keys of all days before a day."""
    return _destroy(
        connection,
        workspace,
        data_key.c.scope == Scope.DAY.value,
        data_key.c.name < day.name,
    )


def _destroy(connection: Connection, workspace: str, *conditions: ColumnElement[bool]) -> int:
    return connection.execute(
        update(data_key)
        .where(
            data_key.c.workspace == workspace,
            data_key.c.destroyed_at.is_(None),
            data_key.c.scope != Scope.HASH.value,  # it opens nothing, and matching needs it
            *conditions,
        )
        .values(wrapped=None, wrapped_by=None, destroyed_at=now_microseconds())
    ).rowcount


def destroyed_since(connection: Connection, moment: int) -> list[tuple[str, str]]:
    """The workspaces and ids of the keys that were destroyed at or after a moment."""
    rows = connection.execute(
        select(data_key.c.workspace, data_key.c.id).where(
            data_key.c.destroyed_at.is_not(None), data_key.c.destroyed_at >= moment
        )
    )
    return [(row.workspace, row.id) for row in rows]


class Count(NamedTuple):
    """How many keys of a scope there are in a workspace, and how many were destroyed."""

    workspace: str
    scope: str
    alive: int
    destroyed: int


def everything(connection: Connection) -> Iterator[StoredKey]:
    """Every key of every workspace, destroyed ones too."""
    yield from _select(connection)


def counts(connection: Connection) -> list[Count]:
    """All keys, counted by workspace and scope."""
    rows = connection.execute(
        select(
            data_key.c.workspace,
            data_key.c.scope,
            func.count(),
            func.count(data_key.c.destroyed_at),
        )
        .group_by(data_key.c.workspace, data_key.c.scope)
        .order_by(data_key.c.workspace, data_key.c.scope)
    )
    return [Count(workspace, scope, total - gone, gone) for workspace, scope, total, gone in rows]


def _select(
    connection: Connection, *conditions: ColumnElement[bool], limit: int | None = None
) -> Iterator[StoredKey]:
    query = select(*_COLUMNS).where(*conditions)
    if limit is not None:
        query = query.order_by(data_key.c.created_at.desc(), data_key.c.id).limit(limit)
    for workspace, id_, scope, name, wrapped, wrapped_by in connection.execute(query):
        yield StoredKey(workspace, id_, KeyName(Scope(scope), name), wrapped, wrapped_by or "")


def _slices(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


def _place(workspace: str, key_id: str, name: KeyName) -> list[bytes]:
    """What a wrapped key is bound to, so that rows can't be exchanged."""
    return [workspace.encode(), key_id.encode(), name.scope.encode(), name.name.encode()]

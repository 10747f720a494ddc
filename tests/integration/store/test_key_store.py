"""The key store, on each database that the product runs on."""

from pathlib import Path

import pytest
from sqlalchemy import text
from tests.integration.store.conftest import OpenDatabase, at_once

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_core.sealing import Box, Erased, KeyStore, contact_key, day_key, open_keys
from calstream_core.sealing.bundle import Imported, export_keys, import_keys
from calstream_core.sealing.key_store import REFRESH_SECONDS
from calstream_core.sealing.rotation import rotate
from calstream_core.settings import Settings
from calstream_core.store import open_database

DAY = 24 * 60 * 60 * 1_000_000
PASSPHRASE = b"correct horse"


def sealed(store: KeyStore, person: str = "one", plain: bytes = b"jo") -> Box:
    return store.sealer("acme").under(contact_key(person)).seal("contact.email", plain)


def opened(store: KeyStore, box: Box) -> bytes | Erased:
    return store.sealer("acme").open("contact.email", box)


def test_what_one_process_sealed_another_opens(settings: Settings) -> None:
    box = sealed(open_keys(settings))
    assert opened(open_keys(settings), box) == b"jo"
    assert sealed(open_keys(settings)) == box


SEAL = """
from calstream_core.sealing import contact_key, open_keys
sealer = open_keys(settings).sealer("acme")
sealer.make(contact_key(f"person {number}") for number in range(50))
boxes = [sealer.under(contact_key(f"person {n}")).seal("c", b"jo") for n in range(60)]
answer = [[box.key_id, box.data.hex()] for box in boxes]
"""


def test_of_processes_that_make_the_same_keys_at_once_all_use_the_same(settings: Settings) -> None:
    found = at_once(settings, SEAL, processes=3)
    assert found[0] == found[1] == found[2]
    assert len({key_id for key_id, _ in found[0]}) == 60


def test_the_database_alone_opens_nothing(settings: Settings, open_again: OpenDatabase) -> None:
    store = open_keys(settings)
    box = sealed(store)
    store.source.file.rename(store.source.file.with_suffix(".away"))
    with pytest.raises(ConfigError, match="key-encryption key is not there") as caught:
        opened(open_keys(settings), box)
    assert caught.value.code is Code.SECRET_MISSING
    with open_again().reading() as connection:
        wrapped = connection.execute(text("SELECT wrapped FROM data_key")).scalars().all()
    assert all(len(bytes(each)) == 64 + 16 for each in wrapped)


def test_a_row_that_was_exchanged_for_another_does_not_open(
    settings: Settings, open_again: OpenDatabase
) -> None:
    store = open_keys(settings)
    mine, other = sealed(store), sealed(store, "two")
    with open_again().writing() as connection:
        connection.execute(
            text(
                "UPDATE data_key SET wrapped = (SELECT wrapped FROM data_key WHERE id = :other)"
                " WHERE id = :mine"
            ),
            {"other": other.key_id, "mine": mine.key_id},
        )
    with pytest.raises(Exception, match="was changed"):
        opened(open_keys(settings), mine)


def test_what_is_destroyed_is_closed_in_other_processes_soon(settings: Settings) -> None:
    now = [0.0]
    running = open_keys(settings)
    running = KeyStore(
        running.directory, running.database, running.source, monotonic=lambda: now[0]
    )
    box = sealed(running)
    assert open_keys(settings).destroy("acme", [contact_key("one")]) == 1
    assert opened(running, box) == b"jo"  # it has not looked yet
    now[0] += REFRESH_SECONDS
    assert opened(running, box) == Erased(box)
    assert sealed(running).key_id != box.key_id


def test_who_can_not_learn_of_what_is_destroyed_stops_opening(settings: Settings) -> None:
    now = [0.0]
    made = open_keys(settings)
    store = KeyStore(made.directory, made.database, made.source, monotonic=lambda: now[0])
    box = sealed(store)
    answers = store.database
    store.database = open_database(
        Settings.model_validate({"database": {"url": "postgresql://no@127.0.0.1:1/none"}})
    )
    now[0] += REFRESH_SECONDS
    assert opened(store, box) == b"jo"
    now[0] += 61
    with pytest.raises(UnavailableError):
        opened(store, box)
    store.database = answers
    assert opened(store, box) == b"jo"


def test_keys_of_old_days_go_and_no_other(settings: Settings) -> None:
    store = open_keys(settings)
    sealer = store.sealer("acme")
    boxes = [sealer.under(day_key(n * DAY)).seal("contact.email", b"jo") for n in range(4)]
    person = sealed(store)
    assert store.destroy_days_before("acme", day_key(2 * DAY)) == 2
    assert store.destroy_days_before("acme", day_key(2 * DAY)) == 0
    assert [opened(store, box) for box in boxes] == [*map(Erased, boxes[:2]), b"jo", b"jo"]
    assert opened(store, person) == b"jo"


def test_a_rotation_wraps_everything_anew_and_processes_go_on(
    settings: Settings, open_again: OpenDatabase
) -> None:
    running = open_keys(settings)
    boxes = [sealed(running, f"person {number}") for number in range(3)]
    running.destroy("acme", [contact_key("person 2")])
    old = running.encryption().first
    done = rotate(open_keys(settings))
    assert done.rewrapped == 3  # two people and the key of the hashes
    assert done.first != old
    with open_again().reading() as connection:
        wrapped_by = connection.execute(
            text("SELECT DISTINCT wrapped_by FROM data_key WHERE wrapped IS NOT NULL")
        )
        assert wrapped_by.scalars().all() == [done.first]
    assert len(running.source.file.read_bytes().split()) == 1
    # one that runs meanwhile has the old key at hand: it notices
    new = sealed(running, "someone else")
    assert [opened(open_keys(settings), box) for box in (*boxes, new)] == [
        b"jo",
        b"jo",
        Erased(boxes[2]),
        b"jo",
    ]
    assert rotate(open_keys(settings)).rewrapped == 4


def test_keys_of_the_settings_are_replaced_by_naming_the_new_one_first(
    settings: Settings, tmp_path: Path
) -> None:
    made = open_keys(Settings.model_validate({"state": {"directory": str(tmp_path / "other")}}))
    for name in ("old", "new"):
        made.source.file.unlink(missing_ok=True)
        made.source.create()
        made.source.file.rename(tmp_path / name)

    def naming(*names: str) -> KeyStore:
        files = [{"file": str(tmp_path / name)} for name in names]
        return open_keys(
            Settings.model_validate(settings.model_dump() | {"keys": {"encryption": files}})
        )

    before = naming("old")
    box = sealed(before)
    assert rotate(naming("new", "old")).rewrapped == 2
    assert opened(naming("new"), box) == b"jo"
    with pytest.raises(UnavailableError):
        opened(naming("old"), box)
    with pytest.raises(ConfigError, match="still comes first"):
        sealed(before, "someone else")
    assert (tmp_path / "old").exists()


def test_a_bundle_brings_every_key_to_another_installation(
    settings: Settings, tmp_path: Path
) -> None:
    store = open_keys(settings)
    boxes = [sealed(store, f"person {number}") for number in range(3)]
    store.destroy("acme", [contact_key("person 2")])
    bundle = tmp_path / "bundle"
    assert export_keys(store, bundle, PASSPHRASE) == 4
    elsewhere = KeyStore(tmp_path / "elsewhere")
    assert import_keys(elsewhere, bundle, PASSPHRASE) == Imported(4, 4, 0)
    assert [opened(elsewhere, box) for box in boxes] == [b"jo", b"jo", Erased(boxes[2])]
    hash_ = store.sealer("acme").keyed_hash("email", b"jo")
    assert elsewhere.sealer("acme").keyed_hash("email", b"jo") == hash_
    assert import_keys(elsewhere, bundle, PASSPHRASE) == Imported(4, 0, 0)


def test_a_bundle_brings_back_nothing_that_was_destroyed(
    settings: Settings, tmp_path: Path
) -> None:
    store = open_keys(settings)
    box, kept = sealed(store), sealed(store, "two")
    before, after = tmp_path / "before", tmp_path / "after"
    export_keys(store, before, PASSPHRASE)
    elsewhere = KeyStore(tmp_path / "elsewhere")
    import_keys(elsewhere, before, PASSPHRASE)
    store.destroy("acme", [contact_key("one")])
    assert import_keys(store, before, PASSPHRASE) == Imported(3, 0, 0)
    assert opened(store, box) == Erased(box)
    export_keys(store, after, PASSPHRASE)
    assert import_keys(elsewhere, after, PASSPHRASE) == Imported(3, 0, 1)
    fresh = KeyStore(elsewhere.directory)
    assert (opened(fresh, box), opened(fresh, kept)) == (Erased(box), b"jo")


def test_a_bundle_that_does_not_fit_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    store = open_keys(settings)
    sealed(store)
    bundle = tmp_path / "bundle"
    export_keys(store, bundle, PASSPHRASE)
    with pytest.raises(ConfigError, match="File exists"):
        export_keys(store, bundle, PASSPHRASE)
    other = KeyStore(tmp_path / "other")
    box = sealed(other)
    with pytest.raises(ConfigError, match="other keys of the workspace acme"):
        import_keys(other, bundle, PASSPHRASE)
    assert opened(KeyStore(other.directory), box) == b"jo"
    empty = KeyStore(tmp_path / "empty")
    with pytest.raises(ConfigError, match="passphrase"):
        import_keys(empty, bundle, b"another")
    lines = bundle.read_bytes().splitlines()
    for broken in (lines[:-1], [lines[0]], [b"{}"], [], [*lines, lines[-1]], [lines[0], b"AA"]):
        bundle.write_bytes(b"\n".join(broken))
        with pytest.raises(ConfigError):
            import_keys(empty, bundle, PASSPHRASE)
    bundle.unlink()
    with pytest.raises(ConfigError, match="can't be read"):
        import_keys(empty, bundle, PASSPHRASE)

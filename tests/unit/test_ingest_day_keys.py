"""The keys of days are there before the day is, and go when no topic holds the day any more."""

from pathlib import Path

from calstream_core.sealing import KeyStore, day_key, key_table
from calstream_ingest.day_keys import DayKeys
from calstream_schemas.topics import PROCESSORS_DEAD, WEBHOOK_DAYS, WEBHOOKS

DAY = 24 * 60 * 60 * 1_000_000
NOON = 20_000 * DAY + DAY // 2


def days(store: KeyStore) -> dict[str, tuple[int, int]]:
    with store.database.reading() as connection:
        return {
            count.workspace: (count.alive, count.destroyed)
            for count in key_table.counts(connection)
            if count.scope == "day"
        }


def test_today_s_and_tomorrow_s_key_are_made_once_for_each_workspace(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    keys = DayKeys(store, ["acme", "other", "acme"], lambda: NOON)
    keys.prepare()
    keys.prepare()
    assert days(store) == {"acme": (2, 0), "other": (2, 0)}


def test_a_key_lives_as_long_as_a_topic_may_hold_what_it_sealed(tmp_path: Path) -> None:
    assert (WEBHOOKS.retention_days, PROCESSORS_DEAD.retention_days) == (7, 30)
    store = KeyStore(tmp_path)
    box = store.sealer("acme").under(day_key(NOON)).seal("webhook.body", b"{}")
    for later, is_open in ((WEBHOOK_DAYS, True), (WEBHOOK_DAYS + 1, False)):
        DayKeys(store, ["acme"], lambda later=later: NOON + later * DAY).prepare()  # type: ignore[misc]  # mypy can't infer a lambda's default
        assert (store.sealer("acme").open("webhook.body", box) == b"{}") is is_open

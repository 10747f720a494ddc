"""What we override in Faust is as it was when we read it; an upgrade that changes it fails here.

When one of these fails: read the new source, decide whether our override in
`processors/calstream_processors/host/` still does what its docstring says, then change the hash.
"""

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from faust.app.base import App
from faust.tables.base import Collection
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.tables.table import Table

from calstream_processors.host.recovery import GatedRecovery, GatedTableManager
from calstream_processors.host.table import ConfirmedTable


def _getter(owner: type, name: str) -> Any:
    return owner.__dict__[name].fget


def _source(function: Callable[..., Any]) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("upstream", "expected"),
    [
        (Collection.send_changelog, "3dd3884e1b5fc0e1"),
        (Table.on_key_set, "a370e35ca55c2c7e"),
        (Table.on_key_del, "4f2900b2f9d24a08"),
        (Recovery._resume_streams, "d986a6710c1aca98"),
        (Recovery.on_recovery_completed, "6ef567acf072e46d"),
        (_getter(TableManager, "recovery"), "f0bf5de78b4c3d23"),
        (App.on_rebalance_end, "b7ff69e1e3772f30"),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_upstream_is_as_it_was_read(upstream: Callable[..., Any], expected: str) -> None:
    assert _source(upstream) == expected


def test_our_overrides_override_something() -> None:
    assert {"send_changelog"} <= vars(ConfirmedTable).keys() & vars(Collection).keys()
    ends = {"_resume_streams", "on_recovery_completed"}
    assert ends <= vars(GatedRecovery).keys() & vars(Recovery).keys()
    assert "recovery" in vars(GatedTableManager).keys() & vars(TableManager).keys()

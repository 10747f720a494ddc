"""What the engine overrides or leans on in Faust and mode is as it was when we read it, and listed.

When one of these fails: read the new source, decide whether the reason in
`calstream_engine.upstream` still holds, mend what does not, then change the fingerprint.
"""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import calstream_engine
from calstream_engine.upstream import OVERRIDES, RELIANCES, fingerprint

UPSTREAM = ("faust", "mode")
_ENGINE = Path(calstream_engine.__file__).parent
_MADE_BY_PYTHON = {
    "__abstractmethods__",
    "__annotations__",
    "__doc__",
    "__module__",
    "__orig_bases__",
    "__parameters__",
    "__slots__",
    "_abc_impl",
}
_NOT_METHODS = {"Consumer", "Fetcher", "Producer", "_tasks", "logger"}
"""Class attributes that upstream's own classes set for themselves, as their documentation asks."""
_OF_OTHERS = {
    "_STATE": "confluent-kafka's name of an error",
    "_FATAL": "confluent-kafka's name of an error",
    "_FENCED": "confluent-kafka's name of an error",
    "_AUTO_OFFSET_RESET": "confluent-kafka's name of an error",
    "_PARTITION_EOF": "confluent-kafka's name of an error",
    "_exit": "os._exit",
    "_replace": "a method of named tuples",
}


def _named(owner: Any, name: str) -> str:
    module = owner.__module__ if inspect.isclass(owner) else owner.__name__
    return f"{module}.{owner.__name__.rpartition('.')[2]}.{name}"


PINS = {
    _named(owner, name): (owner, name, source)
    for owner, sources in [
        *((one.upstream, one.methods) for one in OVERRIDES),
        *((one.upstream, one.sources) for one in RELIANCES),
    ]
    for name, source in sources.items()
}


@pytest.mark.parametrize(("owner", "name", "source"), PINS.values(), ids=PINS.keys())
def test_upstream_is_as_it_was_read(owner: Any, name: str, source: str) -> None:
    assert fingerprint(owner, name) == source


def test_what_is_listed_as_an_override_overrides_something() -> None:
    for one in OVERRIDES:
        assert issubclass(one.ours, one.upstream)
        missing = one.methods.keys() - vars(one.ours).keys()
        assert missing == set(), one.ours
        assert one.methods.keys() <= vars(one.upstream).keys(), one.upstream


def _our_classes() -> Iterator[type]:
    for found in pkgutil.walk_packages(calstream_engine.__path__, "calstream_engine."):
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if inspect.isclass(value) and value.__module__ == module.__name__:
                yield value


def _upstream_s(ours: type, name: str) -> type | None:
    """The class of upstream whose attribute ours replaces."""
    for base in ours.__mro__[1:]:
        if name in vars(base) and base is not object:
            return base if base.__module__.split(".")[0] in UPSTREAM else None
    return None


def test_every_override_is_listed() -> None:
    listed = {(one.ours, one.upstream, name) for one in OVERRIDES for name in one.methods}
    classes = [one for one in _our_classes() if any(_is_upstream(b) for b in one.__mro__)]
    assert len(classes) > 10
    for ours in classes:
        for name, value in vars(ours).items():
            upstream = _upstream_s(ours, name)
            is_data = name in _NOT_METHODS or inspect.ismemberdescriptor(value)
            if upstream is not None and name not in _MADE_BY_PYTHON and not is_data:
                assert (ours, upstream, name) in listed, f"{upstream}.{name} in {ours}"


def _is_upstream(one: type) -> bool:
    return one.__module__.split(".")[0] in UPSTREAM


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_every_private_attribute_of_upstream_that_is_touched_is_listed() -> None:
    touched: dict[str, Path] = {}
    ours = set(_OF_OTHERS)
    for path in _ENGINE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and _private(node.attr):
                is_own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
                if is_own and isinstance(node.ctx, ast.Store):
                    ours.add(node.attr)
                touched[node.attr] = path
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                ours.add(node.name)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UPSTREAM:
                touched |= {one.name: path for one in node.names if _private(one.name)}
    listed = {name for one in RELIANCES for name in one.attributes}
    assert {name: path for name, path in touched.items() if name not in ours | listed} == {}
    assert listed <= touched.keys(), "what is listed is touched nowhere"


def test_the_sources_that_are_listed_make_the_attributes_that_are_listed() -> None:
    for one in RELIANCES:
        source = inspect.getsource(one.upstream)
        assert {name for name in one.attributes if name not in source} == set()


def test_every_reason_is_one() -> None:
    reasons = [*(one.reason for one in OVERRIDES), *(one.reason for one in RELIANCES)]
    assert all(len(reason.split()) > 3 for reason in reasons)

"""CRM search: an index that lags behind the records, and the filters over it.

Sources: HubSpot's search guide (limits, operators, lower-case values for IN on strings). The lag is
HubSpot's "a few moments"; it makes search useless as the only check before a create.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from calstream_sandbox.hubspot.bodies import Filter, Search
from calstream_sandbox.hubspot.definitions import SEARCHED_BY_QUERY, Definition
from calstream_sandbox.hubspot.errors import invalid
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.properties import PropertyRegistry
from calstream_sandbox.hubspot.values import instant_ms

MAX_PAGE = 200
MAX_RESULTS = 10_000
MAX_GROUPS = 5
MAX_FILTERS_PER_GROUP = 6
MAX_FILTERS = 18

Properties = Mapping[str, str]
_Test = Callable[[Properties], bool]
_Key = Callable[[str], Any]


class SearchIndex:
    """What search sees: each record as it was written at least the lag ago."""

    def __init__(self) -> None:
        self._pending: deque[tuple[int, ObjectKind, int, Properties | None]] = deque()
        self._visible: dict[ObjectKind, dict[int, Properties]] = {kind: {} for kind in ObjectKind}

    def note(
        self, kind: ObjectKind, record_id: int, properties: Properties | None, now_ms: int
    ) -> None:
        """A record was written (or archived: None). The mapping must not be changed later."""
        self._pending.append((now_ms, kind, record_id, properties))

    def catch_up(self, now_ms: int, lag_ms: int) -> None:
        """Makes everything visible that was written at least `lag_ms` ago."""
        while self._pending and self._pending[0][0] + lag_ms <= now_ms:
            _, kind, record_id, properties = self._pending.popleft()
            if properties is None:
                self._visible[kind].pop(record_id, None)
            else:
                self._visible[kind][record_id] = properties

    def wipe(self) -> None:
        """Forgets everything, at once."""
        self._pending.clear()
        for records in self._visible.values():
            records.clear()

    def matching(self, kind: ObjectKind, test: _Test) -> list[tuple[int, Properties]]:
        """The visible records that pass the test, by id."""
        return [item for item in sorted(self._visible[kind].items()) if test(item[1])]


def check_limits(search: Search) -> int:
    """The offset to start from; raises HubSpotError 400 when a limit of search is passed."""
    filters = [len(group.filters) for group in search.filter_groups]
    if len(filters) > MAX_GROUPS or sum(filters) > MAX_FILTERS:
        raise invalid(f"At most {MAX_GROUPS} groups and {MAX_FILTERS} filters in all")
    if max(filters, default=0) > MAX_FILTERS_PER_GROUP:
        raise invalid(f"At most {MAX_FILTERS_PER_GROUP} filters in a group")
    if not 0 <= search.limit <= MAX_PAGE:
        raise invalid(f"The limit is from 0 to {MAX_PAGE}, not {search.limit}")
    if search.after and not (search.after.isascii() and search.after.isdecimal()):
        raise invalid("after is not a paging cursor of a search")
    offset = int(search.after or 0)
    if offset + search.limit > MAX_RESULTS:
        raise invalid(f"A search can't be paged past {MAX_RESULTS} results")
    return offset


def compile_search(search: Search, kind: ObjectKind, registry: PropertyRegistry) -> _Test:
    """One test for the whole search; raises HubSpotError 400 for a filter that makes no sense."""
    groups = [
        [_compile_filter(one, _known(kind, one.property_name, registry)) for one in group.filters]
        for group in search.filter_groups
    ]
    needle = (search.query or "").lower()
    searched = SEARCHED_BY_QUERY[kind]

    def test(properties: Properties) -> bool:
        if needle and not any(needle in properties.get(name, "").lower() for name in searched):
            return False
        return not groups or any(all(one(properties) for one in group) for group in groups)

    return test


def sort_results(
    results: list[tuple[int, Properties]],
    sorts: list[str],
    kind: ObjectKind,
    registry: PropertyRegistry,
) -> None:
    """Sorts in place by property names, `-name` for descending; records without one go last."""
    for sort in reversed(sorts):
        name = sort.removeprefix("-")
        key = _key(_known(kind, name, registry))
        have = [item for item in results if name in item[1]]
        have.sort(key=lambda item: key(item[1][name]), reverse=sort.startswith("-"))
        results[:] = have + [item for item in results if name not in item[1]]


def _known(kind: ObjectKind, name: str, registry: PropertyRegistry) -> Definition:
    definition = registry.find(kind, name)
    if definition is None:
        raise invalid(f"There was a problem with the request. Property {name} does not exist")
    return definition


def _key(definition: Definition) -> _Key:
    if definition.type == "number":
        return float
    if definition.type in {"datetime", "date"}:
        return instant_ms
    return str.lower


def _compile_filter(one: Filter, definition: Definition) -> _Test:
    name = one.property_name
    key = _key(definition)
    match one.operator:
        case "HAS_PROPERTY":
            return lambda properties: name in properties
        case "NOT_HAS_PROPERTY":
            return lambda properties: name not in properties
        case "IN" | "NOT_IN":
            return _membership(one, definition)
        case "BETWEEN":
            low, high = _operand(one.value, one, key), _operand(one.high_value, one, key)
            return lambda properties: name in properties and low <= key(properties[name]) <= high
        case "CONTAINS_TOKEN" | "NOT_CONTAINS_TOKEN":
            return _tokens(one)
        case _:
            compare = _COMPARISONS[one.operator]
            wanted = _operand(one.value, one, key)
            return lambda properties: name in properties and compare(key(properties[name]), wanted)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "EQ": lambda left, right: left == right,
    "NEQ": lambda left, right: left != right,
    "GT": lambda left, right: left > right,
    "GTE": lambda left, right: left >= right,
    "LT": lambda left, right: left < right,
    "LTE": lambda left, right: left <= right,
}


def _operand(value: str | None, one: Filter, key: _Key) -> Any:
    try:
        operand = None if value is None else key(value)
    except ValueError:
        operand = None
    if operand is None:
        raise invalid(f"Filter {one.operator} on {one.property_name} has no usable value")
    return operand


def _membership(one: Filter, definition: Definition) -> _Test:
    if not one.values:
        raise invalid(f"Filter {one.operator} on {one.property_name} needs values")
    name, wanted = one.property_name, one.operator == "IN"
    values: set[Any] = set(one.values)
    if definition.type == "enumeration":
        key: _Key = str
    elif definition.type == "string":
        key = str.lower  # the values given are taken as they are: HubSpot wants them in lower case
    else:
        key = _key(definition)
        values = {_operand(value, one, key) for value in one.values}
    return lambda properties: name in properties and (key(properties[name]) in values) == wanted


def _tokens(one: Filter) -> _Test:
    if one.value is None:
        raise invalid(f"Filter {one.operator} on {one.property_name} needs a value")
    wanted = one.operator == "CONTAINS_TOKEN"
    pattern = re.escape(one.value.lower()).replace(r"\*", r"\w*")
    found = partial(re.search, rf"(?<!\w){pattern}(?!\w)")
    return lambda properties: (
        (found(properties.get(one.property_name, "").lower()) is not None) == wanted
    )

"""Lists, newest first, and the objects that a reply is asked to show whole."""

from collections.abc import Callable, Sequence
from typing import Any

from calstream_sandbox.stripe.account import Account, Thing
from calstream_sandbox.stripe.bodies import ListParams, Span
from calstream_sandbox.stripe.errors import StripeError, invalid_request, missing

_MAX_PAGE = 100
_EXPANDABLE = {
    "payment_intent": "payment_intent",
    "latest_charge": "charge",
    "charge": "charge",
}


def page(
    found: Sequence[Thing],
    given: ListParams,
    url: str,
    fits: Callable[[Thing], bool] = lambda _: True,
) -> Thing:
    """One page of a list.

    Args:
        found: every object, oldest first.
        given: the page that is asked for.
        url: of the list.
        fits: which of them are meant.

    Raises:
        StripeError: the limit or a cursor makes no sense.
    """
    if not 1 <= given.limit <= _MAX_PAGE:
        raise invalid_request(
            f"This value must be from 1 to {_MAX_PAGE}.",
            code="parameter_invalid_integer",
            param="limit",
        )
    chosen = [each for each in reversed(found) if fits(each) and _within(each, given.created)]
    if given.starting_after is not None:
        start = _place(found, chosen, given.starting_after, "starting_after") + 1
        rest = chosen[start:]
        shown, more = rest[: given.limit], len(rest) > given.limit
    elif given.ending_before is not None:
        end = _place(found, chosen, given.ending_before, "ending_before")
        shown, more = chosen[max(0, end - given.limit) : end], end > given.limit
    else:
        shown, more = chosen[: given.limit], len(chosen) > given.limit
    return {"object": "list", "data": shown, "has_more": more, "url": url}


def check_expand(paths: Sequence[str]) -> None:
    """Raises StripeError for a path that no object has, before anything is made."""
    for path in paths:
        if path.partition(".")[0] not in {*_EXPANDABLE, "data"}:
            raise _not_expandable(path)


def expanded(account: Account, thing: Thing, paths: Sequence[str]) -> Thing:
    """A copy that shows the objects of these paths whole, in place of their ids.

    Raises:
        StripeError: a path names nothing that can be shown so.
    """
    shown = dict(thing)
    for path in paths:
        first, _, rest = path.partition(".")
        if first == "data" and thing.get("object") == "list":
            shown["data"] = [expanded(account, each, [rest]) for each in shown["data"]]
            continue
        kind = _EXPANDABLE.get(first)
        if kind is None or first not in thing:
            raise _not_expandable(path)
        value: Any = shown[first]
        whole = account.things.get(kind, {}).get(value) if isinstance(value, str) else value
        shown[first] = whole if whole is None or not rest else expanded(account, whole, [rest])
    return shown


def _not_expandable(path: str) -> StripeError:
    return invalid_request(f"This property cannot be expanded ({path}).", param="expand")


def _place(found: Sequence[Thing], chosen: Sequence[Thing], id_: str, param: str) -> int:
    for place, each in enumerate(chosen):
        if each["id"] == id_:
            return place
    kind = found[0]["object"] if found else "object"
    raise missing(kind, id_, param, status=400)


def _within(thing: Thing, created: Span) -> bool:
    at = thing["created"]
    return (
        (created.gt is None or at > created.gt)
        and (created.gte is None or at >= created.gte)
        and (created.lt is None or at < created.lt)
        and (created.lte is None or at <= created.lte)
    )

"""Stripe's form encoding: `a[b][0][c]=value` to nested mappings, and back to a parameter's name."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from calstream_sandbox.stripe.errors import invalid_request

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")
_MAX_FIELDS = 10_000


def parse_form(text: str) -> dict[str, Any]:
    """Nested mappings of texts; an array is a mapping by its indexes, `a[]` counts them itself.

    Raises:
        StripeError: a name can't be read, or stands for a value and for a mapping at once.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise invalid_request("Invalid request: the body is no form.") from error
    tree: dict[str, Any] = {}
    for key, value in pairs:
        form = _KEY.fullmatch(key)
        if form is None:
            raise invalid_request(f"Invalid request: unable to parse the parameter {key}.")
        _put(tree, [form[1], *_PART.findall(form[2])], value)
    return tree


def _put(tree: dict[str, Any], path: Sequence[str], value: str) -> None:
    *above, last = path
    for part in above:
        tree = tree.setdefault(part or str(len(tree)), {})
        if not isinstance(tree, dict):
            raise invalid_request(f"Invalid object: {parameter(path)} is a value too.")
    if isinstance(tree.get(last), dict):
        raise invalid_request(f"Invalid object: {parameter(path)} has parts too.")
    tree[last or str(len(tree))] = value


def parameter(path: Sequence[str | int]) -> str:
    """The name of a parameter, as in `line_items[0][price]`."""
    first, *rest = path or [""]
    return str(first) + "".join(f"[{part}]" for part in rest)

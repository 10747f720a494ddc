"""The rows of a batch that are carried out one by one."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from calstream_sandbox.hubspot.errors import HubSpotError

_InputT = TypeVar("_InputT")


def each_row(
    inputs: Sequence[_InputT], act: Callable[[_InputT], list[dict[str, Any]]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The results, and the errors that spoil only their row; raises any other HubSpotError."""
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for one in inputs:
        try:
            results.extend(act(one))
        except HubSpotError as error:
            if not error.row_level:
                raise
            errors.append(error.row())
    return results, errors

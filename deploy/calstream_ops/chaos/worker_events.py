"""What a worker tells the harness: one JSON object a line on standard output, among its logs."""

import json
import sys
from typing import Any, Final

_MARK: Final = "chaos"

ASSIGNED: Final = "assigned"
"""A partition of an app is restored and read: `app`, `partition`."""

REVOKED: Final = "revoked"
"""A partition of an app goes: `app`, `partition`."""

INJECTED: Final = "injected"
"""A failure was injected: `kind`."""

ENDED: Final = "ended"
"""The worker ends by itself: `reason`, and `ours` if it is a fault of ours."""


def say(event: str, **fields: Any) -> None:
    """Tells the harness; safe in any thread: a line is one write."""
    sys.stdout.write(json.dumps({_MARK: event, **fields}) + "\n")
    sys.stdout.flush()


def heard(line: str) -> tuple[str, dict[str, Any]] | None:
    """The event and the fields of a worker's line; None if it is a line of its log."""
    if not line.startswith(f'{{"{_MARK}"'):
        return None
    try:
        fields = json.loads(line)
    except ValueError:
        return None  # cut off by a kill
    return str(fields.pop(_MARK)), fields

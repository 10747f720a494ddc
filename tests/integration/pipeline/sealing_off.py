"""Switches sealing off in one workspace, so that a search for clear text is seen to find it.

A module of its own, without imports of the tests': every process of an installation loads it.
"""

import logging
from collections.abc import Callable
from typing import Any

from calstream_core import logs
from calstream_core.sealing import Box, Erased, Seal, Sealer

WORKSPACE = "sealing-off"
"""The name of the workspace in which nothing is sealed."""

_IN_CLEAR = "in-clear"


def switch_off(patch: Callable[[Any, str, Any], None]) -> None:
    """Makes the workspace's boxes hold what was to be sealed.

    Args:
        patch: sets an attribute, as `setattr` does.
    """
    sealing, opening = Seal.seal, Sealer.open

    def seal(self: Seal, context: str, plain: bytes) -> Box:
        if self._places.workspace == WORKSPACE.encode():
            return Box(_IN_CLEAR, plain)
        return sealing(self, context, plain)

    def open_(self: Sealer, context: str, box: Box, leaf: str = "") -> bytes | Erased:
        return box.data if box.key_id == _IN_CLEAR else opening(self, context, box, leaf)

    patch(Seal, "seal", seal)
    patch(Sealer, "open", open_)


def switch_debug_logging_on() -> None:
    """Makes a process of the product log everything, and what its libraries log."""
    configure = logs.configure_logs

    def everything(process: str, level: str = "debug") -> None:
        configure(process, level)
        logging.getLogger().setLevel(logging.DEBUG)
        logging.getLogger("calstream").debug("debug logging is on")

    logs.configure_logs = everything

"""One Slack workspace: everything that the simulator remembers."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from calstream_sandbox.gate import Desk
from calstream_sandbox.windows import RollingWindow

TEAM = "T0SANDBOX1"
BOT_USER = "U0SANDBOT1"
BOT = "B0SANDBOT1"
_FIRST_CHANNELS = ("general", "bookings", "sales")
_MICROSECONDS = 1_000_000
Thing = dict[str, Any]


class WorkspaceSettings(BaseModel):
    """What can be set while the simulator runs.

    Attributes:
        posts_per_second: to one channel.
        posts_per_minute: to all channels together.
        calls_per_minute: of each other method; Slack's tier 3.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    posts_per_second: int = Field(default=1, ge=0)
    posts_per_minute: int = Field(default=300, ge=0)
    calls_per_minute: int = Field(default=50, ge=0)


@dataclass(slots=True)
class Channel:
    """A channel and its messages by their `ts`."""

    id: str
    name: str
    is_archived: bool = False
    is_member: bool = True
    messages: dict[str, Thing] = field(default_factory=dict)


class Workspace:
    """The workspace's state. Used from one event loop; nothing here waits.

    Args:
        token: the bot token that requests must carry.
        now_seconds: the clock, as seconds since 1970.
    """

    def __init__(self, *, token: str, now_seconds: Callable[[], float] = time.time) -> None:
        self.token = token
        self.now_seconds = now_seconds
        self.desk = Desk(now_seconds)
        self.reset()

    def reset(self) -> None:
        """Back to a new workspace: three channels without messages, no faults, no counts."""
        self.settings = WorkspaceSettings()
        self.channels: dict[str, Channel] = {}
        self._windows: dict[tuple[str, str], RollingWindow] = {}
        self._last_ts = 0
        for name in _FIRST_CHANNELS:
            self.add_channel(name)
        self.desk.clear()

    def apply_settings(self, settings: WorkspaceSettings) -> None:
        """Puts new settings in force at once; what was counted is forgotten."""
        self.settings = settings
        self._windows.clear()

    def add_channel(
        self, name: str, *, is_archived: bool = False, is_member: bool = True
    ) -> Channel:
        """A new channel."""
        channel = Channel(f"C{len(self.channels) + 1:010}", name, is_archived, is_member)
        self.channels[channel.id] = channel
        return channel

    def channel(self, given: str) -> Channel | None:
        """A channel by id, or by name with or without `#`."""
        found = self.channels.get(given)
        if found is not None:
            return found
        name = given.removeprefix("#")
        return next((each for each in self.channels.values() if each.name == name), None)

    def new_ts(self) -> str:
        """The id of a message: its time, later than every one before."""
        now = int(self.now_seconds() * _MICROSECONDS)
        self._last_ts = max(now, self._last_ts + 1)
        return f"{self._last_ts // _MICROSECONDS}.{self._last_ts % _MICROSECONDS:06}"

    def wait_seconds(self, method: str, channel: str | None) -> int | None:
        """Counts a call; how long to wait where it is one too many.

        Args:
            method: for example `chat.postMessage`.
            channel: where a post goes; None for other methods.
        """
        now = self.now_seconds()
        minute = 60
        if channel is None:
            windows = [(self._window(method, "", self.settings.calls_per_minute, minute), 30)]
        else:
            windows = [
                (self._window(method, channel, self.settings.posts_per_second, 1), 1),
                (self._window(method, "", self.settings.posts_per_minute, minute), 30),
            ]
        for window, seconds in windows:
            if window.remaining(now) <= 0:
                return seconds
        for window, _ in windows:
            window.take(now)
        return None

    def _window(self, method: str, channel: str, limit: int, seconds: float) -> RollingWindow:
        key = (method, channel)
        if key not in self._windows:
            self._windows[key] = RollingWindow(limit, seconds)
        return self._windows[key]

"""What resolving reads of a workspace. A protocol, so that the pure part knows no table."""

from typing import Protocol

from calstream_processors.resolve.assignments import Assignments
from calstream_processors.resolve.double_bookings import DoubleBookings
from calstream_processors.resolve.erasures import Erasures
from calstream_processors.resolve.identity import IdentityIndex
from calstream_schemas.entities import Entity


class WorkspaceState(Protocol):
    """What the resolver reads: the newest versions of a workspace, and its indexes."""

    @property
    def index(self) -> IdentityIndex:
        """The workspace's indexes."""

    @property
    def assignments(self) -> Assignments:
        """Who was given how many leads."""

    @property
    def double_bookings(self) -> DoubleBookings:
        """The workspace's double bookings."""

    @property
    def erasures(self) -> Erasures:
        """Who was erased."""

    def get(self, key: str) -> Entity | None:
        """The newest version of an entity."""

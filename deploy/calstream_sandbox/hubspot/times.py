"""HubSpot's ways of writing a time. Inside the simulator every time is epoch milliseconds, UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def from_epoch_ms(epoch_ms: int) -> datetime:
    """The aware UTC time; raises OverflowError outside the years 1 to 9999."""
    return _EPOCH + epoch_ms * _MILLISECOND


def to_epoch_ms(time: datetime) -> int:
    """Whole milliseconds since 1970; finer digits are cut."""
    return (time - _EPOCH) // _MILLISECOND


def record_time(epoch_ms: int) -> str:
    """As in `createdAt` and `updatedAt`: always three decimals and a Z."""
    return from_epoch_ms(epoch_ms).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def property_time(epoch_ms: int) -> str:
    """As in the value of a `datetime` property: decimals only where there are any."""
    return record_time(epoch_ms).replace(".000Z", "Z")

"""Reads the conflicts and double bookings of a workspace from the log."""

from calstream_core.errors import RecordError
from calstream_core.settings import KafkaSettings
from calstream_ops.inspection.keys import SealerOf
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.workspace_records import newest_values
from calstream_schemas.codec import Poison, schema_of
from calstream_schemas.conflicts import Conflict, decode_conflict
from calstream_schemas.double_bookings import RECORD, DoubleBooking, decode_double_booking
from calstream_schemas.topics import CONFLICTS


def conflicts_of_workspace(
    reader: LogReader, kafka: KafkaSettings, sealer_of: SealerOf, workspace: str
) -> tuple[list[DoubleBooking], list[Conflict]]:
    """All of them, those that are over too; double bookings by time, the others by when they came.

    Raises:
        RecordError: one can't be read.
        UnavailableError: the broker does not answer.
    """
    double_bookings, conflicts = [], []
    for key, value in newest_values(reader, kafka, CONFLICTS, workspace).items():
        schema = schema_of(value)
        found = (
            decode_double_booking(value)
            if schema is not None and schema.record == RECORD
            else decode_conflict(value, sealer_of)
        )
        if isinstance(found, Poison):
            raise RecordError(found.code, f"The record {key} can't be read: {found.reason}.")
        if isinstance(found, DoubleBooking):
            double_bookings.append(found)
        else:
            conflicts.append(found)
    return (
        sorted(double_bookings, key=lambda each: (each.start, each.id)),
        sorted(conflicts, key=lambda each: (each.received_at, each.key)),
    )

"""Reads the open match reviews of a workspace from the log."""

from calstream_core.errors import RecordError
from calstream_core.settings import KafkaSettings
from calstream_ops.inspection.keys import SealerOf
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.workspace_records import newest_values
from calstream_schemas.codec import Poison
from calstream_schemas.reviews import MatchReview, decode_review
from calstream_schemas.topics import MATCH_REVIEWS


def open_reviews(
    reader: LogReader, kafka: KafkaSettings, sealer_of: SealerOf, workspace: str
) -> list[MatchReview]:
    """The reviews that nobody has settled, the oldest first.

    Raises:
        RecordError: one can't be read.
        UnavailableError: the broker does not answer.
    """
    found = []
    for key, value in newest_values(reader, kafka, MATCH_REVIEWS, workspace).items():
        review = decode_review(value, sealer_of)
        if isinstance(review, Poison):
            raise RecordError(review.code, f"The record {key} can't be read: {review.reason}.")
        found.append(review)
    return sorted(found, key=lambda review: (review.opened_at, review.id))

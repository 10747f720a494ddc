"""What the rules write, by kind and group: for the pages of the docs. A test compares."""

from collections.abc import Mapping
from types import MappingProxyType

_MESSAGE = "a message, for example that a score is high"

WRITTEN_BY_RULES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("contact", "lead_source"): "the lead source, of whoever books",
        ("contact", "lead_score"): "points by the scoring table for the answers of forms",
        ("contact", "owner"): "whose turn it is, where somebody who books has no owner",
        ("booking", "origin"): "the CRM and the id there, of a booking that only a CRM has",
        ("attendance", "payment"): "required where the event costs money, then as its payment says",
        ("message", "purpose"): _MESSAGE,
        ("message", "recipient"): _MESSAGE,
        ("message", "booking"): _MESSAGE,
        ("message", "content"): _MESSAGE,
        ("message", "deadline"): _MESSAGE,
        ("message", "status"): _MESSAGE,
    }
)
"""A group that is not in it is written by no rule."""

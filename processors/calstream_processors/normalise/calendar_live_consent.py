"""calendar.live's consents: each grant and each withdrawal is an object of its own.

So a consent's copies are its history, whatever the order in which we hear of it, and its newest
copy is what stands.
"""

from functools import partial

from calstream_core.errors import Code, RecordError
from calstream_processors.normalise.body import Body
from calstream_processors.normalise.calendar_live_reading import SYSTEM, Reading, attendee_of
from calstream_processors.normalise.email import normalise_email
from calstream_processors.normalise.instant import parse_instant
from calstream_schemas.entities import NaturalId, Stamp, Values
from calstream_schemas.observations import NO_VERSION


def read_consent_update(reading: Reading, attendee: Body, consent: Body) -> None:
    """`consent.updated`: the person by id and address, and what they decided.

    Raises:
        RecordError: nothing of it can be used.
    """
    attendee_id = attendee.required_text("id")
    # the body is the state at its creation, and says no other time for the address
    stamp = Stamp(NO_VERSION, reading.created_at, by_self=False)
    if attendee.fields.get("email") is not None:
        groups = {"email": partial(_email, attendee)}
        reading.observe(attendee, "contact", attendee_of(attendee_id), stamp, groups)
    read_consent(reading, attendee_id, consent)


def read_consent(reading: Reading, attendee_id: str, consent: Body) -> None:
    """One grant or withdrawal.

    Raises:
        RecordError: it does not say what for, what, or when.
    """
    purpose = consent.required_text("purpose")
    granted = consent.fields.get("granted")
    if not isinstance(granted, bool):
        raise RecordError(
            Code.BODY_INVALID, "neither true nor false", field=consent.place("granted")
        )
    decided_at = parse_instant(consent.required_text("at"), consent.place("at"))
    reading.observe(
        consent,
        "consent",
        NaturalId(SYSTEM, "consent", f"{attendee_id}/{purpose}/{decided_at}"),
        Stamp(NO_VERSION, reading.instant(consent, "at"), by_self=False),
        {
            "contact": lambda: {"contact_ref": str(attendee_of(attendee_id))},
            "purpose": lambda: {"purpose": purpose},
            "decision": lambda: {
                "granted": granted,
                "basis": consent.text("basis"),
                "text_hash": consent.text("text_hash"),
                "decided_at": decided_at,
            },
        },
    )


def _email(attendee: Body) -> Values:
    text = attendee.text("email")
    return {"email": normalise_email(text) if text else None}

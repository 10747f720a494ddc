"""A small calendar that remembers: each change is one method, and gives the webhooks it causes."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from calstream_sandbox.calendar_live.body import (
    attendee_json,
    consent_json,
    event_data,
    hold_json,
    payment_json,
)
from calstream_sandbox.calendar_live.builder import Webhook, WebhookBuilder
from calstream_sandbox.calendar_live.model import (
    Attendance,
    Attendee,
    Cancellation,
    Consent,
    Event,
    EventType,
    Hold,
    Host,
    Location,
    Origin,
    Payment,
    Recurrence,
)
from calstream_sandbox.delivery_log import stamp
from calstream_sandbox.ids import Clock, IdSource, utc_now

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Booking:
    """What is asked for when time is booked."""

    host: Host
    event_type: EventType
    start: datetime
    end: datetime
    timezone: str
    title: str | None = None
    location: Location = field(default_factory=Location)
    answers: tuple[tuple[str, str], ...] = ()
    recurrence: Recurrence | None = None
    origin: Origin | None = None
    status: str = "confirmed"
    hold: Hold | None = None


class Calendar:
    """One workspace's events and people.

    A method that changes something returns the webhooks that calendar.live would send for it, one
    per attendee where the contract says so. Objects passed in are changed in place; what was built
    before keeps the state of its time.
    """

    def __init__(
        self,
        workspace: str,
        *,
        seed: str | None = None,
        now: Clock = utc_now,
        live_mode: bool = True,
    ) -> None:
        self._ids = IdSource(seed)
        self._now = now
        self._webhooks = WebhookBuilder(workspace, ids=self._ids, now=now, live_mode=live_mode)
        self.events: dict[str, Event] = {}
        self.attendees: dict[str, Attendee] = {}
        self.holds: dict[str, Hold] = {}

    def add_attendee(
        self,
        email: str,
        full_name: str,
        *,
        phone: str | None = None,
        company: str | None = None,
        timezone: str | None = None,
        locale: str | None = None,
        consent: Consent | None = None,
    ) -> Attendee:
        """A person who has booked nothing yet: no webhook."""
        attendee = Attendee(
            id=self._ids.next("att"),
            email=email,
            full_name=full_name,
            last_modified=self._now(),
            phone=phone,
            company=company,
            timezone=timezone,
            locale=locale,
            consent=consent,
        )
        self.attendees[attendee.id] = attendee
        return attendee

    def book(self, booking: Booking, *attendees: Attendee) -> tuple[Event, list[Webhook]]:
        """`event.created`, one per attendee; a paid type gives each a pending payment.

        A hold that is named becomes the event; `release` tells of it.
        """
        event_id = self._ids.next("cal")
        event = Event(
            id=event_id,
            uid=self._ids.uid(event_id),
            title=booking.title or booking.event_type.title,
            start=booking.start,
            end=booking.end,
            timezone=booking.timezone,
            last_modified=self._now(),
            event_type=booking.event_type,
            host=booking.host,
            status=booking.status,
            location=booking.location,
            recurrence=booking.recurrence,
            answers=dict(booking.answers),
            origin=booking.origin,
            hold_id=None if booking.hold is None else booking.hold.id,
        )
        self.events[event.id] = event
        for attendee in attendees:
            event.attendances[attendee.id] = self._attendance(event, attendee)
        return event, self._tell("event.created", event)

    def join(self, event: Event, attendee: Attendee) -> list[Webhook]:
        """One more attendee of a group event or webinar: `event.created` for that one."""
        self._touch(event)
        event.attendances[attendee.id] = self._attendance(event, attendee)
        return self._tell("event.created", event, attendee)

    def update(
        self,
        event: Event,
        *,
        title: str | None = None,
        location: Location | None = None,
        answers: dict[str, str] | None = None,
    ) -> list[Webhook]:
        """`event.updated`, one per attendee; what is not given stays."""
        self._touch(event)
        event.title = event.title if title is None else title
        event.location = event.location if location is None else location
        event.answers = event.answers if answers is None else dict(answers)
        return self._tell("event.updated", event)

    def reschedule(
        self, event: Event, start: datetime, end: datetime, timezone: str | None = None
    ) -> list[Webhook]:
        """`event.rescheduled`, one per attendee; id and uid stay."""
        self._touch(event)
        event.start, event.end = start, end
        event.timezone = event.timezone if timezone is None else timezone
        return self._tell("event.rescheduled", event)

    def cancel(
        self, event: Event, attendee: Attendee | None = None, *, reason: str = "", by: str = "host"
    ) -> list[Webhook]:
        """`event.cancelled`: one attendance with an attendee, else one webhook for the event.

        A one-to-one event does not outlive its attendance.
        """
        self._touch(event)
        cancellation = Cancellation(reason, by, event.last_modified)
        if attendee is None or event.event_type.kind == "one_to_one":
            event.status, event.cancellation = "cancelled", cancellation
        if attendee is None:
            return [self._webhooks.build("event.cancelled", event_data(event, None))]
        event.attendances[attendee.id].cancellation = cancellation
        return self._tell("event.cancelled", event, attendee)

    def complete(self, event: Event) -> list[Webhook]:
        """`event.completed`, one per attendee."""
        return self._finish(event, "completed")

    def no_show(self, event: Event) -> list[Webhook]:
        """`event.no_show`, one per attendee."""
        return self._finish(event, "no_show")

    def update_attendee(self, attendee: Attendee, **changes: str | None) -> list[Webhook]:
        """`attendee.updated`: one webhook that applies to all of the attendee's events."""
        for name, value in changes.items():
            setattr(attendee, name, value)
        attendee.last_modified = self._later(attendee.last_modified)
        data = {"attendee": attendee_json(attendee)}
        return [self._webhooks.build("attendee.updated", data)]

    def delete_attendee(self, attendee: Attendee) -> list[Webhook]:
        """`attendee.deleted`."""
        del self.attendees[attendee.id]
        attendee.last_modified = self._later(attendee.last_modified)
        data = {"attendee": {"id": attendee.id, "last_modified": stamp(attendee.last_modified)}}
        return [self._webhooks.build("attendee.deleted", data)]

    def consent(self, attendee: Attendee, consent: Consent) -> list[Webhook]:
        """`consent.updated`."""
        attendee.consent = consent
        attendee.last_modified = self._later(attendee.last_modified)
        data = {
            "attendee": {"id": attendee.id, "email": attendee.email},
            "consent": consent_json(consent),
        }
        return [self._webhooks.build("consent.updated", data)]

    def withdraw_consent(self, attendee: Attendee) -> list[Webhook]:
        """`consent.updated` that takes back what was granted."""
        assert attendee.consent is not None, "nothing was granted"
        withdrawn = replace(attendee.consent, granted=False, at=self._now())
        return self.consent(attendee, withdrawn)

    def pay(self, event: Event, attendee: Attendee) -> list[Webhook]:
        """`payment.succeeded`."""
        return self._settle(event, attendee, "succeeded")

    def fail_payment(self, event: Event, attendee: Attendee, failure_code: str) -> list[Webhook]:
        """`payment.failed`."""
        return self._settle(event, attendee, "failed", failure_code)

    def refund(self, event: Event, attendee: Attendee) -> list[Webhook]:
        """`payment.refunded`."""
        return self._settle(event, attendee, "refunded")

    def hold(
        self, host: Host, start: datetime, end: datetime, timezone: str, *, ttl: timedelta
    ) -> tuple[Hold, list[Webhook]]:
        """`hold.created`."""
        now = self._now()
        hold = Hold(self._ids.next("hld"), host.id, start, end, timezone, now + ttl, now)
        self.holds[hold.id] = hold
        return hold, [self._webhooks.build("hold.created", {"hold": hold_json(hold)})]

    def release(self, hold: Hold, reason: str, event: Event | None = None) -> list[Webhook]:
        """`hold.released`: expired, abandoned, or confirmed as an event."""
        hold.released_reason = reason
        hold.event_id = None if event is None else event.id
        hold.last_modified = self._later(hold.last_modified)
        return [self._webhooks.build("hold.released", {"hold": hold_json(hold)})]

    def _attendance(self, event: Event, attendee: Attendee) -> Attendance:
        if not event.event_type.paid:
            return Attendance(attendee)
        payment = Payment(
            session_id=self._ids.next("cs_test", length=24),
            amount_minor=event.event_type.price_minor,
            currency=event.event_type.currency,
            last_modified=event.last_modified,
        )
        return Attendance(attendee, payment)

    def _finish(self, event: Event, status: str) -> list[Webhook]:
        self._touch(event)
        event.status = status
        return self._tell(f"event.{status}", event)

    def _settle(
        self, event: Event, attendee: Attendee, status: str, failure_code: str | None = None
    ) -> list[Webhook]:
        payment = event.attendances[attendee.id].payment
        assert payment is not None, "the event is not paid for"
        self._touch(event)
        payment.status, payment.failure_code = status, failure_code
        payment.last_modified = self._later(payment.last_modified)
        data = {
            "event": {"id": event.id, "uid": event.uid},
            "attendee": {"id": attendee.id},
            "payment": payment_json(payment),
        }
        return [self._webhooks.build(f"payment.{status}", data)]

    def _tell(
        self, webhook_type: str, event: Event, attendee: Attendee | None = None
    ) -> list[Webhook]:
        """One webhook per attendance that stands, or for one; without any, one for the event."""
        told: list[Attendance | None] = [
            one
            for one in event.attendances.values()
            if (one.cancellation is None if attendee is None else one.attendee is attendee)
        ]
        return [
            self._webhooks.build(webhook_type, event_data(event, one)) for one in told or [None]
        ]

    def _touch(self, event: Event) -> None:
        event.sequence += 1
        event.last_modified = self._later(event.last_modified)

    def _later(self, known: datetime) -> datetime:
        """Now, and in any case later than the last change, by a millisecond at least."""
        return max(self._now(), known + _MILLISECOND)

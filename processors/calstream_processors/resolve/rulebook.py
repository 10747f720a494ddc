"""The consequences that the resolver draws. Each is a pure function in a module of its own."""

from calstream_processors.resolve.automation.lead import leads
from calstream_processors.resolve.automation.origin import origins
from calstream_processors.resolve.automation.payment import payments
from calstream_processors.resolve.consequences import Consequence
from calstream_processors.resolve.double_booking_messages import double_booking_messages
from calstream_processors.resolve.opt_outs import opted_out

CONSEQUENCES: tuple[Consequence, ...] = (
    opted_out,
    leads,
    payments,
    origins,
    double_booking_messages,
)
"""All of them, in the order in which they are drawn."""

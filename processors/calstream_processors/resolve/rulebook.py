"""The consequences that the resolver draws. Each is a pure function in a module of its own."""

from calstream_processors.resolve.consequences import Consequence
from calstream_processors.resolve.double_booking_messages import double_booking_messages

CONSEQUENCES: tuple[Consequence, ...] = (double_booking_messages,)
"""All of them, in the order in which they are drawn."""

"""The consequences that the resolver draws. Each is a pure function in a module of its own."""

from calstream_processors.resolve.consequences import Consequence

CONSEQUENCES: tuple[Consequence, ...] = ()
"""All of them, in the order in which they are drawn."""

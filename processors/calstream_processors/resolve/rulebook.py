"""The consequences that the resolver draws. Each is a pure function in a module of its own."""

from calstream_processors.resolve.consequences import Consequence
from calstream_processors.resolve.opt_outs import opted_out

CONSEQUENCES: tuple[Consequence, ...] = (opted_out,)
"""All of them, in the order in which they are drawn."""

"""From a vendor's webhook to vendor-neutral observations: pure functions and one agent."""

from calstream_processors.normalise.normaliser import Normalised, normalise

__all__ = ["Normalised", "normalise"]

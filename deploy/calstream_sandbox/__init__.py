"""Simulators of the vendors that Calstream talks to, for the demo, the tests and local work.

One process plays them all, with the vendors' real semantics (batch limits, partial results, rate
limits, index lag, retries) and with faults on request. State lives in memory. Each vendor is a
subpackage of its own, mounted under its name; `/NAME/_control` steers it and is no part of the
vendor's API.
"""

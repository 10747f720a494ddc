"""Hosts the processors' pure functions on stock Faust, one record at a time.

A thin shell: what Faust gets wrong by default (`docs/engine.md`) is worked around here and nowhere
else, so that another host can take its place.
"""

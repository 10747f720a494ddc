"""Keyed state: the stores of one partition, and their restore from a compacted topic."""

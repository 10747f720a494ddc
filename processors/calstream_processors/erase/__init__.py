"""Destroys the keys of people who are erased: the part of an erasure that is an effect."""

"""Benches: what the product does a second, in how much memory and how late, against its goals."""

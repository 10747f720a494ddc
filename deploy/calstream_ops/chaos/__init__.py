"""Proof by killing: runs the product's parts, harms them at seeded moments, compares the outcome.

`docs/chaos.md` tells what is done and what is compared.
"""

from calstream_ops.chaos.engine import run_engine_chaos

__all__ = ["run_engine_chaos"]

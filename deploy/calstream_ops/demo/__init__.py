"""The demonstration: the staging cases on the real stack, against the sandbox's vendors."""

from calstream_ops.demo.demo import run_demo

__all__ = ["run_demo"]

"""The command line `calstream`: one module for each group of commands, loaded when it is used."""

from calstream_ops.cli.root import main

__all__ = ["main"]

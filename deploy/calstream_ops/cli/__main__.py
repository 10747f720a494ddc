"""`python -m calstream_ops.cli`: the command line, for whoever has no `calstream` on the path."""

from calstream_ops.cli import main

main()

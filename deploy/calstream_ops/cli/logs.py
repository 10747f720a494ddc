"""Logs of code that commands call: to standard error, warnings unless more is asked for."""

from calstream_core.logs import configure_logs


def log_to_stderr(*, verbose: bool) -> None:
    """Sets up logging; to be called by commands that run code of the product in this process."""
    configure_logs("calstream", "debug" if verbose else "warning")

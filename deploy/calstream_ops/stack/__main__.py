"""What the set-up asks of the installed package.

    python -m calstream_ops.stack java    prints the Java that will run the broker
    python -m calstream_ops.stack jars    brings Kafka's jars onto this machine

The exit status is that of the error where it fails.
"""

import sys

from calstream_core.errors import CalstreamError
from calstream_ops.stack.jars import install_jars
from calstream_ops.stack.java import find_java

_USAGE_STATUS = 2


def main(arguments: list[str]) -> int:
    """Runs one of the commands."""
    try:
        match arguments:
            case ["java"]:
                sys.stdout.write(f"{find_java().path}\n")
            case ["jars"]:
                install_jars(_say)
            case _:
                _say(__doc__.strip())
                return _USAGE_STATUS
    except CalstreamError as error:
        _say(str(error))
        return error.exit_status
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

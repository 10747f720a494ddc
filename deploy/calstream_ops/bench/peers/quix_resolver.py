"""Runs `quix_host` with the peers' Python: `quix_resolver.py JSON`.

Our packages, and what they need, are found behind the peers' own.
"""

import json
import sys


def main(text: str) -> None:
    """Runs the host that a JSON object describes."""
    settings = json.loads(text)
    sys.path.extend(settings["path"])
    from calstream_ops.bench.peers.quix_host import host  # noqa: PLC0415 - found only now

    host(settings)


if __name__ == "__main__":
    main(sys.argv[1])

"""For developers: resolves Kafka Streams anew and writes its lock file.

python -m calstream_ops.bench.peers.lock VERSION
"""

import sys
import tempfile
from pathlib import Path

from calstream_ops.bench.peers.kafka_streams import LOCK_PATH
from calstream_ops.stack.lock import resolve

_STREAMS = "org.apache.kafka:kafka-streams"


def main(version: str) -> None:
    """Writes the lock file of the package this module is in."""
    with tempfile.TemporaryDirectory() as cache:
        lock = resolve(f"{_STREAMS}:{version}", Path(cache))
    lock.save(LOCK_PATH)
    sys.stderr.write(f"{len(lock.dependencies)} jars locked in {LOCK_PATH}\n")


if __name__ == "__main__":
    main(sys.argv[1])

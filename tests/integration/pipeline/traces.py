"""Looks for texts in all that an installation leaves behind: logs of the broker, files, output."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from aiokafka.record.memory_records import MemoryRecords
from tests.integration.pipeline.conftest import Installation

from calstream_core.sealing import open_keys
from calstream_ops.inspection.log_reader import LogReader, LogRecord
from calstream_ops.inspection.rendering import decoded
from calstream_schemas.topics import catalogue, full_name


class Traces:
    """What an installation has left behind so far.

    Args:
        installation: whose.
        broker_data: where the broker keeps its logs.
        root: the installation's directory: tables, database, output.
    """

    def __init__(self, installation: Installation, broker_data: Path, root: Path) -> None:
        self._installation = installation
        self._broker_data = broker_data
        self._root = root

    def places_of(self, texts: Sequence[str]) -> dict[str, set[str]]:
        """The places in which each text stands in the clear."""
        found: dict[str, set[str]] = {text: set() for text in texts}
        needles = {text: text.encode() for text in texts}
        for place, content in self._contents():
            for text, needle in needles.items():
                if needle in content:
                    found[text].add(place)
        return found

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        yield from self._segments()
        for path in sorted(self._root.rglob("*")):
            if path.is_file():
                yield f"file {_kind_of_file(path, self._root)}", path.read_bytes()

    def _segments(self) -> Iterator[tuple[str, bytes]]:
        """The records in the broker's own files, each batch decompressed."""
        prefix = self._installation.kafka.topic_prefix
        for directory in sorted(self._broker_data.glob(f"{prefix}*")):
            topic = directory.name.removeprefix(prefix).rpartition("-")[0]
            for segment in sorted(directory.glob("*.log")):
                batches = MemoryRecords(segment.read_bytes())
                while (batch := batches.next_batch()) is not None:
                    for record in batch:
                        headers = b"".join(value or b"" for _, value in record.headers)
                        content = (record.key or b"") + (record.value or b"") + headers
                        yield f"log {topic}", content

    def opened(self, texts: Sequence[str]) -> dict[str, set[str]]:
        """The topics in which each text can be opened with the keys that there are now."""
        keys = open_keys(self._installation.settings, may_create=False)
        found: dict[str, set[str]] = {text: set() for text in texts}
        for record in self.records():
            shown = decoded(record, keys.sealer)
            assert "unreadable" not in shown or record.topic.endswith(".dead"), shown
            content = json.dumps(shown, ensure_ascii=False, default=str)
            for text in texts:
                if text in content:
                    found[text].add(
                        record.topic.removeprefix(self._installation.kafka.topic_prefix)
                    )
        return found

    def records(self) -> Iterable[LogRecord]:
        """Every record of every topic of the installation."""
        kafka = self._installation.kafka
        names = [full_name(topic, kafka) for topic in catalogue(self._installation.settings.sinks)]
        with LogReader(self._installation.bootstrap_servers) as reader:
            yield from reader.read(reader.ranges(names))


def _kind_of_file(path: Path, root: Path) -> str:
    parts = path.relative_to(root).parts
    if path.suffix == ".log" and len(parts) == 1:
        return f"output of {path.stem}"
    return "/".join(parts[:3])

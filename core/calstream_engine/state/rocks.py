"""State on disk with RocksDB: one database for each partition of a table.

A database of its own, so that a partition that moves away leaves no key behind. Changes and the
checkpoint are one atomic write; what a killed process had written is there at the next start, and
the restore goes on from the checkpoint. Blocks are cached once for the whole process.
"""

import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import structlog
from rocksdict import (
    AccessType,
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
)

from calstream_engine.state.store import RESERVED, Change, directory_of

_CHECKPOINT = RESERVED + b"checkpoint"
_BLOCK_CACHE_BYTES = 32 << 20
_BLOCK_BYTES = 4 << 10
_WRITE_BUFFER_BYTES = 8 << 20
_OPEN_FILES = 128
_log = structlog.get_logger()


class RocksStore:
    """A database. Fulfils `PartitionStore`."""

    def __init__(self, database: Rdict) -> None:
        self._database = database
        self.checkpoint, self.left_at = _parse(database.get(_CHECKPOINT))
        self.get = database.get  # no frame of our own between a handler and its state

    def apply(self, changes: Iterable[Change], checkpoint: int) -> None:
        """Makes changes and moves the checkpoint, all or none."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(_CHECKPOINT, b"%d %d" % (checkpoint, time.time()))
        self._database.write(batch)
        self.checkpoint = checkpoint

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values, without the engine's own."""
        found: Iterator[Any] = iter(self._database.items())
        for key, value in found:
            if not key.startswith(RESERVED):
                yield key, value

    def keys(self, prefix: bytes) -> Iterator[bytes]:
        """The keys that begin with a prefix, in order; not the engine's own."""
        found: Iterator[Any] = iter(self._database.keys(from_key=prefix))
        for key in found:
            if not key.startswith(prefix):
                return
            if not key.startswith(RESERVED):
                yield key

    def reset(self) -> None:
        """Forgets everything, its checkpoint included."""
        for key in list(self._database.keys()):
            self._database.delete(key)
        self.checkpoint = 0

    def close(self) -> None:
        """Closes the database; it is there at the next start."""
        self._database.close()


class RocksStores:
    """Opens databases below a directory that no other worker uses. Fulfils `StoreFactory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._cache = Cache(_BLOCK_CACHE_BYTES)

    def open(self, table: str, partition: int, *, keep_seconds: float) -> RocksStore:
        """Opens a database, or makes an empty one."""
        path = directory_of(self._directory, table, partition)
        path.parent.mkdir(parents=True, exist_ok=True)
        store = self._open(path)
        if store.checkpoint and time.time() - store.left_at > keep_seconds:
            _log.info("state too old to be trusted", table=table, partition=partition)
            store.close()
            shutil.rmtree(path)
            store = self._open(path)
        return store

    def _open(self, path: Path) -> RocksStore:
        options = self._options()
        database = Rdict(
            str(path),
            options,
            # named, or a database that is there already is opened with the options of its making
            # and a cache of its own
            column_families={"default": options},
            access_type=AccessType.read_write(),
        )
        return RocksStore(database)

    def _options(self) -> Options:
        blocks = BlockBasedOptions()
        blocks.set_block_cache(self._cache)
        blocks.set_bloom_filter(10, block_based=False)
        # index and filter count against the cache, in pieces: a whole one of a large partition does
        # not fit and would be read, checked and decompressed at every `get`
        blocks.set_cache_index_and_filter_blocks(True)
        blocks.set_index_type(BlockBasedIndexType.two_level_index_search())
        blocks.set_partition_filters(True)
        blocks.set_metadata_block_size(_BLOCK_BYTES)
        blocks.set_pin_top_level_index_and_filter(True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(blocks)
        options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
        options.set_max_write_buffer_number(2)
        options.set_max_open_files(_OPEN_FILES)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_max_total_wal_size(4 * _WRITE_BUFFER_BYTES)
        options.set_keep_log_file_num(2)
        return options


def _parse(checkpoint: bytes | None) -> tuple[int, float]:
    if checkpoint is None:
        return 0, 0.0
    offset, left_at = checkpoint.split()
    return int(offset), float(left_at)

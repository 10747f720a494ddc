"""Has the keys of many records at hand before they are opened: one query instead of many."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from calstream_core.errors import CalstreamError, UnavailableError
from calstream_core.sealing import Sealer
from calstream_schemas.codec import Decoded, Poison


def load_keys(
    decoded: Iterable[Decoded | Poison],
    key_ids: Callable[[Decoded], Iterable[str]],
    sealer_of: Callable[[str], Sealer],
) -> None:
    """Loads the keys of records that are about to be opened.

    Args:
        decoded: the records.
        key_ids: names keys that a record is sealed with; one it leaves out is loaded on its own.
        sealer_of: gives the sealer of a workspace.

    Raises:
        UnavailableError: the key store does not answer.
    """
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for record in decoded:
        if isinstance(record, Decoded):
            wanted[record.body["workspace"]].update(key_ids(record))
    for workspace, ids in wanted.items():
        try:
            sealer = sealer_of(workspace)
        except UnavailableError:
            raise
        except CalstreamError:
            continue  # opening the record will say so
        sealer.load(ids)

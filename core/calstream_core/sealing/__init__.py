"""Seals personal values before they are written, with keys that can be destroyed one by one."""

from calstream_core.sealing.key_store import KeyStore, open_keys
from calstream_core.sealing.leaves import leaf_of
from calstream_core.sealing.names import KeyName, Scope, contact_key, day_key, object_key
from calstream_core.sealing.sealer import Box, Erased, Seal, Sealer

__all__ = [
    "Box",
    "Erased",
    "KeyName",
    "KeyStore",
    "Scope",
    "Seal",
    "Sealer",
    "contact_key",
    "day_key",
    "leaf_of",
    "object_key",
    "open_keys",
]

"""Keys of single records out of one key, so that a record's can be destroyed and no other's.

A key is the root of a tree; each step down hashes the node with one of 16 digits, and a leaf, eight
steps down, seals one record. To destroy a leaf, the root is destroyed and the nodes beside the path
to the leaf are kept in its place: from them every other leaf is made, and this one never more. Such
a node is a row of the key store like any other. See
`core/decisions/0005-each-webhook-has-a-key.md`.
"""

import hashlib
from collections.abc import Iterator

from calstream_core.sealing.names import KeyName

DIGITS = "0123456789abcdef"
DEPTH = 8
_KEY_BYTES = 64


def leaf_of(record_id: str) -> str:
    """The leaf of a record by its id: one of four thousand million."""
    return hashlib.blake2b(record_id.encode(), digest_size=DEPTH // 2).hexdigest()


def descend(node: bytes, digits: str) -> bytes:
    """The node that many steps further down."""
    for digit in digits:
        node = hashlib.blake2b(digit.encode(), key=node, digest_size=_KEY_BYTES).digest()
    return node


def node_name(root: KeyName, root_id: str, digits: str) -> KeyName:
    """What a node is called that stands in for a destroyed root."""
    return KeyName(root.scope, f"{root.name.partition('/')[0]}/{root_id}/{digits}")


def digits_of(node: KeyName) -> str:
    """How far down a node is; nothing for a root."""
    return node.name.rpartition("/")[2] if "/" in node.name else ""


def beside(node: bytes, above: str, leaf: str) -> Iterator[tuple[str, bytes]]:
    """The nodes beside the path from a node to a leaf, by their digits from the root.

    Args:
        node: where the path begins.
        above: the node's own digits, the first ones of the leaf's.
        leaf: all digits of the leaf.
    """
    for depth in range(len(above), DEPTH):
        for digit in DIGITS:
            if digit != leaf[depth]:
                yield leaf[:depth] + digit, descend(node, digit)
        node = descend(node, leaf[depth])

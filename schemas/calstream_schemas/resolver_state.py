"""The keys of `resolver.state`: what was seen, rules, assignments, refolds, heads of the audit.

An observation that was seen has the key `workspace/id` and as value when it was received, in
microseconds. What else there is has a key below and is JSON. No workspace's name begins with `~`.
"""

CHECKPOINT_EVERY = 1024
"""After so many entries of an audit chain one of them is kept as a checkpoint."""

CHECKPOINTS_KEPT = 512
"""Of how many checkpoints a chain keeps the newest."""

_RULES = b"/~rules"
_ASSIGNMENTS = b"/~assignments"
_REFOLD = b"/~refold"
_AUDIT = b"~audit/"
_HEAD = b"/head"


def rules_key(workspace: str) -> bytes:
    """The key under which a workspace's rule set is kept."""
    return workspace.encode() + _RULES


def workspace_of_rules(key: bytes) -> str | None:
    """The workspace whose rule set a key holds; None for any other key."""
    return key.removesuffix(_RULES).decode() if key.endswith(_RULES) else None


def assignments_key(workspace: str) -> bytes:
    """The key under which it is kept how many leads a workspace has given to whom."""
    return workspace.encode() + _ASSIGNMENTS


def workspace_of_assignments(key: bytes) -> str | None:
    """The workspace whose assignments a key holds; None for any other key."""
    return key.removesuffix(_ASSIGNMENTS).decode() if key.endswith(_ASSIGNMENTS) else None


def refold_key(workspace: str) -> bytes:
    """The key under which it is kept how far a workspace's refold is."""
    return workspace.encode() + _REFOLD


def workspace_of_refold(key: bytes) -> str | None:
    """The workspace whose refold a key holds; None for any other key."""
    return key.removesuffix(_REFOLD).decode() if key.endswith(_REFOLD) else None


def audit_head_key(writer: str) -> bytes:
    """The key under which the newest entry of a writer's audit chain is kept."""
    return _AUDIT + writer.encode() + _HEAD


def audit_checkpoint_key(writer: str, sequence: int) -> bytes:
    """The key under which an entry is kept as a checkpoint; those of old ones are used again."""
    place = sequence // CHECKPOINT_EVERY % CHECKPOINTS_KEPT
    return _AUDIT + writer.encode() + b"/checkpoint/%d" % place


def audit_writer_of(key: bytes) -> str | None:
    """The writer of whose audit chain a key holds the head or a checkpoint; None for any other."""
    return key.removeprefix(_AUDIT).partition(b"/")[0].decode() if key.startswith(_AUDIT) else None


def is_audit_head(key: bytes) -> bool:
    """Whether a key of a chain holds its head."""
    return key.startswith(_AUDIT) and key.endswith(_HEAD)

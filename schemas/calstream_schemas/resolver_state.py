"""The keys of `resolver.state`: what was seen, and the rules and assignments of workspaces.

An observation that was seen has the key `workspace/id` and as value when it was received, in
microseconds. A workspace's rule set, and how many leads it has given to whom, have the keys below
and are JSON.
"""

_RULES = b"/~rules"
_ASSIGNMENTS = b"/~assignments"


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

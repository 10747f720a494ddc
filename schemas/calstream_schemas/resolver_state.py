"""The keys of `resolver.state`: observations that were seen, and the rules of workspaces.

An observation that was seen has the key `workspace/id` and as value when it was received, in
microseconds. A workspace's rule set has the key below and is JSON.
"""

_RULES = b"/~rules"


def rules_key(workspace: str) -> bytes:
    """The key under which a workspace's rule set is kept."""
    return workspace.encode() + _RULES


def workspace_of_rules(key: bytes) -> str | None:
    """The workspace whose rule set a key holds; None for any other key."""
    return key.removesuffix(_RULES).decode() if key.endswith(_RULES) else None

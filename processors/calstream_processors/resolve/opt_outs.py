"""A withdrawal outlives an erasure: whoever comes again has not agreed until they do so anew. Pure.

The person is known again by a keyed hash of their address, and nothing else of them is kept.
"""

from collections.abc import Iterator, Sequence

from calstream_processors.resolve.consequences import SYSTEM, Change, said_by_rules
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import NaturalId, Stamp
from calstream_schemas.observations import NO_VERSION, Observation, Statement
from calstream_schemas.rule_sets import RuleSet

_BASIS = "withdrawn before an erasure"


def opted_out(
    state: WorkspaceState, changes: Sequence[Change], rules: RuleSet
) -> Iterator[Observation]:
    """The withdrawals of somebody who was erased and has come again, as consents of theirs."""
    del rules
    if not state.erasures:
        return
    for change in changes:
        contact, before = change.after, change.before
        new = set(contact.match_keys) - set(before.match_keys if before else ())
        if contact.kind != "contact" or not new or not contact.copies:
            continue
        person = min(contact.copies)
        for erasure in state.erasures:
            for opt_out in erasure.opt_outs if erasure.people & new else ():
                at = opt_out.decided_at
                natural_id = NaturalId(
                    SYSTEM, "consent", f"{contact.id}/{opt_out.purpose}/{opt_out.decided_at}"
                )
                stamp = Stamp(NO_VERSION, at, by_self=False)
                yield said_by_rules(
                    change.cause,
                    "consent",
                    natural_id,
                    (
                        Statement("contact", {"contact_ref": str(person)}, stamp),
                        Statement("purpose", {"purpose": opt_out.purpose}, stamp),
                        Statement(
                            "decision",
                            {
                                "granted": False,
                                "basis": _BASIS,
                                "text_hash": None,
                                "decided_at": at,
                            },
                            stamp,
                        ),
                    ),
                )

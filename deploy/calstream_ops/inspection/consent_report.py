"""What a person agreed to, and every grant and withdrawal that led there. Pure."""

from collections.abc import Iterable
from typing import Any

from calstream_ops.inspection.times import readable
from calstream_schemas.entities import Copy, Entity, NaturalId


def describe_consents(consents: Iterable[Entity]) -> list[dict[str, Any]]:
    """By purpose: what stands, and the decisions behind it, the oldest first.

    Args:
        consents: one person's. Of one purpose there may be several, from several systems.
    """
    decisions: dict[str, dict[NaturalId, dict[str, Any]]] = {}
    for consent in consents:
        for id_, copy in consent.copies.items():
            purpose = _said(copy, "purpose").get("purpose")
            decision = _said(copy, "decision")
            if isinstance(purpose, str) and decision:
                decisions.setdefault(purpose, {})[id_] = decision
    return [_purpose(purpose, decisions[purpose]) for purpose in sorted(decisions)]


def _purpose(purpose: str, decisions: dict[NaturalId, dict[str, Any]]) -> dict[str, Any]:
    # at the same moment a withdrawal counts
    ordered = sorted(
        decisions.items(), key=lambda item: (item[1]["decided_at"], not item[1]["granted"], item[0])
    )
    return {
        "purpose": purpose,
        "granted": bool(ordered[-1][1]["granted"]),
        "history": [
            {
                "granted": decision["granted"],
                "decided_at": readable(decision["decided_at"]),
                "basis": decision.get("basis"),
                "text_hash": decision.get("text_hash"),
                "source": str(id_),
            }
            for id_, decision in ordered
        ],
    }


def _said(copy: Copy, group: str) -> dict[str, Any]:
    register = copy.registers.get(group)
    return dict(register.values) if register is not None else {}

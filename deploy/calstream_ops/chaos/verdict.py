"""Compares what was found after a trial with the reference, exactly, and says what is wrong.

Pure: what was found comes as lists and dicts. Every finding names the partition and the record or
the key; the report adds the seed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from calstream_engine.records import Place
from calstream_ops.chaos.reference import TRANSACTIONAL, Effect, Expected, Kind

_TOLD = 5


@dataclass(slots=True)
class Verdict:
    """What a comparison came to.

    Attributes:
        lost: places (partition, offset) of source records without one of their effects.
        duplicated: transactional effects beyond one, or of no record.
        repeats: effects of plain mode beyond one: allowed if they are the same.
        reordered: effects of plain mode that came first after those of a later record of their key:
            allowed, since what could not be sent is sent again behind what could.
        equal: by what was compared, whether it is equal everywhere.
        findings: what is wrong, for a person.
    """

    lost: set[tuple[int, int]] = field(default_factory=set)
    duplicated: int = 0
    repeats: int = 0
    reordered: int = 0
    equal: dict[str, bool] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing at all is wrong."""
        return not (self.lost or self.duplicated or self.findings) and all(self.equal.values())

    def effects(
        self, kind: Kind, partition: int, expected: Sequence[Effect], found: Sequence[Effect]
    ) -> None:
        """Compares what a stage wrote to a partition."""
        where = f"{kind}[{partition}]"
        is_equal = list(expected) == list(found)
        self._missing(where, partition, expected, found)
        if kind in TRANSACTIONAL:
            self._beyond_one(where, expected, found)
        else:
            is_equal = self._repeats(where, expected, found)
        if not is_equal:
            self._first_difference(kind, where, expected, found)
        self._settle(kind, is_equal=is_equal)

    def state(
        self, name: str, place: Place, expected: Mapping[bytes, bytes], found: Mapping[bytes, bytes]
    ) -> None:
        """Compares the state of a partition of a changelog, as one of its readers found it."""
        self._settle(name, is_equal=expected == found)
        different = [k for k in {**expected, **found} if expected.get(k) != found.get(k)]
        self._tell(
            f"{name} {place}: {key!r} is {found.get(key)!r} and not {expected.get(key)!r}"
            for key in sorted(different)
        )

    def position(self, partition: int, expected: Expected, found: int | None) -> None:
        """Compares the position in the source that the state names."""
        is_equal = (found or 0) == expected.position
        self._settle("positions", is_equal=is_equal)
        if not is_equal:
            self.findings.append(
                f"positions[{partition}]: the state was left at {found} and not at"
                f" {expected.position}"
            )

    def source(self, written: Iterable[bytes], found: Iterable[bytes]) -> None:
        """Compares the source with what the harness wrote: what it holds is what is expected."""
        wanted, there = Counter(written), Counter(found)
        self._settle("source", is_equal=wanted == there)
        self._tell(f"source: {value!r} is missing" for value in (wanted - there))
        self._tell(f"source: {value!r} is there without need" for value in (there - wanted))

    def _settle(self, name: str, *, is_equal: bool) -> None:
        self.equal[name] = self.equal.get(name, True) and is_equal

    def _missing(
        self, where: str, partition: int, expected: Sequence[Effect], found: Sequence[Effect]
    ) -> None:
        there = {effect.offset for effect in found}
        missing = [effect for effect in expected if effect.offset not in there]
        self.lost |= {(partition, effect.offset) for effect in missing}
        self._tell(
            f"{where}: nothing of source offset {effect.offset}, key {effect.key!r}"
            for effect in missing
        )

    def _beyond_one(self, where: str, expected: Sequence[Effect], found: Sequence[Effect]) -> None:
        beyond = Counter(effect.offset for effect in found)
        beyond.subtract({effect.offset: 1 for effect in expected})
        extra = {offset: count for offset, count in beyond.items() if count > 0}
        self.duplicated += sum(extra.values())
        self._tell(
            f"{where}: {count} effects too many of source offset {offset}"
            for offset, count in sorted(extra.items())
        )

    def _repeats(self, where: str, expected: Sequence[Effect], found: Sequence[Effect]) -> bool:
        """Whether what is there, once or more often, is what it should be."""
        wanted = {effect.offset: effect for effect in expected}
        strange = [effect for effect in found if wanted.get(effect.offset) != effect]
        first: dict[int, Effect] = {}
        for effect in found:
            first.setdefault(effect.offset, effect)
        self.repeats += len(found) - len(first)
        self.reordered += _out_of_order(first.values())
        self._tell(
            f"{where}: {effect.value!r} of key {effect.key!r} under the id of source offset"
            f" {effect.offset}"
            for effect in strange
        )
        return not strange and wanted.keys() == first.keys()

    def _first_difference(
        self, kind: Kind, where: str, expected: Sequence[Effect], found: Sequence[Effect]
    ) -> None:
        if kind not in TRANSACTIONAL:
            return
        for number, (wanted, there) in enumerate(zip(expected, found, strict=False)):
            if wanted != there:
                self.findings.append(f"{where}: number {number} is {there} and not {wanted}")
                return

    def _tell(self, lines: Iterable[str]) -> None:
        """Adds lines, the first of many only."""
        told = list(lines)
        self.findings += told[:_TOLD]
        if len(told) > _TOLD:
            self.findings.append(f"... and {len(told) - _TOLD} more like the last")


def _out_of_order(effects: Iterable[Effect]) -> int:
    """How many come behind one of a later record of their key."""
    count = 0
    latest: dict[bytes, int] = {}
    for effect in effects:
        count += effect.offset < latest.get(effect.key, -1)
        latest[effect.key] = max(effect.offset, latest.get(effect.key, -1))
    return count

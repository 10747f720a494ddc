"""Reading a group's partitions: claims from their assignment to their end.

Assigned: the state is taken over and restored, the position found, then reading begins. Handed out:
batches under the claim. Revoked: what has begun is finished or abandoned within one budget, the
watermark is committed, then the partition is given up. Lost: nothing done counts any more.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import structlog

from calstream_core.errors import Code, InvariantError, UnavailableError
from calstream_core.metrics import (
    ENGINE_COMMITS,
    ENGINE_EXPIRED,
    ENGINE_LAG,
    ENGINE_RESTORE_SECONDS,
)
from calstream_engine.claim import Claim
from calstream_engine.configuration import EngineSettings
from calstream_engine.engine import Engine
from calstream_engine.membership import Membership
from calstream_engine.records import Batch, Place
from calstream_engine.watermark import Span, Watermark
from calstream_engine.writer import FencedError

_RETRY_SECONDS = 1.0
_LEAST_LEAVING_SECONDS = 1.0
_log = structlog.get_logger()

Announce = Callable[[Collection[Place]], Awaitable[None]]
Deliver = Callable[[Claim, Batch], None]
Crash = Callable[[Exception], None]


class Reading:
    """What one app reads. Fulfils the membership's `Listener`; made and used in the loop.

    Args:
        engine: the app's part of the engine.
        announce: told of all our places whenever one comes, before its first batch.
        deliver: takes a batch under a claim; it is `acknowledged` or `abandoned` later.
        crash: ends the app.
    """

    def __init__(self, engine: Engine, announce: Announce, deliver: Deliver, crash: Crash) -> None:
        self._engine = engine
        self._announce = announce
        self._deliver = deliver
        self._crash = crash
        self._settings: EngineSettings = engine.settings
        self._membership = Membership(self._settings.group(), self)
        self._tasks: set[asyncio.Task[None]] = set()
        self._hooks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._leaving = False
        self.claims: dict[Place, Claim] = {}
        self.topics: list[str] = []
        self.first_restore = asyncio.Event()

    def start(self, topics: Sequence[str]) -> None:
        """Joins the group; returns at once."""
        self.topics = sorted(topics)
        self._membership.start(self.topics)

    async def leave(self) -> None:
        """Leaves the group as at a revoke of everything. Doing it again is nothing."""
        if not self._leaving:
            self._leaving = True
            await self._membership.stop()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._engine.ownership.close()

    def halt(self) -> None:
        """Begins nothing more: the app is about to end."""
        for claim in self.claims.values():
            claim.active = False

    def acknowledged(self, claim: Claim, span: Span, weight: int) -> None:
        """The effects of a span are durable."""
        if claim.ended:
            return
        claim.watermark.done(span)
        claim.moved_at = time.monotonic()
        claim.returned(weight)
        self._membership.returned(weight)

    def abandoned(self, claim: Claim, weight: int) -> None:
        """Records that were handed out won't be handled under this claim."""
        if not claim.ended:
            claim.returned(weight)
            self._membership.returned(weight)

    # what the membership tells

    def on_assigned(self, claims: Sequence[Claim]) -> None:
        """See `Listener`."""
        for claim in claims:
            self.claims[claim.place] = claim
        if not claims:
            self.first_restore.set()
        self._begin(self._take_all(claims))

    async def on_revoked(self, claims: Sequence[Claim], *, lost: bool) -> dict[Place, int]:
        """See `Listener`. All of it within one budget, but a moment to give the partitions up."""
        began = time.monotonic()
        for claim in claims:
            claim.active = False
        try:
            async with asyncio.timeout(self._settings.release_seconds):
                await asyncio.gather(*(self._finish(claim, lost=lost) for claim in claims))
        except TimeoutError:
            _log.warning("abandoned at a revoke", seconds=self._settings.release_seconds)
        offsets = {}
        for claim in claims:
            claim.ended = True
            self._membership.returned(claim.records_in_flight)
            claim.records_in_flight = 0
            if self.claims.get(claim.place) is claim:
                del self.claims[claim.place]
            if not lost and claim.restored and claim.watermark.position > claim.committed:
                offsets[claim.place] = claim.watermark.position
        rest = self._settings.release_seconds - (time.monotonic() - began)
        await self._give_up(
            {claim.place.partition for claim in claims}, max(rest, _LEAST_LEAVING_SECONDS)
        )
        return offsets

    def on_batches(self, batches: Sequence[tuple[Claim, Batch]]) -> None:
        """See `Listener`."""
        for claim, batch in batches:
            known = self.claims.get(claim.place) is claim and claim.active
            ready = known and claim.restored and not claim.stopped
            # nothing is handed out twice under a claim, whatever the client reads again
            new = batch.since(claim.watermark.read_to) if ready else None
            if new is None or len(new) < len(batch):
                self._membership.returned(batch.weight - (new.weight if new is not None else 0))
            if new is not None:
                claim.records_in_flight += new.weight
                self._deliver(claim, new)

    def on_end(self, ends: Sequence[tuple[Claim, int]]) -> None:
        """See `Listener`."""
        for claim, offset in ends:
            known = self.claims.get(claim.place) is claim and claim.active
            if known and not claim.stopped:  # or what was passed over would count as done
                claim.watermark.reach(offset)

    def on_failed(self, error: Exception) -> None:
        """See `Listener`."""
        self._crash(error)

    # taking over

    def _begin(self, work: Any) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                assert isinstance(error, Exception)
                self._crash(error)

        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(ended)

    async def _take_all(self, claims: Sequence[Claim]) -> None:
        await self._announce(self.claims.keys())
        await asyncio.gather(*(self._take(claim) for claim in claims))
        self.first_restore.set()

    async def _take(self, claim: Claim) -> None:
        started = claim.moved_at = time.monotonic()
        while claim.active:
            try:
                await self._restore(claim)
            except UnavailableError as error:
                if error.code is Code.WORKER_FENCED or not claim.active:
                    claim.stopped = error  # somebody else has it already; the group will tell
                    return
                _log.warning("waiting to restore", place=str(claim.place), error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                break
        if not claim.active:
            return
        ENGINE_RESTORE_SECONDS.labels(self._settings.app).observe(time.monotonic() - started)
        claim.moved_at = time.monotonic()
        claim.restored = True
        self._membership.read_from(claim, claim.watermark.position)

    async def _restore(self, claim: Claim) -> None:
        partition = claim.place.partition
        await self._engine.ownership.take(partition)
        if not claim.active:
            return
        claim.watermark = Watermark(await self._position(claim))
        async with self._hooks[partition]:  # they are done before those of its end begin
            if not claim.active:
                return
            stage = self._engine.stages.get(claim.place.topic)
            if stage is not None:
                stage.restored(claim)
            for hook in self._engine.assigned:
                await hook(partition)

    async def _position(self, claim: Claim) -> int:
        """Where to read on: what the state says, else what the group says, else the beginning."""
        place = claim.place
        position = self._engine.ownership.position(place.partition, place.topic)
        committed = (await self._membership.committed([place]))[place]
        claim.committed = committed
        # asked last: while it is waited for, others may go on and the partition may grow
        low, high = (await self._membership.ends([place]))[place]
        claim.high_watermark = high
        if position is None:
            position = committed if committed >= 0 else low
        if position < low:
            ENGINE_EXPIRED.labels(self._settings.app).inc(low - position)
            _log.error(
                "records expired before they were read",
                place=str(place),
                from_offset=position,
                to_offset=low,
                hint="The topic's retention is shorter than the worker was away.",
            )
            return low
        if position > high:
            raise InvariantError(
                Code.INVARIANT_BROKEN,
                f"{place} ends at {high}, and {position} was done already.",
                hint="Was the topic made anew, or has the broker lost records?",
            )
        return position

    # giving up

    async def _finish(self, claim: Claim, *, lost: bool) -> None:
        stage = self._engine.stages.get(claim.place.topic)
        if stage is not None:
            await stage.release(claim)
        elif not lost:
            claim.look_whether_idle()
            await claim.idle.wait()  # agents of Faust's manual end what they have begun

    async def _give_up(self, partitions: set[int], seconds: float) -> None:
        still = {claim.place.partition for claim in self.claims.values()}
        gone = sorted(partitions - still)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(self._tell_revoked(partition) for partition in gone))
        except TimeoutError:
            _log.warning("hooks abandoned at a revoke", seconds=seconds)
        finally:
            leaving = [self._engine.ownership.give_up(partition) for partition in gone]
        # a take-over that has begun must not reach the broker after the next owner's
        tasks = [task for task in leaving if task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def _tell_revoked(self, partition: int) -> None:
        async with self._hooks[partition]:
            for hook in self._engine.revoked:
                try:
                    await hook(partition)
                except Exception as error:  # noqa: BLE001 - the others are told, and then it ends
                    _log.critical("a hook failed", partition=partition, error=str(error))
                    self._crash(error)

    # going on

    async def commit(self) -> None:
        """Tells the group how far the watermarks are.

        Raises:
            UnavailableError: it did not hear; the same is told again at the next call.
        """
        moved = {
            claim.place: claim
            for claim in self.claims.values()
            if claim.restored and claim.watermark.position > claim.committed
        }
        offsets = {place: claim.watermark.position for place, claim in moved.items()}
        if offsets and not self._leaving:
            await self._membership.commit(offsets)
            for place, claim in moved.items():
                claim.committed = offsets[place]
            ENGINE_COMMITS.labels(self._settings.app).inc()

    async def measure(self) -> None:
        """Takes note of the partitions' ends; ends the app if there is lag and no movement.

        So it does if a partition can't be written any more and the group does not say that it went.

        Raises:
            UnavailableError: the worker has left its group, or the broker does not answer.
        """
        claims = {c.place: c for c in self.claims.values() if c.restored or c.stopped}
        if self._leaving:
            return
        ends = await self._membership.high_watermarks(list(claims))
        now = time.monotonic()
        for place, claim in claims.items():
            claim.high_watermark = max(claim.high_watermark, ends[place])
            claim.stopped = claim.stopped or self._engine.ownership.failure(place.partition)
            if not claim.lag and claim.stopped is None:
                claim.moved_at = now
        ENGINE_LAG.labels(self._settings.app).set(sum(claim.lag for claim in claims.values()))
        worst = self._worst()
        if worst is not None and not await self._waits_for_others(worst):
            self._crash(worst.stopped or _stalled(worst))

    async def _waits_for_others(self, claim: Claim) -> bool:
        """Whether all there is beyond is a transaction of somebody else that is still open."""
        if claim.stopped is not None:
            return False
        _low, readable = (await self._membership.ends([claim.place]))[claim.place]
        if claim.watermark.position < readable:
            return False
        claim.moved_at = time.monotonic()
        return True

    def _worst(self) -> Claim | None:
        """The partition that has stood still for longest, if it is too long."""
        now = time.monotonic()
        claims = [claim for claim in list(self.claims.values()) if claim.lag or claim.stopped]
        stalled = [c for c in claims if now - c.moved_at > self._patience_seconds(c)]
        return min(stalled, key=lambda claim: claim.moved_at, default=None)

    def _patience_seconds(self, claim: Claim) -> float:
        """How long a claim may stand still. Who is fenced learns of it from the group, or never."""
        stall_seconds = self._settings.stall_seconds
        if isinstance(claim.stopped, FencedError):
            return min(stall_seconds, 2 * self._settings.session_timeout_seconds)
        return stall_seconds

    def standstill(self) -> str | None:
        """What shows that the app has come to a standstill; from any thread."""
        worst = self._worst()
        return None if worst is None else str(worst.stopped or _stalled(worst))

    def fault(self) -> str | None:
        """What keeps the app from being ready: partitions not restored, or stopped."""
        if not self.claims:
            return None if self.first_restore.is_set() else "no partitions yet"
        restoring = [self._progress(c.place) for c in self.claims.values() if not c.restored]
        stopped = [f"{c.place}: {c.stopped}" for c in self.claims.values() if c.stopped]
        if stopped:
            return f"stopped: {'; '.join(stopped)}"
        return f"restoring {', '.join(restoring)}" if restoring else None

    def _progress(self, place: Place) -> str:
        left = self._engine.ownership.records_to_restore(place.partition)
        return f"{place} ({left} records left)" if left else str(place)


def _stalled(claim: Claim) -> UnavailableError:
    return UnavailableError(
        Code.WORKER_STALLED,
        f"{claim.place} stands still at {claim.watermark.position} with {claim.lag} left.",
        hint="The worker ends so that it is started anew.",
    )

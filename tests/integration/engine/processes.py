"""Workers in processes of their own, which a test may kill and stop at any time."""

import asyncio
import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from tests.integration.engine.transactional_apps import Names
from tests.integration.engine.waiting import PATIENCE_SECONDS, eventually

from calstream_engine import Mode

_ROOT = Path(__file__).parents[3]


class WorkerProcess:
    """A process that runs `worker_process`; ended with the block at the latest."""

    def __init__(
        self,
        bootstrap_servers: str,
        names: Names,
        log: Path,
        *,
        mode: Mode = Mode.TRANSACTIONAL,
        group: dict[str, Any] | None = None,
        is_stuck: bool = False,
        **engine: Any,
    ) -> None:
        given = {
            "bootstrap_servers": bootstrap_servers,
            "names": asdict(names),
            "mode": mode,
            "group": group or {},
            "is_stuck": is_stuck,
            "engine": engine,
        }
        self.log = log
        self._log = log.open("a")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.engine.worker_process", json.dumps(given)],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._url = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()

    async def until_ready(self) -> Self:
        """Waits until it is ready, as `/healthz` tells."""
        await eventually(lambda: self.answers("healthz"))
        return self

    def answers(self, path: str) -> bool:
        """Whether it answers with 200; asks in the test's own thread, for a moment only."""
        assert self._process.poll() is None, self.log.read_text()[-3000:]
        if not self._url:
            assert self._process.stdout is not None
            self._url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        answer = httpx.get(f"{self._url}/{path}", trust_env=False, timeout=PATIENCE_SECONDS)
        return answer.status_code == httpx.codes.OK

    def kill(self) -> None:
        """SIGKILL; returns when it has ended."""
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    async def until_ended(self) -> int:
        """Waits until it has ended; its exit status."""
        return await asyncio.to_thread(self._process.wait, PATIENCE_SECONDS)

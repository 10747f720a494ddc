"""Each worker of a machine has a slot of its own, and whoever starts again takes it again."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from calstream_core.errors import Code, UnavailableError
from calstream_engine import slots as slots_module
from calstream_engine.slots import worker_slot

_WORKER = """
import sys
from pathlib import Path
from calstream_engine.slots import worker_slot
with worker_slot(Path(sys.argv[1])) as slot:
    print(slot.number, slot.instance_id, flush=True)
    sys.stdin.read()
"""


@contextmanager
def _worker(directory: Path) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """A process that holds a slot, with the slot's number."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().split()[0]), process
        finally:
            process.kill()


def test_slots_of_one_process_differ(tmp_path: Path) -> None:
    with worker_slot(tmp_path) as first, worker_slot(tmp_path) as second:
        assert (first.number, second.number) == (0, 1)
        assert first.directory != second.directory
        assert first.instance_id != second.instance_id
        assert first.directory.is_dir()


def test_slots_of_two_processes_differ_and_that_of_a_killed_one_is_free(tmp_path: Path) -> None:
    with _worker(tmp_path) as (first, process), _worker(tmp_path) as (second, _):
        assert {first, second} == {0, 1}
        with worker_slot(tmp_path) as third:
            assert third.number == 2
        process.kill()
        process.wait()
        with worker_slot(tmp_path) as again:
            assert again.number == first


def test_a_slot_is_taken_again_under_the_same_name_and_with_its_files(tmp_path: Path) -> None:
    with worker_slot(tmp_path) as before:
        (before.directory / "state").write_text("kept")
    with worker_slot(tmp_path) as after:
        assert after == before
        assert (after.directory / "state").read_text() == "kept"


def test_a_slot_is_freed_however_its_block_ends(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), worker_slot(tmp_path):
        raise ZeroDivisionError
    with worker_slot(tmp_path) as slot:
        assert slot.number == 0


def test_a_name_that_no_group_takes_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots_module.platform, "node", lambda: "anna's máchine")  # type: ignore[attr-defined]  # the module it asks
    with worker_slot(tmp_path) as slot:
        assert slot.instance_id == "anna-s-m-chine-0"


def test_more_workers_than_slots_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots_module, "_MOST", 2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(worker_slot(tmp_path))
        with pytest.raises(UnavailableError) as caught:
            stack.enter_context(worker_slot(tmp_path))
    assert caught.value.code is Code.STACK_RUNNING

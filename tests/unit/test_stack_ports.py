"""Ports of the embedded broker."""

import socket
from pathlib import Path

from calstream_ops.stack.ports import LOOPBACK, is_free, remembered_ports

NAMES = ("broker", "controller")


def test_ports_are_distinct_free_and_outside_the_range_for_outgoing_connections(
    tmp_path: Path,
) -> None:
    ports = remembered_ports(tmp_path / "ports.json", NAMES)
    assert set(ports) == set(NAMES)
    assert len(set(ports.values())) == len(NAMES)
    assert all(is_free(port) and 20_000 <= port < 30_000 for port in ports.values())


def test_the_same_ports_are_given_again(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    assert remembered_ports(path, NAMES) == remembered_ports(path, NAMES)


def test_a_port_that_is_taken_by_now_is_replaced_and_the_other_kept(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    before = remembered_ports(path, NAMES)
    with socket.socket() as other:
        other.bind((LOOPBACK, before["broker"]))
        other.listen()
        after = remembered_ports(path, NAMES)
    assert after["broker"] != before["broker"]
    assert after["controller"] == before["controller"]
    assert remembered_ports(path, NAMES) == after

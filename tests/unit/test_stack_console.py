"""What a person sees of the stack."""

import io

import pytest

from calstream_ops.stack import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(5, "Input/output error")


def test_prefixes_are_as_wide_as_the_longest_name() -> None:
    stream = io.StringIO()
    console = Console(stream)
    console.announce(["web", "a-very-long-name"])
    console.line("web", "hello")
    console.progress("on my way")
    assert stream.getvalue() == "web              │ hello\ncalstream        │ on my way\n"


def test_a_terminal_gets_a_colour_for_each_process_and_the_text_as_it_is() -> None:
    stream = Terminal()
    console = Console(stream)
    console.announce(["one", "two"])
    console.line("one", "x")
    console.line("two", "x")
    first, second = stream.getvalue().splitlines()
    assert first == "\x1b[36mone       │ \x1b[0mx"
    assert second == "\x1b[33mtwo       │ \x1b[0mx"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    Console(stream).progress("plain")
    assert stream.getvalue() == "calstream │ plain\n"


def test_a_terminal_that_is_gone_stops_nobody() -> None:
    console = Console(Gone())
    console.progress("one")
    console.progress("two")

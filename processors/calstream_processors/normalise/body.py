"""Reads fields out of a parsed body without trusting it, and remembers what was wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from calstream_core.errors import Code, RecordError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a webhook that could not be used; the rest of it was."""

    code: Code
    field: str
    message: str


@dataclass
class Body:
    """One JSON object of a webhook, with its place in it."""

    fields: Mapping[str, Any]
    path: str = ""
    problems: list[Problem] = field(default_factory=list)
    kept_raw: list[Problem] = field(default_factory=list)

    def place(self, name: str) -> str:
        """The dotted path of a field, for messages."""
        return f"{self.path}.{name}" if self.path else name

    def child(self, name: str) -> Self | None:
        """An object below this one; None where it is null, absent or no object (a problem)."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self._report(RecordError(Code.BODY_INVALID, "not an object", field=name))
            return None
        return type(self)(value, self.place(name), self.problems, self.kept_raw)

    def required_text(self, name: str) -> str:
        """A text without which the object can't be used.

        Raises:
            RecordError: it is absent, empty or no text.
        """
        value = self.fields.get(name)
        if not isinstance(value, str) or not value.strip():
            raise RecordError(Code.BODY_INVALID, "missing or not a text", field=self.place(name))
        return value.strip()

    def text(self, name: str, *, most: int | None = None) -> str | None:
        """A text; None where it is null or empty.

        Args:
            name: the field.
            most: how many characters it may have.

        Raises:
            RecordError: it is something else, or longer.
        """
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise RecordError(Code.BODY_INVALID, "not a text", field=self.place(name))
        text = value.strip()
        if most is not None and len(text) > most:
            message = f"longer than {most} characters"
            raise RecordError(Code.TEXT_TOO_LONG, message, field=self.place(name))
        return text or None

    def whole(self, name: str) -> int | None:
        """A whole number that Avro's long can hold, or None where it is null.

        Raises:
            RecordError: it is something else.
        """
        value = self.fields.get(name)
        if value is None:
            return None
        if type(value) is not int or not -(2**63) <= value < 2**63:
            raise RecordError(Code.BODY_INVALID, "not a whole number", field=self.place(name))
        return value

    def attempt(self, read: Callable[[], T]) -> T | None:
        """Runs a reader; what it refuses becomes a problem and None."""
        try:
            return read()
        except RecordError as error:
            self._report(error)
            return None

    def keep_raw(self, code: Code, name: str, message: str) -> None:
        """Takes note of a value that can't be read and is kept as it was given."""
        self.kept_raw.append(Problem(code, self.place(name), message))

    def _report(self, error: RecordError) -> None:
        place = error.field
        if self.path and not place.startswith(self.path):
            place = self.place(place)
        self.problems.append(Problem(error.code, place, error.message))

"""References to secrets on the command line: where one is, never the secret itself."""

from pathlib import Path

import typer


def reference(text: str) -> dict[str, str]:
    """`env:VAR` or `file:PATH` as the settings have it.

    Raises:
        BadParameter: it is neither.
    """
    kind, _, place = text.partition(":")
    if kind == "env" and place:
        return {"env": place}
    if kind == "file" and place:
        path = Path(place)
        # the processes may run elsewhere
        return {"file": place if place.startswith("~") else str(path.absolute())}
    raise typer.BadParameter("must be env:VAR or file:PATH; never the secret itself")

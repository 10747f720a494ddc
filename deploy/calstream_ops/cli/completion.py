"""Names for the shell's completion, from the settings alone: nothing is asked over a network."""

from collections.abc import Callable

from calstream_core.errors import CalstreamError
from calstream_core.settings import Settings, load_settings
from calstream_schemas.topics import catalogue


def topic_names(_incomplete: str) -> list[str]:
    """The topics of the catalogue."""
    return _names(lambda settings: [topic.name for topic in catalogue(settings.sinks)])


def sink_ids(_incomplete: str) -> list[str]:
    """The configured sinks."""
    return _names(lambda settings: list(settings.sinks))


def workspace_names(_incomplete: str) -> list[str]:
    """The configured workspaces."""
    return _names(lambda settings: list(settings.workspaces))


def _names(of: Callable[[Settings], list[str]]) -> list[str]:
    try:
        return of(load_settings().settings)
    except CalstreamError:
        return []  # a line that is being typed is no place for an error

"""Finds sinks by the entry points of installed distributions; ours come the same way."""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from pydantic import ValidationError

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import SinkSettings
from calstream_sinks.api import API_VERSION, Sink, SinkConfig, SinkContext

GROUP = "calstream.sinks"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One installed sink, or why it can't be used."""

    name: str
    origin: str
    sink: type[Sink[SinkConfig]] | None
    fault: str = ""


@cache
def plugins() -> dict[str, Plugin]:
    """Every installed sink by its type. A broken one is kept with its fault."""
    return {point.name: _load(point) for point in entry_points(group=GROUP)}


def _load(point: EntryPoint) -> Plugin:
    origin = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    try:
        loaded = point.load()
    except Exception as error:  # noqa: BLE001 - somebody else's module may raise anything
        return Plugin(point.name, origin, None, f"{type(error).__name__}: {error}")
    if not (isinstance(loaded, type) and issubclass(loaded, Sink)):
        return Plugin(point.name, origin, None, f"{point.value} is no Sink")
    if loaded.manifest.api_version != API_VERSION:
        fault = f"written for version {loaded.manifest.api_version} of the API, not {API_VERSION}"
        return Plugin(point.name, origin, None, fault)
    return Plugin(point.name, origin, loaded)


def sink_type(settings: SinkSettings, sink_id: str) -> type[Sink[SinkConfig]]:
    """The class of a configured sink.

    Raises:
        ConfigError: no such type is installed, or it is broken.
    """
    plugin = plugins().get(settings.type)
    if plugin is None:
        known = ", ".join(sorted(plugins())) or "none"
        raise ConfigError(
            Code.PLUGIN_BROKEN,
            f"Sink {sink_id} has the type {settings.type}, which is not installed.",
            hint=f"Installed: {known}.",
        )
    if plugin.sink is None:
        raise ConfigError(
            Code.PLUGIN_BROKEN,
            f"The sink type {settings.type} of {plugin.origin} can't be used: {plugin.fault}.",
        )
    return plugin.sink


def make_sink(settings: SinkSettings, sink_id: str, context: SinkContext) -> Sink[SinkConfig]:
    """A sink from its settings; not opened yet.

    Raises:
        ConfigError: its type or its own settings are wrong; every fault is named.
    """
    type_ = sink_type(settings, sink_id)
    try:
        config = type_.config_model.model_validate(settings.options())
    except ValidationError as error:
        faults = "\n".join(
            f"  sinks.{sink_id}.{'.'.join(str(p) for p in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        )
        raise ConfigError(
            Code.CONFIG_INVALID, f"The settings of sink {sink_id} are not valid:\n{faults}"
        ) from error
    return type_(config, context)

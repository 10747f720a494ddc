"""Which processes make up Calstream on one machine, and what is done between their starts."""

import asyncio
import socket
import sys
from collections.abc import Sequence
from functools import partial

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import LoadedSettings, Settings, SinkSettings
from calstream_ops.stack.child import ChildSpec
from calstream_ops.stack.local import Plan
from calstream_ops.stack.ports import LOOPBACK, remembered_ports
from calstream_ops.stack.supervisor import Step
from calstream_ops.topics import TopicAdmin
from calstream_sinks.registry import make_sink
from calstream_sinks.runner.context import RunnerContext

SANDBOX, INGEST, PROCESSORS, SINKS = "sandbox", "ingest", "processors", "sinks"

SANDBOX_LISTEN = "127.0.0.1:4700"
"""Where the sandbox listens unless told otherwise; `calstream init` writes it into the sink."""

SANDBOX_HUBSPOT_TOKEN = "pat-sandbox"  # noqa: S105 - made up; the sandbox's default

_CONFIG_VARIABLE = "CALSTREAM_CONFIG"


def process_specs(
    loaded: LoadedSettings,
    *,
    sandbox_listen: str | None = SANDBOX_LISTEN,
    retry_scale: float = 1.0,
) -> list[ChildSpec]:
    """The processes on top of the broker, in the order of their start.

    Each has a health listener on a free port of the loopback interface, the same one again where
    that is possible. The broker's address is no business of this: the supervisor adds it.

    Args:
        loaded: the settings; their file is handed to every process.
        sandbox_listen: HOST:PORT for the sandbox; None for no sandbox.
        retry_scale: shortens the waits between the sandbox's deliveries of a webhook.
    """
    directory = loaded.settings.state.directory
    directory.mkdir(parents=True, exist_ok=True)
    ports = remembered_ports(directory / "health_ports.json", (INGEST, PROCESSORS, SINKS))
    environment = {_CONFIG_VARIABLE: str(loaded.path.absolute())} if loaded.path else {}

    def ours(name: str, address: str = "") -> ChildSpec:
        health = f"{LOOPBACK}:{ports[name]}"
        return ChildSpec(
            name=name,
            argv=_module(f"calstream_{name}", "--health-listen", health),
            environment=environment,
            health=f"http://{health}/healthz",
            address=address or health,
        )

    specs = []
    if sandbox_listen is not None:
        arguments = ("--listen", sandbox_listen, "--retry-scale", str(retry_scale))
        specs.append(
            ChildSpec(
                name=SANDBOX,
                argv=_module("calstream_sandbox", *arguments),
                health=f"http://{sandbox_listen}/healthz",
                address=sandbox_listen,
            )
        )
    specs += [ours(INGEST, loaded.settings.ingest.listen), ours(PROCESSORS)]
    if loaded.settings.sinks:
        specs.append(ours(SINKS))
    return specs


def stack_plan(
    loaded: LoadedSettings,
    *,
    sandbox_listen: str | None = SANDBOX_LISTEN,
    retry_scale: float = 1.0,
) -> Plan:
    """The processes with what must be done before them: topics, and the sandbox's set-up.

    Args:
        loaded: see `process_specs`.
        sandbox_listen: see `process_specs`.
        retry_scale: see `process_specs`.

    Returns:
        What `LocalStack` asks for. Called, it raises ConfigError where an address that must be
        listened at is taken.
    """

    def plan(bootstrap_servers: str) -> Sequence[ChildSpec | Step]:
        settings = loaded.settings
        require_free_addresses(settings, sandbox_listen)
        units: list[ChildSpec | Step] = [
            Step("topics", partial(_prepare_topics, bootstrap_servers, settings))
        ]
        for spec in process_specs(loaded, sandbox_listen=sandbox_listen, retry_scale=retry_scale):
            units.append(spec)
            if spec.name == SANDBOX:
                units += _sandbox_steps(settings, spec.address)
        return units

    return plan


def require_free_addresses(settings: Settings, sandbox_listen: str | None) -> None:
    """Checks that the addresses which the stack must listen at can be had now.

    Raises:
        ConfigError: one can't, most likely because another process listens there.
    """
    _require_free(settings.ingest.listen, "Ingest", "Set another ingest.listen.")
    if sandbox_listen is not None:
        _require_free(sandbox_listen, "The sandbox", "`calstream up --no-sandbox` starts none.")


def _require_free(listen: str, who: str, hint: str) -> None:
    host, _, port = listen.rpartition(":")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # as servers do: connections that were closed a moment ago don't count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError, ValueError) as error:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"{who} can't listen at {listen}: {error}.",
            hint=f"Does another process? {hint}",
        ) from error


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    # -P: a file in the working directory must not be taken for a module of ours or of Python's
    return (sys.executable, "-P", "-m", name, *arguments)


async def _prepare_topics(bootstrap_servers: str, settings: Settings) -> None:
    def work() -> None:
        admin = TopicAdmin(bootstrap_servers, settings)
        admin.create()
        admin.require_partitions()

    await asyncio.to_thread(work)


def _sandbox_steps(settings: Settings, address: str) -> list[Step]:
    """Sets up what a sink finds at the sandbox, which forgets everything when it ends.

    Only there: at a real vendor `calstream sink setup` does it, when a person says so.
    """
    return [
        Step(f"set-up of {sink_id} in the sandbox", partial(_set_up, sink, sink_id))
        for sink_id, sink in settings.sinks.items()
        if str(sink.options().get("base_url", "")).startswith(f"http://{address}/")
    ]


async def _set_up(settings: SinkSettings, sink_id: str) -> None:
    context = RunnerContext(sink_id)
    sink = make_sink(settings, sink_id, context)
    try:
        await sink.open()
        await sink.setup()
        await sink.close()
    finally:
        await context.close()

"""The embedded broker's configuration: real Kafka, sized for one developer's machine."""

from collections.abc import Mapping
from pathlib import Path

from calstream_ops.stack.ports import LOOPBACK

DATA_DIRECTORY = "data"
LOG_FILE_NAME = "kafka.log"
PROPERTIES_NAME = "server.properties"

_LOG4J_NAME = "log4j2.properties"

_MEBIBYTE = 1024 * 1024
_OLDEST_JAVA_THAT_WARNS = 24


def broker_properties(
    broker_port: int, controller_port: int, heap_megabytes: int
) -> dict[str, str]:
    """Kafka's own settings for one node that is broker and controller in one.

    Paths are relative to the broker's directory, so it may be called anything.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"BROKER://{LOOPBACK}:{broker_port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": DATA_DIRECTORY,
        # our admin step creates topics; a misspelt one must not appear by itself
        "auto.create.topics.enable": "false",
        # there is nobody else to wait for
        "group.initial.rebalance.delay.ms": "0",
        # after a crash the controller refuses the new broker until the old one's session is over
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        **_internal_topics(),
        **_sizes(heap_megabytes),
    }


def _internal_topics() -> dict[str, str]:
    return {
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
    }


def _sizes(heap_megabytes: int) -> dict[str, str]:
    return {
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
        # the default of 128 MiB does not fit into a small heap
        "log.cleaner.dedupe.buffer.size": str(heap_megabytes * _MEBIBYTE // 8),
    }


_LOG4J = {
    "status": "error",
    # or the last lines of a shutdown would be missing
    "shutdownHook": "disable",
    "appender.file.type": "RollingFile",
    "appender.file.name": "file",
    "appender.file.fileName": LOG_FILE_NAME,
    "appender.file.filePattern": f"{LOG_FILE_NAME}.%i",
    "appender.file.layout.type": "PatternLayout",
    "appender.file.layout.pattern": "%d{ISO8601} %-5p %c{1.}: %m%n",
    "appender.file.policies.type": "Policies",
    "appender.file.policies.size.type": "SizeBasedTriggeringPolicy",
    "appender.file.policies.size.size": "10MB",
    "appender.file.strategy.type": "DefaultRolloverStrategy",
    "appender.file.strategy.max": "2",
    # what stops it is also told to whoever started it
    "appender.console.type": "Console",
    "appender.console.name": "console",
    "appender.console.target": "SYSTEM_ERR",
    "appender.console.filter.threshold.type": "ThresholdFilter",
    "appender.console.filter.threshold.level": "error",
    "appender.console.layout.type": "PatternLayout",
    "appender.console.layout.pattern": "%p %c{1.}: %m %throwable{short.message}%n",
    "rootLogger.level": "info",
    "rootLogger.appenderRef.file.ref": "file",
    "rootLogger.appenderRef.console.ref": "console",
}
"""Kafka's log: a file that is rolled, and errors on standard error."""


def write_config(directory: Path, properties: Mapping[str, str]) -> None:
    """Writes Kafka's settings and those of its log into the directory it will run in."""
    for name, content in ((PROPERTIES_NAME, properties), (_LOG4J_NAME, _LOG4J)):
        # a Java properties file; none of our values needs escaping
        text = "".join(f"{key}={value}\n" for key, value in content.items())
        (directory / name).write_text(text, "ascii")


def jvm_flags(heap_megabytes: int, java_major: int) -> list[str]:
    """Flags for a small and fast start; `deploy/decisions/0001-embedded-kafka.md` has figures."""
    flags = [
        f"-Xmx{heap_megabytes}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",  # no files in the system's temporary directory
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={_LOG4J_NAME}",
    ]
    if java_major >= _OLDEST_JAVA_THAT_WARNS:
        # the compression libraries load native code and use sun.misc.Unsafe
        flags += ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
    return flags

"""What the broker's refusals and its silence become in our errors."""

from concurrent.futures import Future
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from calstream_core.errors import Code, ConfigError, UnavailableError

# librdkafka's own codes, which confluent-kafka names with an underscore, and those of a broker that
# is about to serve a topic or has just given it up
_NOT_NOW = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001 - see above
        KafkaError._TIMED_OUT,  # noqa: SLF001 - see above
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - see above
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
    }
)

Result = TypeVar("Result")


def settled(future: "Future[Result]", failure: str) -> Result:
    """The result of an administrative call; blocks until it is there.

    Args:
        future: as the client gave it; the call has a time-out, so it is done in the end.
        failure: what it means where it failed, without a full stop.

    Raises:
        ConfigError: the broker refuses.
        UnavailableError: it does not answer.
    """
    try:
        return future.result()
    except KafkaException as error:
        raise refused(failure, error) from error


def refused(failure: str, error: KafkaException) -> ConfigError | UnavailableError:
    """The error for a call that failed."""
    reason: KafkaError = error.args[0]
    if reason.retriable() or reason.code() in _NOT_NOW:
        return broker_unavailable(reason)
    hint = "Check kafka.replication_factor against the number of brokers, and our rights there."
    return ConfigError(Code.CONFIG_INVALID, f"{failure}: {reason.str()}.", hint=hint)


def broker_unavailable(error: KafkaError) -> UnavailableError:
    """The error for a broker that does not answer."""
    return UnavailableError(
        Code.BROKER_UNAVAILABLE,
        f"The broker can't be used now: {error.str()}.",
        hint="Is it up, and is its address right? `calstream status` shows the local one.",
    )

"""The tree of errors, grouped by what helps.

    CalstreamError
      ConfigError        the settings are wrong; never retried                     exit 78
      UnavailableError   something we need does not answer; retried with a delay   exit 69
      RecordError        one record can't be used; it goes to the dead letters     exit 65
      SecurityError      a request is refused; its body is never logged            exit 1
      InvariantError     a bug of ours; stop rather than write something wrong     exit 1

Every error has a code that stays the same between releases. The code is what scripts test for, the
`error_code` label of the metrics and a heading in `docs/errors.md`.
"""

from enum import StrEnum


class Code(StrEnum):
    """Every error code there is; `docs/errors.md` has a heading for each (tested)."""

    # settings and surroundings
    CONFIG_INVALID = "config-invalid"
    CONFIG_NOT_FOUND = "config-not-found"
    SECRET_MISSING = "secret-missing"  # noqa: S105 - a code, not a secret
    JAVA_MISSING = "java-missing"
    KAFKA_JARS_MISSING = "kafka-jars-missing"
    PLUGIN_BROKEN = "plugin-broken"
    TOPICS_DIFFER = "topics-differ"
    WORKSPACE_UNKNOWN = "workspace-unknown"
    SINK_MISCONFIGURED = "sink-misconfigured"
    ENGINE_UNSUPPORTED = "engine-unsupported"
    # what does not answer
    DATABASE_UNAVAILABLE = "database-unavailable"
    BROKER_UNAVAILABLE = "broker-unavailable"
    BROKER_FAILED = "broker-failed"
    STACK_NOT_RUNNING = "stack-not-running"
    STACK_RUNNING = "stack-running"
    PROCESS_FAILED = "process-failed"
    SINK_UNAVAILABLE = "sink-unavailable"
    RATE_LIMITED = "rate-limited"
    OUTCOME_UNKNOWN = "outcome-unknown"
    WORKER_FENCED = "worker-fenced"
    WORKER_STALLED = "worker-stalled"
    # one record
    RECORD_UNREADABLE = "record-unreadable"
    JSON_INVALID = "json-invalid"
    BODY_INVALID = "body-invalid"
    TIME_INVALID = "time-invalid"
    RECURRENCE_INVALID = "recurrence-invalid"
    RECURRENCE_TOO_LARGE = "recurrence-too-large"
    EMAIL_INVALID = "email-invalid"
    PHONE_UNREADABLE = "phone-unreadable"
    TEXT_TOO_LONG = "text-too-long"
    AMOUNT_INVALID = "amount-invalid"
    CURRENCY_UNKNOWN = "currency-unknown"
    WORKSPACE_MISMATCH = "workspace-mismatch"
    EVENT_TYPE_UNKNOWN = "event-type-unknown"
    RECORD_FAILED = "record-failed"
    VENDOR_REFUSED = "vendor-refused"
    OBJECT_TAKEN = "object-taken"
    ENTITY_NOT_FOUND = "entity-not-found"
    CONFLICT_NOT_OPEN = "conflict-not-open"
    SOURCE_WITHOUT_RULE = "source-without-rule"
    MERGE_CYCLIC = "merge-cyclic"
    MERGE_REFUSED = "merge-refused"
    RETRIES_EXHAUSTED = "retries-exhausted"
    RECORD_TOO_LARGE = "record-too-large"
    # requests that are refused
    SIGNATURE_MISSING = "signature-missing"
    SIGNATURE_INVALID = "signature-invalid"
    SIGNATURE_STALE = "signature-stale"
    CHALLENGE_INVALID = "challenge-invalid"
    ADDRESS_UNKNOWN = "address-unknown"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    BODY_TOO_LARGE = "body-too-large"
    BODY_INCOMPLETE = "body-incomplete"
    CONTENT_TYPE_UNSUPPORTED = "content-type-unsupported"
    INGEST_BUSY = "ingest-busy"
    SEAL_BROKEN = "seal-broken"
    CHECKSUM_DIFFERS = "checksum-differs"
    # bugs
    INVARIANT_BROKEN = "invariant-broken"
    DEAD_LETTER_LIMIT = "dead-letter-limit"


class CalstreamError(Exception):
    """The base of every error that Calstream raises on purpose.

    Attributes:
        code: the stable code.
        message: what happened and where, for the reader. Never holds personal data or a secret.
        hint: what to do about it; may be empty.
        exit_status: what the command line exits with.
    """

    exit_status = 1

    def __init__(self, code: Code, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]" + (f" {self.hint}" if self.hint else "")


class ConfigError(CalstreamError):
    """The settings, or what they point to, must be changed by a person."""

    exit_status = 78


class UnavailableError(CalstreamError):
    """Something outside this process does not answer now; trying again later may help.

    Attributes:
        retry_after_seconds: how long the other side asked us to wait, if it did.
    """

    exit_status = 69

    def __init__(
        self, code: Code, message: str, *, hint: str = "", retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(code, message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class RecordError(CalstreamError):
    """One record can't be used. It is kept with its bytes; the stream goes on.

    Attributes:
        field: the path of the field at fault, or an empty string.
    """

    exit_status = 65

    def __init__(self, code: Code, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(code, message, hint=hint)
        self.field = field


class SecurityError(CalstreamError):
    """A request that can't prove where it comes from, or bytes that were tampered with."""


class InvariantError(CalstreamError):
    """Something that can't be happened. The process must stop before it writes."""

"""What each bench measures, and the goals."""

from collections.abc import Sequence

from calstream_ops.bench.report import Measure
from calstream_ops.bench.steps import NAMES

_RATE = "records/s"

ENGINE: Sequence[Measure] = (
    Measure("plain_records_per_second", _RATE, 50_000),
    Measure("transactional_records_per_second", _RATE, 35_000),
    Measure("ratio_to_quix", "x", 1.5, digits=2, needs_peers=True),
    Measure("ratio_to_faust", "x", 20, digits=1, needs_peers=True),
    Measure("restore_1m_seconds", "s", 20, at_most=True, digits=1),
    Measure("latency_p99_plain_ms", "ms", 20, at_most=True, digits=1),
    Measure("latency_p99_transactional_ms", "ms", 60, at_most=True, digits=1),
    Measure("memory_1m_mb", "MB", 500, at_most=True),
    Measure("quix_records_per_second", _RATE, needs_peers=True),
    Measure("faust_records_per_second", _RATE, needs_peers=True),
    Measure("kafka_streams_records_per_second", _RATE, needs_peers=True),
    Measure("kafka_streams_eos_records_per_second", _RATE, needs_peers=True),
    Measure("transactional_1m_records_per_second", _RATE),
    Measure("quix_1m_records_per_second", _RATE, needs_peers=True),
    Measure("faust_1m_records_per_second", _RATE, needs_peers=True),
    Measure("faust_restore_1m_seconds", "s", digits=1, needs_peers=True),
    Measure("latency_p50_plain_ms", "ms", digits=1),
    Measure("latency_p50_transactional_ms", "ms", digits=1),
    Measure("end_to_end_p99_plain_ms", "ms", digits=1),
    Measure("end_to_end_p99_transactional_ms", "ms", digits=1),
)

IDENTITY = (
    Measure("lookups_per_second", "1/s", goal=10_000),
    Measure("match_p99_ms", "ms", goal=10, at_most=True, digits=3),
    Measure("match_p50_ms", "ms", digits=3),
    Measure("index_restore_seconds", "s", goal=60, at_most=True, digits=1),
    Measure("index_memory_mb", "MB"),
    Measure("peak_memory_mb", "MB"),
)
"""What the identity bench measures, in the order in which it is shown."""

STEP = "step_{}_us"
"""The name of what a step of the resolver's work costs."""

RESOLVE = (
    Measure("webhooks_per_second_per_core", "1/s", goal=2_000),
    Measure("ratio_to_quix", "x", goal=1.0, digits=2, needs_peers=True),
    Measure("cpu_us_per_webhook", "us"),
    Measure("webhooks_per_cpu_second", "1/s"),
    Measure("keyed_webhooks_per_second", "1/s", needs_peers=True),
    Measure("quix_webhooks_per_second", "1/s", needs_peers=True),
    Measure("quix_cpu_us_per_webhook", "us", needs_peers=True),
    Measure("max_memory_mb", "MB"),
    *(Measure(STEP.format(name), "us/webhook", digits=1) for name in NAMES),
)
"""What the resolver's bench measures."""

OVERLAP = (
    Measure("find_p99_ms", "ms", goal=1, at_most=True, digits=3),
    Measure("find_p50_ms", "ms", digits=3),
    Measure("observation_p99_ms", "ms", digits=3),
    Measure("restore_seconds", "s", digits=2),
)
"""What the bench of double bookings measures."""

MEASURES = {"engine": ENGINE, "identity": IDENTITY, "overlap": OVERLAP, "resolve": RESOLVE}
"""By the bench's name."""

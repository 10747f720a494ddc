"""The catalogue of metrics: every name, label and bucket in one place.

Names have the prefix `calstream_`, base units and bounded labels; never a workspace, an e-mail
address or an id. `docs/metrics.md` is checked against this file.
"""

from prometheus_client import Counter, Gauge, Histogram

_QUICK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_DELAY_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

INGEST_REQUESTS = Counter(
    "calstream_ingest_requests",
    "Webhooks by what became of them.",
    ["source", "outcome"],
)
INGEST_REQUEST_SECONDS = Histogram(
    "calstream_ingest_request_duration_seconds",
    "Time from a request's start to its answer.",
    ["source"],
    buckets=_QUICK_SECONDS,
)
INGEST_PUBLISH_SECONDS = Histogram(
    "calstream_ingest_publish_duration_seconds",
    "Time the broker took to confirm a webhook.",
    buckets=_QUICK_SECONDS,
)
STAGE_EVENTS = Counter(
    "calstream_stage_events",
    "Records a stage handled, by what became of them.",
    ["stage", "outcome"],
)
STAGE_SECONDS = Histogram(
    "calstream_stage_duration_seconds",
    "Time a stage took for one record, its writes confirmed.",
    ["stage"],
    buckets=_QUICK_SECONDS,
)
DEAD_LETTERS = Counter(
    "calstream_dead_letters",
    "Records that were given up and kept, by stage and cause.",
    ["stage", "error_code"],
)
KEPT_RAW = Counter(
    "calstream_kept_raw",
    "Values that could not be read and were kept as they were given, by cause.",
    ["stage", "error_code"],
)
SINK_DELIVERIES = Counter(
    "calstream_sink_deliveries",
    "Changes a sink settled, by outcome.",
    ["sink", "outcome"],
)
SINK_REQUESTS = Counter(
    "calstream_sink_requests",
    "Calls to a vendor, by operation and class of status.",
    ["sink", "operation", "status_class"],
)
SINK_RETRIES = Counter(
    "calstream_sink_retries",
    "Deliveries that were put off, by cause.",
    ["sink", "error_code"],
)
SINK_PENDING = Gauge(
    "calstream_sink_pending",
    "Keys that a sink still has to settle, by ledger state.",
    ["sink", "state"],
)
ERASURES_OPEN = Gauge(
    "calstream_erasures_open",
    "People who are being erased in this worker's partitions: not all has answered yet.",
)
SYNC_DELAY_SECONDS = Histogram(
    "calstream_sync_delay_seconds",
    "Time from the change at its source to the vendor's confirmation.",
    ["sink", "mode"],
    buckets=_DELAY_SECONDS,
)
ENGINE_LAG = Gauge(
    "calstream_engine_lag",
    "Offsets between what is done and the end of the source, over the partitions of a worker.",
    ["app"],
)
ENGINE_COMMITS = Counter(
    "calstream_engine_commits",
    "Commits of the watermarks to the consumer group.",
    ["app"],
)
ENGINE_RESTORE_SECONDS = Histogram(
    "calstream_engine_restore_duration_seconds",
    "Time from a partition's assignment to its first record: fence, restore, position.",
    ["app"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900),
)
ENGINE_EXPIRED = Counter(
    "calstream_engine_expired_records",
    "Offsets that retention took away before they were read.",
    ["app"],
)

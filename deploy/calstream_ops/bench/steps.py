"""The steps from a webhook to the truth, and the functions in which each of them happens."""

from calstream_ops.bench.sampling import Steps

REST = "event_loop"
NATIVE = "native_threads"
"""What is not Python's thread: librdkafka's and RocksDB's own."""

STEPS: Steps = {
    ("webhooks", "decode_received"): "decode_webhooks",
    ("normaliser", "normalise"): "normalise",
    ("observations", "encode_observation"): "encode_observations",
    ("observations", "decode_observations"): "decode_observations",
    ("sealer", "seal"): "seal",
    ("sealer", "open"): "open",
    ("sealer", "make"): "keys",
    ("sealer", "load"): "keys",
    ("keys_ahead", "keys_ahead"): "keys",
    ("observations", "sealed_with"): "keys",
    ("resolver", "identify"): "match",
    ("resolver", "resolve"): "fold",
    ("partition", "_entity"): "read_entities",
    ("state", "put"): "index",
    ("questions", "questions"): "consequences",
    ("conflicts", "conflict_changes"): "consequences",
    ("consequences", "follow"): "consequences",
    ("consequences", "follow_up"): "consequences",
    ("audit", "entries_of"): "audit",
    ("audit", "append"): "audit",
    ("avro", "encode_entity"): "encode_entities",
    ("avro", "entity_headers"): "encode_entities",
    ("rocks", "apply"): "store",
    ("agent", "handle"): "stages",
    ("writer", "_commit"): "transaction",
    ("writer", "_produce"): "transaction",
    ("writer", "_told"): "transaction",
    ("producer", "send_all"): "produce_observations",
}
"""See `calstream_ops.bench.sampling`."""

NAMES = (*dict.fromkeys(STEPS.values()), REST, NATIVE)
"""All steps."""

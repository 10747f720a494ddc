"""How large records may be.

A dead letter must take whatever record there is, and more headers beside. So topics of dead letters
take larger records than others, and clients may write larger ones than what we make ourselves.
"""

MAX_RECORD_BYTES = 1_000_000
"""The largest record that we make: key, value and headers. Kafka's default limit, less its
overhead."""

MAX_DEAD_LETTER_BYTES = 8 << 20
"""The largest dead letter: key, value and headers. A record of Kafka's default limit is far
smaller; one that is larger when it is unpacked is cut."""

_OVERHEAD_BYTES = 64 * 1024

DEAD_TOPIC_BYTES = MAX_DEAD_LETTER_BYTES + _OVERHEAD_BYTES
"""`max.message.bytes` of a topic of dead letters."""

REQUEST_BYTES = DEAD_TOPIC_BYTES
"""`message.max.bytes` of a client that writes dead letters."""

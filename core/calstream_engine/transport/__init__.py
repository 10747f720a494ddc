"""What Faust sees of the engine: a transport with its consumer and producer, streams and tables.

Faust keeps what it is good at: declaring agents, topics and tables, delivering events to agents,
serializers, signals and supervision. What it does between the broker and an event is replaced.
`calstream_engine.upstream` lists every override.
"""

from calstream_engine.transport.transport import SCHEME, Transport

__all__ = ["SCHEME", "Transport"]

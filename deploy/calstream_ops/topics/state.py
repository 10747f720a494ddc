"""What is said of topics: how they are, how they differ from the catalogue, what became of them."""

from dataclasses import dataclass
from enum import StrEnum

from calstream_schemas.topics import Topic

MISSING, PARTITIONS, REPLICAS = "topic", "partitions", "replication.factor"
"""What a difference may be in besides the settings of a topic."""


class Outcome(StrEnum):
    """What became of a topic that should be there."""

    CREATED = "created"
    PRESENT = "present"
    ALTERED = "altered"


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting of a topic that is not as the catalogue wants it.

    Attributes:
        topic: its name at the broker.
        setting: a setting of Kafka's, or MISSING, PARTITIONS or REPLICAS.
        alterable: whether `alter_topics` can mend it.
    """

    topic: str
    setting: str
    wanted: str
    found: str
    alterable: bool


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic of the catalogue as it is at the broker.

    Attributes:
        name: at the broker.
        partitions: how many there are; 0 where the topic is missing.
        offsets: between its beginning and its end. After compaction fewer records are left, and a
            transaction takes an offset too.
    """

    topic: Topic
    name: str
    partitions: int
    offsets: int

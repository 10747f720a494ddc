"""Everything of Faust and mode that the engine overrides or leans on though it is not promised.

One place, so that an upgrade is a matter of reading: `tests/unit/engine/test_upstream.py` fails for
every source that is not as it was when we read it, for every override that is not listed here, and
for every private attribute that we touch and that is not listed here. Then read the new source,
decide whether the reason still holds, mend what does not, and write down the new fingerprint.

Nothing of aiokafka is overridden or relied on: the engine's clients are librdkafka's.

To go back to upstream: give `faust.App` a `kafka://` broker and none of `FAUST_SETTINGS`. Agents
and tables as in Faust's manual need no other change; batch agents have no counterpart there.
"""

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

from faust import channels, streams, topics
from faust.agents import actor, agent
from faust.app import base as app_base
from faust.serializers import schemas
from faust.stores import base as stores
from faust.tables import base as tables_base
from faust.tables import manager, table
from faust.transport import base as transport_base
from faust.transport import conductor, producer
from faust.types import stores as stores_types
from faust.types import transports, tuples
from mode import services
from mode.utils import collections

from calstream_engine.transport.agent import Agent
from calstream_engine.transport.consumer import Consumer
from calstream_engine.transport.producer import Producer
from calstream_engine.transport.schema import BatchSchema, RecordSchema
from calstream_engine.transport.stream import Stream
from calstream_engine.transport.tables import Tables, TableStore
from calstream_engine.transport.transport import Fetcher, Transport


class Override(NamedTuple):
    """Methods of upstream that a class of ours replaces.

    Attributes:
        ours: our class.
        upstream: the class whose methods they are.
        reason: why ours are others.
        methods: by name, the fingerprint of upstream's source.
    """

    ours: type
    upstream: type
    reason: str
    methods: Mapping[str, str]


class Reliance(NamedTuple):
    """What of upstream must go on behaving as it does.

    Attributes:
        upstream: the class or module.
        reason: what we count on.
        sources: by name, the fingerprint of upstream's source.
        attributes: private attributes that these sources make and that we touch.
    """

    upstream: Any
    reason: str
    sources: Mapping[str, str]
    attributes: tuple[str, ...] = ()


def fingerprint(owner: Any, name: str) -> str:
    """The first 16 digits of the SHA-256 of a source: of a method, property, function or class."""
    found = inspect.getattr_static(owner, name)
    found = getattr(found, "fget", None) or getattr(found, "__func__", None) or found
    found = getattr(found, "fun", found)  # what mode's decorator for tasks wraps
    found = getattr(found, "__wrapped__", found)
    return hashlib.sha256(inspect.getsource(found).encode()).hexdigest()[:16]


OVERRIDES: tuple[Override, ...] = (
    Override(
        Agent,
        agent.Agent,
        "A failure goes to the dead letters and the actor goes on; upstream's supervisor may take"
        " five seconds for a new one. Isolated partitions follow Faust's own rebalance.",
        {"__init__": "622bdc6584767447", "_execute_actor": "c750b828d2bda93e"},
    ),
    Override(
        Stream,
        streams.Stream,
        "Upstream acknowledges in a `finally`: also what raised, and what was cancelled.",
        {"__aiter__": "e815c0e831f1d2cc"},
    ),
    Override(
        Stream,
        streams.Stream,
        "They acknowledge a whole buffer in a `finally`, so they are refused.",
        {
            "take": "49a950b16eafeb84",
            "take_events": "607d48aead118ba8",
            "take_with_timestamp": "658ec87bfbbf86dd",
            "noack_take": "f2cc2dbfc162d200",
        },
    ),
    Override(
        RecordSchema,
        schemas.Schema,
        "Upstream acknowledges what can't be decoded and throws into the stream.",
        {"compile": "d46eec5ce3195b2c"},
    ),
    Override(
        BatchSchema,
        schemas.Schema,
        "A batch is handed over as it is, not decoded.",
        {"compile": "d46eec5ce3195b2c"},
    ),
    Override(
        Consumer,
        transports.ConsumerT,
        "The face of a consumer, in front of the engine's reading. Upstream's commits past what is"
        " in flight, forgets at a rebalance what is acknowledged, and is tasks for each record.",
        {
            "subscribe": "f80ee26bef4d1ce6",
            "ack": "2230901aa0021989",
            "assignment": "09e24ef663d8fb7e",
            "highwater": "bd068b387789066d",
            "commit": "ce1068345b4b29f8",
            "position": "f462c979e8771c6d",
            "topic_partitions": "6c9c67a21284cfd7",
            "key_partition": "2c6aadd907cb8f74",
            "create_topic": "19436d883d4a5bc7",
            "unacked": "58566178075abacc",
            "wait_empty": "4705bce70d8422dc",
            "on_task_error": "a09b6a79d00a7b74",
            "track_message": "6ef4d48212f95aef",
            "stop_flow": "8ad455d938a37daf",
            "resume_flow": "2016e2a05f8c0d2c",
            "close": "82026dfa145de4d0",
            "pause_partitions": "56f75039ff7661db",
            "resume_partitions": "581ef09d76c045cd",
            "on_buffer_full": "70721f755032219f",
            "on_buffer_drop": "5f02019aa088ca90",
            "verify_recovery_event_path": "31a8e8d43fb66b7a",
            "perform_seek": "269bd55fc9828cc3",
            "seek": "6271a1f524246456",
            "seek_wait": "663c0cec70b3dfbb",
            "earliest_offsets": "8f08bb3810849814",
            "highwaters": "ee8dff0cbfd96aea",
            "getmany": "556f7a9d301934a1",
        },
    ),
    Override(
        Consumer,
        services.Service,
        "It has its own tasks: handing over, and committing with the watchdog.",
        {"__init__": "ab4d12a25b93044a"},
    ),
    Override(
        Consumer,
        services.ServiceCallbacks,
        "It makes the engine's reading, in the loop that uses it, and leaves the group.",
        {"on_start": "5ca815c94c4f9972", "on_stop": "b01e5bb117855e6b"},
    ),
    Override(
        Producer,
        producer.Producer,
        "librdkafka, idempotent; what is not delivered ends the worker instead of being logged.",
        {
            "on_start": "a83bd5324e9ef279",
            "send": "e39c434a72328905",
            "send_and_wait": "a22ce97513fdc12c",
            "send_soon": "fcef15ab45623ff9",
            "key_partition": "f2ebcc8d0ba718e1",
            "flush": "9ff5ea46f01f96de",
            "create_topic": "5ff37c2effe2497a",
            "supports_headers": "f0d33774c0109aaa",
            "begin_transaction": "2490bafe04156c67",
        },
    ),
    Override(
        Producer,
        services.ServiceCallbacks,
        "It waits for what is not delivered.",
        {"on_stop": "b01e5bb117855e6b"},
    ),
    Override(
        Tables,
        manager.TableManager,
        "Upstream restores one record at a time and keeps keys of partitions that have moved.",
        {
            "add": "4c5232ce6ba15f0a",
            "on_start": "365dd25fbc0e0684",
            "on_stop": "351be149c0360de5",
            "on_partitions_revoked": "382852adff42ab99",
            "on_rebalance": "2d2c23a07bf54328",
            "wait_until_recovery_completed": "e0f224aba177e99d",
        },
    ),
    Override(
        TableStore,
        stores.SerializedStore,
        "The driver of a table's store: one store for each partition, never ahead of its log.",
        {
            "_get": "cca40095974aa910",
            "_set": "54a15caf20d60976",
            "_del": "fa55a2b3f62225e7",
            "_iteritems": "749eb498a5fa8ca8",
            "_iterkeys": "e1ebfc0753959541",
            "_itervalues": "4adc3218999ab519",
            "_size": "00cc549b1ba591a9",
            "_contains": "d4b8a8eb92d92472",
            "_clear": "a35cef4320547b7b",
        },
    ),
    Override(
        TableStore,
        stores.Store,
        "It remembers what is pending; checkpoints come with the changes.",
        {
            "__init__": "d1705e3cfe39e787",
            "persisted_offset": "73f86712cc3bb870",
            "set_persisted_offset": "1dac35f34b4d7130",
        },
    ),
    Override(
        TableStore,
        stores_types.StoreT,
        "A table is restored from its changelog only.",
        {
            "backup_partition": "b39292d519e1adfa",
            "restore_backup": "a1f67993ee62ea9f",
            "reset_state": "2debbab93e7d912f",
        },
    ),
    Override(
        Fetcher,
        services.Service,
        "Upstream's fetcher would read; ours has nothing to do.",
        {"__init__": "ab4d12a25b93044a"},
    ),
    Override(
        Transport,
        transport_base.Transport,
        "It holds the engine, and refuses apps without the engine's classes.",
        {"__init__": "cfa0f03f4af26ddb", "create_transaction_manager": "fb9c5da92d5023a8"},
    ),
)
"""What is replaced, and why."""


RELIANCES: tuple[Reliance, ...] = (
    Reliance(
        agent.Agent,
        "An agent's function is called with its stream; what it yields goes through `_slurp`.",
        {
            "__init__": "622bdc6584767447",
            "actor_from_stream": "f1fe9361f5460611",
            "_prepare_actor": "9b1435b6ba906144",
            "_slurp": "52191f886a7df85d",
            "on_stop": "aa6a7463a907344c",
        },
        ("_on_error", "_slurp"),
    ),
    Reliance(
        actor.Actor, "An actor knows its task and its stream.", {"__init__": "9a119bdb0ae01d49"}
    ),
    Reliance(
        streams.Stream,
        "Our iteration uses the stream's processors, joins, skipped value and bookkeeping.",
        {
            "__init__": "8a6dea3405cd68e6",
            "on_merge": "31d6008ee34da684",
            "ack": "32d7171a89b0931d",
            "on_stop": "81b327b1578dff1c",
            "clone": "9520db8f388b50ee",
            "noack": "921a6f5c674d32d4",
            "events": "c62f4dd3a73fe7aa",
            "get_active_stream": "e1b3046ee5a5f743",
            "_channel_stop_iteration": "ff1df01f515725a7",
            "_py_aiter": "3a48ee257a65435b",
        },
        ("_active_agens", "_finalized", "_processors", "_skipped_value", "_channel_stop_iteration"),
    ),
    Reliance(
        streams,
        "The event at hand is found by a context variable that holds a weak reference.",
        {"current_event": "3b821f1a78d86a58"},
        ("_current_event",),
    ),
    Reliance(
        tuples.Message,
        "A message is done when as many agents have acknowledged it as it was handed to.",
        {
            "__init__": "afe1f75975597bc3",
            "ack": "4751b72c4ed84153",
            "incref": "78d34df830d3089b",
            "decref": "f23396189d0e5592",
        },
    ),
    Reliance(
        tuples.ConsumerMessage, "Then the consumer is told.", {"on_final_ack": "45d670b6a8ac4bd0"}
    ),
    Reliance(
        conductor.ConductorCompiler,
        "Messages of a partition are handed over one after the other, to every agent of the topic.",
        {"build": "837cf521368c1ee4"},
    ),
    Reliance(
        conductor.Conductor,
        "Topics are subscribed once agents and tables are declared; each assignment is announced.",
        {
            "_subscriber": "2a79085834048049",
            "_compile_message_handler": "9fbc0538097aa4ec",
            "_update_indices": "619b3247b96ac7d5",
            "on_partitions_assigned": "616e9729131cf0bb",
            "_update_tp_index": "e8e3ac9025ef44f7",
            "_update_callback_map": "37598771880d27ba",
            "_build_handler": "5c071d1277988c57",
        },
    ),
    Reliance(
        channels.Channel,
        "Agents take events from a queue of their own.",
        {"put": "81477c39c70becce", "__anext__": "f69e22c24fc82852"},
    ),
    Reliance(
        topics.Topic,
        "What agents send comes to `send` or `send_soon` of the producer.",
        {
            "send_soon": "91a8b9ace5832c26",
            "publish_message": "4ce1cbc353047a36",
            "_on_published": "7cfe9ebd65964b0a",
            "declare": "8fbfd8842b963d8d",
        },
    ),
    Reliance(
        producer.Producer,
        "Its buffer, through which nothing goes, is never full.",
        {"__init__": "5c53a4b47aa1372b"},
    ),
    Reliance(
        schemas.Schema,
        "It raises what it can't decode, if asked to.",
        {"compile": "d46eec5ce3195b2c"},
    ),
    Reliance(
        tables_base.Collection,
        "A table's store is made by the URL in `_store`, late; changes go to `send_changelog`.",
        {
            "__init__": "95568fc09c76d006",
            "_new_store": "914a2bda605d38f5",
            "_new_store_by_url": "343a8125107d3f69",
            "data": "ade4a02ddd5582cb",
            "on_start": "daddcc354ad0b328",
            "send_changelog": "3dd3884e1b5fc0e1",
            "partition_for_key": "3b2291811b8dd791",
            "_on_changelog_sent": "60122c86a120d82c",
        },
        ("_store", "_recover_callbacks", "_on_changelog_event"),
    ),
    Reliance(
        table.Table,
        "A change is sent before it is made; a window is given after the declaration.",
        {
            "on_key_set": "a370e35ca55c2c7e",
            "on_key_del": "4f2900b2f9d24a08",
            "on_clear": "658ebb2f2e7cb545",
            "using_window": "54bc7cd07f196876",
        },
    ),
    Reliance(
        collections.ManagedUserDict,
        "The callback comes before the store's own change.",
        {
            "__setitem__": "f3bdf602abc08dd1",
            "__delitem__": "c0ce7ef82dbd1255",
            "update": "8fd0e9c5f54a43da",
            "clear": "1a022ec7d43ae205",
        },
    ),
    Reliance(
        manager.TableManager,
        "The conductor waits for these events; changelogs are known by topic.",
        {
            "__init__": "f13ed9db7ccd1a53",
            "add": "4c5232ce6ba15f0a",
            "wait_until_tables_registered": "e9bed5b158eeba36",
        },
        ("_tables_finalized", "_tables_registered", "_changelogs"),
    ),
    Reliance(
        app_base.App,
        "Tables are stopped, and with them the group is left, while agents still work.",
        {
            "__init__": "698e2bf236c67369",
            "on_stop": "bfe5a933defb2324",
            "_stop_consumer": "55854a5de12c3f52",
            "_producer_flush": "35c92baa028d57bd",
            "consumer": "354b140caceca03c",
            "_new_consumer": "bff6ccd646b71ea9",
            "_new_transport": "42db531312dd776f",
            "maybe_start_producer": "776ccefb9db5a370",
            "create_event": "15fea3d1e95e6625",
        },
        ("_consumer",),
    ),
    Reliance(
        app_base.BootStrategy,
        "Producer, consumer, agents, conductor, tables: started in this order, stopped in reverse.",
        {
            "server": "97e47ea1dec34b55",
            "kafka_consumer": "1a288f3d603fc224",
            "tables": "09ec521e9811243a",
        },
    ),
    Reliance(
        services.Service,
        "A crash sets an event and a reason; tasks of a class are found by its decorator.",
        {
            "crash": "14980000465df0af",
            "_crash": "7bc0c709a151d556",
            "_new_crashed_event": "1bed832f45ea89c3",
            "wait_for_stopped": "569f0acaedaef794",
            "__init__": "ab4d12a25b93044a",
        },
        ("_crashed",),
    ),
)
"""What is leaned on, and for what."""

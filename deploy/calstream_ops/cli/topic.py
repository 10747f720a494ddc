"""`calstream topic`: create, check, list and read Kafka topics."""

import heapq
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Annotated, Any

import typer

from calstream_core.errors import CalstreamError, Code
from calstream_ops.cli.completion import topic_names
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.terminal import table
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogReader, LogRecord, Place, Range, last
from calstream_ops.inspection.rendering import decoded, raw
from calstream_ops.topics import MISSING, PARTITIONS, Difference, Outcome, TopicAdmin
from calstream_schemas.topics import catalogue, full_name

DEFAULT_LAST = 10

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def topic() -> None:
    """Create, check and read Kafka topics."""


@app.command()
def create(
    ctx: typer.Context,
    alter: Annotated[
        bool,
        typer.Option(
            "--alter",
            help="Also mend settings that differ. A shorter retention deletes what is older.",
        ),
    ] = False,
) -> None:
    """Create the topics that are missing.

    calstream topic create

    Safe to repeat: topics that are there stay as they are, unless --alter is given.
    """
    session = session_of(ctx)
    admin = TopicAdmin(session.bootstrap_servers, session.settings)
    outcomes = admin.create()
    if alter:
        differences = [each for each in admin.check() if each.alterable]
        admin.alter(differences)
        outcomes |= {each.topic: Outcome.ALTERED for each in differences}
    rows = sorted(outcomes.items())
    session.terminal.answer(
        {"topics": {name: outcome.value for name, outcome in rows}},
        table(("topic", "outcome"), ((name, outcome.value) for name, outcome in rows)),
    )


@app.command()
def check(ctx: typer.Context) -> None:
    """Check that every topic is as it must be.

    calstream topic check

    Compares partitions, replicas, clean-up, retention and compaction. Exits with 1 where something
    differs.
    """
    session = session_of(ctx)
    differences = TopicAdmin(session.bootstrap_servers, session.settings).check()
    _show_differences(session, differences)
    if differences:
        topics = {each.topic for each in differences}
        raise CalstreamError(
            Code.TOPICS_DIFFER,
            f"{len(topics)} {'topic differs' if len(topics) == 1 else 'topics differ'}.",
            hint=_remedy(differences),
        )


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """List the topics of this installation.

    calstream topic list
    """
    session = session_of(ctx)
    states = TopicAdmin(session.bootstrap_servers, session.settings).states()
    data = [
        {
            "topic": state.name,
            "offsets": state.offsets,
            "partitions": state.partitions,
            "cleanup": "compact" if state.topic.compacted else "delete",
            "retention_days": state.topic.retention_days,
            "key": state.topic.key,
            "holds": state.topic.record,
        }
        for state in states
    ]
    headings = ("topic", "offsets", "partitions", "clean-up", "days", "key", "holds")
    session.terminal.answer(data, table(headings, (list(each.values()) for each in data)))


@app.command()
def tail(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(help="As in `calstream topic list`.", autocompletion=topic_names)
    ],
    *,
    decode: Annotated[
        bool, typer.Option("--decode", help="Values as JSON; personal ones as `sealed`.")
    ] = False,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Open what is sealed; implies --decode.")
    ] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Everything, from the oldest on.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="How many records: the newest, or with --from-beginning the oldest.",
            show_default=f"{DEFAULT_LAST}, or all",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
) -> None:
    """Read a topic: one JSON object a line.

    calstream topic tail entities --decode
    calstream topic tail webhooks --decode --from-beginning --limit 5
    calstream topic tail sink.hubspot.dead --decode --follow
    """
    session = session_of(ctx)
    render = _renderer(session, decode=decode, reveal=reveal)
    place = _full_name(session, name)
    with LogReader(session.bootstrap_servers) as reader:
        ranges = reader.ranges([place])
        for record in _records(
            reader, ranges, from_beginning=from_beginning, limit=limit, follow=follow
        ):
            session.terminal.json_line(render(record))


def _renderer(
    session: Session, *, decode: bool, reveal: bool
) -> Callable[[LogRecord], dict[str, Any]]:
    if reveal:
        keys = existing_keys(session.settings)
        return lambda record: decoded(record, keys)
    return decoded if decode else raw


def _full_name(session: Session, name: str) -> str:
    """The name at the broker; one that is not in the catalogue is taken as it is."""
    kafka = session.settings.kafka
    known = {topic.name: full_name(topic, kafka) for topic in catalogue(session.settings.sinks)}
    return known.get(name, name)


def _records(
    reader: LogReader,
    ranges: dict[Place, Range],
    *,
    from_beginning: bool,
    limit: int | None,
    follow: bool,
) -> Iterator[LogRecord]:
    count = DEFAULT_LAST if limit is None else limit
    news = _news(reader, ranges) if follow else iter(())
    if from_beginning:
        everything = chain(reader.read(ranges), news)
        yield from everything if limit is None else islice(everything, limit)
        return
    yield from _newest(reader, ranges, count)
    yield from news


def _newest(reader: LogReader, ranges: dict[Place, Range], count: int) -> Iterator[LogRecord]:
    """The newest records, oldest first. Not every offset holds one: it is looked further back."""
    window = count
    while True:
        spans = last(ranges, window)
        found = heapq.nlargest(count, reader.read(spans), key=_age)
        if len(found) == count or spans == ranges:
            return reversed(found)
        window *= 4


def _news(reader: LogReader, ranges: dict[Place, Range]) -> Iterator[LogRecord]:
    ends = {place: its.end for place, its in ranges.items()}
    return (record for record in reader.follow(ends) if record is not None)


def _age(record: LogRecord) -> tuple[int, int, int]:
    return record.timestamp_ms, record.partition, record.offset


def _show_differences(session: Session, differences: list[Difference]) -> None:
    data = [
        {
            "topic": each.topic,
            "setting": each.setting,
            "wanted": each.wanted,
            "found": each.found,
        }
        for each in differences
    ]
    headings = ("topic", "setting", "wanted", "found")
    text = table(headings, (list(each.values()) for each in data)) if data else "all as wanted"
    session.terminal.answer({"ok": not data, "differences": data}, text)


def _remedy(differences: list[Difference]) -> str:
    settings = {each.setting for each in differences}
    if PARTITIONS in settings:
        return "Set kafka.partitions to what is there; it can't be changed once there is data."
    if MISSING in settings:
        return "`calstream topic create` makes what is missing."
    if any(each.alterable for each in differences):
        return "`calstream topic create --alter` mends the settings."
    return "Reassign the partitions with Kafka's own tools, or change kafka.replication_factor."

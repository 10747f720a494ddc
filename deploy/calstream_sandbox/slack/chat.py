"""Messages: posted, changed, taken away."""

from typing import Any

import orjson

from calstream_sandbox.slack.workspace import BOT, BOT_USER, TEAM, Channel, Thing, Workspace

MAX_TEXT_CHARACTERS = 40_000
MAX_BLOCKS = 50
_KEPT = ("blocks", "attachments", "metadata", "thread_ts", "username", "icon_emoji")


class SlackError(Exception):
    """`ok: false` with an error's name."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.body: Thing = {"ok": False, "error": error, **more}


class Chat:
    """The methods `chat.*`."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def post(self, given: Thing) -> Thing:
        """chat.postMessage: a new message; every call makes one."""
        channel = self._channel(given)
        if channel.is_archived:
            raise SlackError("is_archived")
        if not channel.is_member:
            raise SlackError("not_in_channel")
        message = {
            "type": "message",
            "subtype": "bot_message",
            "bot_id": BOT,
            "user": BOT_USER,
            "team": TEAM,
            "ts": self._workspace.new_ts(),
            **_content(given),
        }
        thread = message.get("thread_ts")
        if thread is not None and thread not in channel.messages:
            raise SlackError("thread_not_found")
        channel.messages[message["ts"]] = message
        return {"channel": channel.id, "ts": message["ts"], "message": message}

    def update(self, given: Thing) -> Thing:
        """chat.update: another text for a message of ours."""
        channel = self._channel(given)
        message = self._message(channel, given)
        message |= _content(given)
        return {
            "channel": channel.id,
            "ts": message["ts"],
            "text": message["text"],
            "message": {name: message[name] for name in ("text", "user")},
        }

    def delete(self, given: Thing) -> Thing:
        """chat.delete: takes a message of ours away."""
        channel = self._channel(given)
        message = self._message(channel, given)
        del channel.messages[message["ts"]]
        return {"channel": channel.id, "ts": message["ts"]}

    def _channel(self, given: Thing) -> Channel:
        name = given.get("channel")
        if not isinstance(name, str) or not name:
            raise SlackError("channel_not_found" if name is None else "invalid_arguments")
        channel = self._workspace.channel(name)
        if channel is None:
            raise SlackError("channel_not_found")
        return channel

    @staticmethod
    def _message(channel: Channel, given: Thing) -> Thing:
        message = channel.messages.get(str(given.get("ts")))
        if message is None:
            raise SlackError("message_not_found")
        return message


def _content(given: Thing) -> Thing:
    found = {name: _parsed(name, given[name]) for name in _KEPT if given.get(name)}
    text = given.get("text")
    if text is not None and not isinstance(text, str):
        raise SlackError("invalid_arguments")
    if not text and not found.get("blocks") and not found.get("attachments"):
        raise SlackError("no_text")
    _check_blocks(found.get("blocks"))
    _check_metadata(found.get("metadata"))
    return {"text": (text or "")[:MAX_TEXT_CHARACTERS], **found}


def _parsed(name: str, value: Any) -> Any:
    """A value of a form is JSON in a text where it is a list or an object."""
    if not isinstance(value, str) or name not in {"blocks", "attachments", "metadata"}:
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        broken = {"blocks": "invalid_blocks_format", "metadata": "invalid_metadata_format"}
        raise SlackError(broken.get(name, "invalid_attachments")) from None


def _check_blocks(blocks: Any) -> None:
    if blocks is None:
        return
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    fitting = all(isinstance(each, dict) and isinstance(each.get("type"), str) for each in blocks)
    if len(blocks) > MAX_BLOCKS or not fitting:
        raise SlackError("invalid_blocks")


def _check_metadata(metadata: Any) -> None:
    if metadata is None:
        return
    if (
        not isinstance(metadata, dict)
        or not isinstance(metadata.get("event_type"), str)
        or not isinstance(metadata.get("event_payload"), dict)
    ):
        raise SlackError("invalid_metadata_format")

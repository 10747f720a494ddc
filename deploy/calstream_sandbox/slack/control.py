"""The control of the simulator: channels and what is in them. Not part of Slack."""

from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calstream_sandbox.desk_control import DeskControl, refusal, told
from calstream_sandbox.slack.workspace import Workspace, WorkspaceSettings


class NewChannel(BaseModel):
    """A channel."""

    model_config = ConfigDict(extra="forbid")

    name: str
    is_archived: bool = False
    is_member: bool = True


class Control:
    """Request handlers under `/slack/_control`. A body that does not fit is answered 400."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def routes(self) -> list[Route]:
        """The routes, relative to `_control`."""
        return [
            Route("/reset", self.reset, methods=["POST"]),
            Route("/dump", self.dump, methods=["GET"]),
            Route("/channels", self.add_channel, methods=["POST"]),
            Route("/settings", self.settings, methods=["GET", "POST"]),
            *DeskControl(self._workspace.desk).routes(),
        ]

    async def reset(self, _: Request) -> Response:
        """Back to a new workspace."""
        self._workspace.reset()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def dump(self, _: Request) -> Response:
        """The messages by the channel's name, in the order of their times."""
        return told(
            {each.name: list(each.messages.values()) for each in self._workspace.channels.values()}
        )

    async def add_channel(self, request: Request) -> Response:
        """Adds a channel."""
        try:
            given = NewChannel.model_validate_json(await request.body())
        except ValidationError as error:
            return refusal(error)
        channel = self._workspace.add_channel(
            given.name, is_archived=given.is_archived, is_member=given.is_member
        )
        return told({"id": channel.id, "name": channel.name})

    async def settings(self, request: Request) -> Response:
        """The settings in force; with a body, those given are changed first."""
        if request.method == "POST":
            try:
                changes = WorkspaceSettings.model_validate_json(await request.body())
            except ValidationError as error:
                return refusal(error)
            kept = self._workspace.settings.model_dump()
            kept |= changes.model_dump(exclude_unset=True)
            self._workspace.apply_settings(WorkspaceSettings(**kept))
        return told(self._workspace.settings.model_dump())

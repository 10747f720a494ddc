"""The endpoints of owners."""

from starlette.requests import Request
from starlette.responses import Response

from calstream_sandbox.hubspot.errors import invalid, not_found
from calstream_sandbox.hubspot.portal import Portal
from calstream_sandbox.hubspot.replies import json_reply, paging
from calstream_sandbox.hubspot.requests import cursor, flag, number

MAX_PAGE = 500
DEFAULT_PAGE = 100


class OwnersApi:
    """Request handlers, the same in every version of the API."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    async def list_page(self, request: Request) -> Response:
        """GET /: all owners, or the one with an e-mail. No owner of ours is ever archived."""
        limit = number(request, "limit", default=DEFAULT_PAGE, highest=MAX_PAGE)
        page = self._portal.owners.page(
            email=request.query_params.get("email"), after=cursor(request), limit=limit + 1
        )
        if flag(request, "archived"):
            page = []
        shown = page[:limit]
        after = shown[-1].id if len(page) > limit else None
        return json_reply({"results": [owner.reply() for owner in shown]} | paging(after))

    async def read(self, request: Request) -> Response:
        """GET /{id}: by id, or by user id with `idProperty=userId`."""
        id_property = request.query_params.get("idProperty", "id")
        text = request.path_params["owner_id"]
        if id_property not in {"id", "userId"}:
            raise invalid(f"idProperty is id or userId, not {id_property}")
        if not (text.isascii() and text.isdecimal()):
            raise invalid(f"{text} is not the number of an owner")
        owner = self._portal.owners.find(int(text), by_user_id=id_property == "userId")
        if owner is None or flag(request, "archived"):
            raise not_found("resource not found")
        return json_reply(owner.reply())

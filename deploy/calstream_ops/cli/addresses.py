"""The addresses at which webhooks are taken, as their senders must be told."""

from calstream_core.settings import Settings

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - compared with, not bound


def webhook_address(settings: Settings, workspace: str, source: str) -> str:
    """Where a source sends a workspace's webhooks to."""
    base = settings.ingest.public_url.rstrip("/") or local_ingest(settings)
    return f"{base}/v1/webhooks/{workspace}/{source}"


def local_ingest(settings: Settings) -> str:
    """Ingest as seen from this machine."""
    host, _, port = settings.ingest.listen.rpartition(":")
    return f"http://{_EVERYWHERE.get(host, host)}:{port}"

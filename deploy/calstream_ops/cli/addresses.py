"""The addresses at which webhooks are taken, as their senders must be told."""

from calstream_core.settings import Settings


def webhook_address(settings: Settings, workspace: str, source: str) -> str:
    """Where a source sends a workspace's webhooks to."""
    return f"{settings.ingest.base_url}/v1/webhooks/{workspace}/{source}"


def local_ingest(settings: Settings) -> str:
    """Ingest as seen from this machine."""
    return settings.ingest.local_url

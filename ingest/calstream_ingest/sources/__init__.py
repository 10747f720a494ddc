"""The sources of webhooks: one module each, and this registry."""

from collections.abc import Mapping

from calstream_ingest.sources.calendar_live import CalendarLive
from calstream_ingest.sources.source import Refusal, Request, Secret, Verified, WebhookSource

SOURCES: Mapping[str, WebhookSource] = {source.name: source for source in (CalendarLive(),)}
"""Every source by its name in addresses and settings."""

__all__ = ["SOURCES", "Refusal", "Request", "Secret", "Verified", "WebhookSource"]

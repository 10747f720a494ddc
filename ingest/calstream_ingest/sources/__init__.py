"""The sources of webhooks: one module each, and this registry."""

from collections.abc import Mapping

from calstream_ingest.sources.calendar_live import CalendarLive
from calstream_ingest.sources.hubspot import HubSpot
from calstream_ingest.sources.source import Refusal, Request, Secret, Verified, WebhookSource
from calstream_ingest.sources.stripe import Stripe
from calstream_ingest.sources.zoom import Zoom

SOURCES: Mapping[str, WebhookSource] = {
    source.name: source for source in (CalendarLive(), HubSpot(), Stripe(), Zoom())
}
"""Every source by its name in addresses and settings."""

__all__ = ["SOURCES", "Refusal", "Request", "Secret", "Verified", "WebhookSource"]

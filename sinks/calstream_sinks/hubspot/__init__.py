"""HubSpot: people become contacts, bookings become meetings on their timelines."""

from calstream_sinks.hubspot.config import HubSpotConfig
from calstream_sinks.hubspot.sink import HubSpotSink

__all__ = ["HubSpotConfig", "HubSpotSink"]

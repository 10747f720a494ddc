"""HubSpot's CRM API: contacts, meetings, properties, associations and owners.

The dated version 2026-09 and the older v3/v4 paths share one state and one logic; they differ only
where HubSpot's published specifications differ. Where HubSpot's documentation, its specification
and its live behaviour disagree, the stricter one is played: what works here works there.
"""

"""Zoom, as far as Calstream uses it: server-to-server tokens, meetings, webinars, registrants."""

"""The door: verifies webhooks and writes them to the log."""

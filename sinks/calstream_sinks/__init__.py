"""Sinks: one package per vendor, the contract they fulfil, and the runner they live in."""

"""What every part of Calstream stands on: settings, errors, metrics, Kafka clients, sealing.

This package imports nothing else of Calstream.
"""

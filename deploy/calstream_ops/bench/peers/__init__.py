"""What the engine is compared with: stock Faust, Quix Streams and Kafka Streams.

Each lives in an environment of its own that is made when it is first needed.
"""

"""Reading topics for people: records as they lie there, entities and where their values come from.

Nothing here writes, joins a consumer group or makes a key.
"""

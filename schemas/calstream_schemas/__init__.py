"""The contracts: what stands on each topic, how it is encoded, and which fields an entity has."""

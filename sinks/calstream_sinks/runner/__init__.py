"""The runner: everything about delivering that is the same for every vendor."""

"""A mail server that keeps what it is given, for tests and people to look at."""

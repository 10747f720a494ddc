"""The command line, the local stack and everything for running Calstream."""

"""Slack, as far as Calstream uses it: messages posted, changed and taken away in channels."""

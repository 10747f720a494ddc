"""Zoom, as far as Calstream uses it."""

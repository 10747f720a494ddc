"""Stripe, as far as Calstream uses it."""

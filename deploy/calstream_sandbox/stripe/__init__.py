"""Stripe, as far as Calstream uses it: Checkout Sessions, payment intents, refunds and events.

Objects are kept as the API shows them. What of Stripe's parameters is not played is refused.
"""

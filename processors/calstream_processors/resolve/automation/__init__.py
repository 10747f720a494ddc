"""What the rules say of leads, payments and bookings. `docs/automation.md` explains it."""

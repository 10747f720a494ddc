"""From webhooks to the truth: normalise and resolve."""

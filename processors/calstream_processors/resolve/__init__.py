"""From observations to the truth: pure functions, and one agent that hosts them."""

"""Wall clocks, series and time zones. Pure."""

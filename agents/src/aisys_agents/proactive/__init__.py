"""Speaking first."""

"""What matters now, and what follows from what is remembered."""

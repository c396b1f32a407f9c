"""Rules and exact computation over text; no state, no I/O."""

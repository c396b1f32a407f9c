"""Benchmarks: each hot path beside its peers in one process, and the fleet as it really runs."""

"""The wiring of a fleet: the only place that puts objects of all layers together."""

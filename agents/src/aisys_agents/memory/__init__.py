"""What the fleet remembers, and for how long."""

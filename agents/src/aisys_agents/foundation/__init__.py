"""What every other agent stands on: addresses, requests, models."""

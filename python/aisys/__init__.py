"""aisys runs a fleet of AI agents on one to a few machines as one system."""

"""Deciding how and where a question is answered."""

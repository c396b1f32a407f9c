"""Understanding and wording."""

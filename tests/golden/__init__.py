"""Answers that were right once and have to stay."""

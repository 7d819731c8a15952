"""Prepare raw videos: decode, crop, resize and cut them into clips."""

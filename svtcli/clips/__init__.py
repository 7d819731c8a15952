"""Clips on disk: plain `.npy` shards beside a manifest; written, read and checked."""

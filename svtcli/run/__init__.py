"""The run folder, and safe work in it: durable files, locks, resuming. No jax."""

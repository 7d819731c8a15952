"""The run folder: where everything that one recipe makes is kept. No jax."""

"""Hand-written gradients and memory layouts that make the model fast."""

"""Training of a recipe's model (§4.1): clips → checkpoints.

stage       the command: plan, set up, train; plan needs no jax and refuses early
loop        takes batches, dispatches steps, logs, saves, validates, stops on a signal
step        update(state, batch) -> (state, metrics): pure, jitted, donates its state
state       {params, opt, step}: a plain pytree; the optimizer and its learning rate
mesh        sharding over devices; distributed joins several processes
checkpoint  verified arrays on disk with one writer, and the network read from them
"""

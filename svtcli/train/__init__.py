"""Finding the parameters (§4.1): state, step, optimizer, loop, checkpoints.

state       {params, opt, step}: a plain pytree, everything that a run is
optimizer   RMSProp as the paper's, Adam, AdamW; the rate of each step
step        update(state, batch) -> (state, metrics): pure, jitted, donated
loop        feeds batches, writes the log, saves, stops when asked
checkpoint  arrays on disk that can be trusted: sealed, verified, one writer
"""

"""One fine-tune: the model, what of it is frozen, the batches, the loop, its checkpoints, the saved result."""

"""Training: pure objectives, one loop that is never subclassed, batches, reference scores and checkpoints."""

"""Training a flow on the chosen devices, with checkpoints in a run directory."""

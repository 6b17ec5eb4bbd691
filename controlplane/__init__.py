"""The control plane: what is governed, and the configuration of the parts that govern."""

"""The control plane as an HTTP service."""

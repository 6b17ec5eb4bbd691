"""Envoy's configuration: rendered, put in place, watched."""

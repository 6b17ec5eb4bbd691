"""Envoy's ext_proc messages: our own pinned subset, generated. README.md says how."""

"""Frozen types that cross a process border. Standard library only."""

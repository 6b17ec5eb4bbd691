"""Frozen types that cross a process border. Standard library only."""

from typing import Final

VERSION: Final = "0.1.0"
"""Version of Portcullis; pyproject.toml reads it from here."""

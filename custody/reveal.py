"""The token that opens a Secret.

Two places may import this module, and a test holds them to it: `custody` itself, which seals and
hashes, and `extproc/edge/envoy_wire.py`, which writes a credential into the message for Envoy.
"""

from __future__ import annotations


class RevealToken:
    """Whoever can name this class may read secrets."""

    __slots__ = ()


REVEAL = RevealToken()

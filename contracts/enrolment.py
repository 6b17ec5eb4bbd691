"""How a data plane on another machine becomes one of ours: what crosses the border when it does.

    pclenrol_<plane>_<64 hex: secret>_<64 hex: SHA-256 of the authority's certificate, as DER>

The token is shown once and used once. Control keeps the SHA-256 of its secret; the plane knows by the rest whom it talks to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

SERVER: Final = "control.portcullis"
"""The name in control's certificate, whatever its address is."""

_FORM: Final = re.compile(r"pclenrol_([A-Za-z0-9][A-Za-z0-9._-]{0,62})_([0-9a-f]{64})_([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class EnrolToken:
    """A token, taken apart. `authority` is the SHA-256 of the authority's certificate, in hex."""

    plane: str
    secret: str = field(repr=False)
    authority: str

    def text(self) -> str:
        """As it is shown, once."""
        return f"pclenrol_{self.plane}_{self.secret}_{self.authority}"


def enrol_token(text: str) -> EnrolToken | None:
    """Read a token; None where it is none."""
    match = _FORM.fullmatch(text)
    return EnrolToken(match[1], match[2], match[3]) if match else None

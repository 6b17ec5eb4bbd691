"""What `doctor` says of one thing, whether control saw it or the command line did."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `state`: ok | warn | wrong | down; `do`: what to do about it."""

    name: str
    state: str
    detail: str
    do: str = ""

    def document(self) -> dict[str, str]:
        """The JSON object."""
        return asdict(self)

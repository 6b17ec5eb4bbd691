"""A value that may not be shown by accident."""

from __future__ import annotations

from typing import NoReturn

from custody.reveal import RevealToken


class Secret:
    """Holds a secret's bytes. Printing, formatting, pickling, copying and comparing it all fail or say nothing.

    Only who holds a RevealToken gets the bytes; custody/reveal.py says who that may be.
    """

    __slots__ = ("__bytes",)

    def __init__(self, value: bytes) -> None:
        self.__bytes = value

    def reveal(self, token: RevealToken) -> bytes:
        """The bytes themselves."""
        if not isinstance(token, RevealToken):
            raise TypeError("revealing a secret needs a RevealToken")
        return self.__bytes

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return "Secret(…)"

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a Secret can't be pickled or copied")

    def __eq__(self, _other: object) -> NoReturn:
        raise TypeError("a Secret can't be compared; compare keyed hashes in constant time")

    __hash__ = None  # type: ignore[assignment]  # unhashable: it may be no key of anything

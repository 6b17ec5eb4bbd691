"""A value that may not be shown by accident."""

from __future__ import annotations

from typing import Final, NoReturn

from custody.reveal import RevealToken

_TOLD: Final = "Secret(…)"


class Secret:
    """Holds a secret's bytes. Printing, formatting, pickling, copying and comparing it all fail or say nothing.

    Only who holds a RevealToken gets the bytes; custody/reveal.py says who that may be. No attribute leads to them. Python can't
    wipe memory: the bytes are there until the collector has taken the last object that refers to them, and maybe longer.
    """

    __slots__ = ("_kept",)

    def __init__(self, value: bytes) -> None:
        _put(self, value)

    def reveal(self, token: RevealToken) -> bytes:
        """The bytes themselves."""
        if not isinstance(token, RevealToken):
            raise TypeError("revealing a secret needs a RevealToken")
        return _get(self)  # type: ignore[no-any-return]  # a slot's descriptor is untyped

    def __repr__(self) -> str:
        return _TOLD

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return _TOLD

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a Secret can't be pickled or copied")

    def __eq__(self, _other: object) -> NoReturn:
        raise TypeError("a Secret can't be compared; compare keyed hashes in constant time")

    __hash__ = None  # type: ignore[assignment]  # unhashable: it may be no key of anything


_get, _put = Secret.__dict__["_kept"].__get__, Secret.__dict__["_kept"].__set__
delattr(Secret, "_kept")  # the slot stays, but nothing that lists or walks attributes (debuggers, error reporters, inspect) finds it

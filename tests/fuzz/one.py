"""One target under Atheris: `python tests/fuzz/one.py TARGET [libFuzzer's options and folders]`. It ends with libFuzzer's exit code."""

from __future__ import annotations

import random
import sys

import atheris

with atheris.instrument_imports(include=["extproc", "contracts"]):
    from fuzz import targets

_OURS = 0.7
"""How often an input is changed by its form, and not by single bytes."""


def main(name: str, options: list[str]) -> None:
    """Run until libFuzzer ends."""
    target = targets.TARGETS[name]

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        dice = random.Random(seed)
        changed = target.mutate(data, dice) if dice.random() < _OURS else data
        return changed if data != changed and len(changed) <= most else atheris.Mutate(data, most)

    def cross(data: bytes, other: bytes, most: int, seed: int) -> bytes:
        crossed: bytes = target.cross(data, other, random.Random(seed))
        return crossed[:most]

    arguments = [sys.argv[0], f"-max_len={target.longest}", *options]
    atheris.Setup(arguments, lambda data: target.check(data, False), custom_mutator=mutate, custom_crossover=cross)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

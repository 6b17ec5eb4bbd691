"""Control killed in the middle of changes: what is there afterwards is whole, and the same call finishes."""

from __future__ import annotations

import random
import threading
from contextlib import suppress

import yaml

from tests.contract.control_parts import FILE, ControlPart

OTHER = (
    FILE.replace("  one:", "  three:").replace("  other: {dialect: openai, url: http://127.0.0.1:9902/v1}\n", "").replace("0.60", "0.70")
)
KILLS = 6


def clusters(control: ControlPart) -> set[str]:
    """The providers that Envoy's files have."""
    text = (control.data / "run" / "envoy" / "cds.yaml").read_text()
    return {name for cluster in yaml.safe_load(text)["resources"] for name in ("local", "other") if name in cluster["name"]}


def test_killed_between_any_two_steps_it_holds_one_file_or_the_other(control: ControlPart) -> None:
    """Two files are applied in turn while control is killed at random: never a mixture, and Envoy's files are the state's.

    The seed is fixed; where in a change the kill falls is the machine's to say, so each round looks at all there is.
    """
    dice = random.Random(20261124)
    control.apply()
    for _ in range(KILLS):
        stopped = threading.Event()

        def applying(stopped: threading.Event = stopped) -> None:
            with suppress(Exception):
                while not stopped.is_set():
                    control.apply(OTHER)
                    control.apply(FILE)

        caller = threading.Thread(target=applying)
        caller.start()
        stopped.wait(dice.uniform(0.0, 0.6))
        assert control.child is not None
        control.child.kill()
        control.child.wait()
        stopped.set()
        caller.join()
        control.start()
        keys = {key["name"] for key in control.ask("GET", "/api/v1/keys")[1]}
        providers = {provider["name"] for provider in control.ask("GET", "/api/v1/providers")[1]}
        assert (keys, providers) in [({"one", "two"}, {"local", "other"}), ({"three", "two"}, {"local"})]
        assert clusters(control) == providers
    assert control.apply()[0] == 200
    assert control.apply()[1]["changes"] == []
    assert clusters(control) == {"local", "other"}

"""The organisation's name by a call: in force on planes, in the events, in the export, and changed by nobody who saw another one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from contracts.settings import Settings
from controlplane.state import State
from tests.contract.control_parts import ControlPart, soon
from tests.contract.planes_parts import plane

PATH = "/api/v1/organisation"


def named(control: ControlPart, name: str, **headers: str) -> tuple[int, Any]:
    """Name it; the answer."""
    return control.ask("PUT", PATH, {"name": name}, headers={field.replace("_", "-"): tag for field, tag in headers.items()})


async def test_a_name_is_in_force_on_the_plane_when_its_answer_comes(control: ControlPart) -> None:
    """The plane writes it into rows from then on, and what changed is in the answer."""
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        status, answer = await asyncio.to_thread(named, control, "acme")
        assert (status, answer["organisation"]) == (200, {"name": "acme"})
        assert answer["changes"] == [{"sign": "+", "kind": "organisation", "name": "acme", "fields": []}]
        assert [each["problem"] for each in answer["planes"]] == [""]
        assert part.taken[-1].organisation == "acme"


def test_each_name_leaves_an_event(control: ControlPart) -> None:
    """Who, what it was, what it is; the same name again is no change and leaves none."""
    for name in ("acme", "acme", "umbrella"):
        assert named(control, name)[0] == 200
    control.stop()
    state = State.open(Settings(data=control.data))
    found = [event for event in state.waiting_events(100) if event.kind == "organisation"]
    state.close()
    assert [(event.actor, event.verb, event.name) for event in found] == [
        ("admin", "organisation.put", name) for name in ("acme", "umbrella")
    ]
    assert [(event.before, event.after) for event in found] == [(None, {"name": "acme"}), ({"name": "acme"}, {"name": "umbrella"})]


def test_a_name_is_changed_by_whoever_saw_it(control: ControlPart) -> None:
    """Its tag is the name: another one is 412 and changes nothing; without a name there is no tag."""
    assert "etag" not in control.answer("GET", PATH).headers
    assert named(control, "acme", if_match="*")[0] == 412
    assert named(control, "acme", if_none_match="*")[0] == 200
    assert control.answer("GET", PATH).headers["etag"] == '"acme"'
    assert named(control, "umbrella", if_none_match="*")[0] == 412
    assert named(control, "umbrella", if_match='"other"')[1]["code"] == "changed_meanwhile"
    assert control.ask("GET", PATH) == (200, {"name": "acme"})
    assert named(control, "umbrella", if_match='"acme"')[0] == 200


def test_what_is_no_name_is_refused(control: ControlPart) -> None:
    """422, with the field; nothing changes."""
    status, answer = named(control, "a b")
    assert (status, [error["field"] for error in answer["errors"]]) == (422, ["name"])
    assert control.ask("GET", PATH) == (200, {"name": ""})


def test_by_command_it_is_named_and_exported(control: ControlPart) -> None:
    """`organisation set` and `show`; the export names it too, and applying that changes nothing."""
    at = ("--data", str(control.data))
    assert control.command("organisation", "set", "acme", *at).stdout == "the organisation is acme\n"
    assert json.loads(control.command("organisation", "show", "--json", *at).stdout) == {"name": "acme"}
    exported = control.command("export", *at).stdout
    assert "organisation: acme" in exported
    assert control.apply(exported)[1]["changes"] == []

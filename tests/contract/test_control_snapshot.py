"""Control and planes: what is applied is in force everywhere when the answer comes, and outlives either."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.errors import GateUnavailable, Unusable
from contracts.settings import Settings
from contracts.snapshot import Snapshot
from custody import virtual_key
from custody.reveal import REVEAL
from custody.secret import Secret
from extproc.edge.snapshot import Credentials, framed, receive
from tests.contract.control_parts import FILE, SECRET, ControlPart, free_port, plane, soon


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlPart]:
    """A control process on a fresh folder."""
    part = ControlPart(tmp_path / "d", free_port())
    part.start()
    yield part
    part.stop()


async def applied(control: ControlPart, text: str = FILE, secret: str = SECRET) -> dict[str, object]:
    """Apply, off the loop that the plane runs on."""
    status, answer = await asyncio.to_thread(control.apply, text, secret=secret)
    assert status == 200, answer
    return answer  # type: ignore[no-any-return]


async def test_an_apply_is_in_force_on_the_plane_when_its_answer_comes(control: ControlPart) -> None:
    """The plane has the revision, its copy and the credential before whoever applied hears of it."""
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        answer = await applied(control)
        assert answer["planes"] == [{"plane": "extproc-0", "revision": "1", "problem": ""}]
        assert part.revision == "1"
        assert json.loads(part.copy.read_bytes())["revision"] == "1"
        assert part.credentials.open(part.taken[-1], "main").reveal(REVEAL) == SECRET.encode()


async def test_a_new_key_matches_and_a_removed_one_is_gone(control: ControlPart) -> None:
    """The secret that apply showed opens its record; once the key left the file, there is no record."""
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        shown = (await applied(control))["keys"]
        assert isinstance(shown, dict)
        presented = virtual_key.parse(shown["one"])
        assert presented is not None
        record = part.taken[-1].keys[presented.public_id]
        assert (record.name, record.models) == ("one", ("cheap",))
        assert virtual_key.matches(part.credentials.pepper(part.taken[-1]), presented, record.secret_hash)
        await applied(control, FILE.replace("  one: {team: search, project: ranking, environment: dev, models: [cheap]}\n", ""))
        assert presented.public_id not in part.taken[-1].keys


async def test_a_plane_starts_from_its_copy_while_control_is_down(control: ControlPart) -> None:
    """The copy holds what was last in force, sealed; with it a restarted plane goes on without control."""
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        await applied(control)
    control.stop()
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        assert part.revision == "1"
        assert part.credentials.open(part.taken[-1], "main").reveal(REVEAL) == SECRET.encode()


async def test_a_plane_comes_back_to_a_control_that_was_restarted(control: ControlPart) -> None:
    """Control gone and back again: the plane connects by itself and takes what is applied then."""
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        await applied(control)
        await asyncio.to_thread(control.stop)
        await asyncio.to_thread(control.start)
        await soon(lambda: control.ask("GET", "/api/v1/planes")[1]["planes"])
        await applied(control, FILE.replace("models: [cheap]", 'models: ["ch*"]'))
        assert part.revision == "2"


async def test_a_plane_that_refuses_is_named_and_keeps_the_old(control: ControlPart) -> None:
    """A plane that can't take a snapshot says why, in the answer to the apply."""

    def refuse(snapshot: Snapshot) -> None:
        if snapshot.revision != "0":
            raise Unusable("no room for it")

    async with plane(control.data, on_snapshot=refuse) as part:
        await soon(lambda: part.taken)
        answer = await applied(control)
        assert answer["planes"] == [{"plane": "extproc-0", "revision": "1", "problem": "no room for it"}]
        assert part.revision == "0"
        assert not part.copy.exists() or json.loads(part.copy.read_bytes())["revision"] == "0"


async def test_a_plane_that_does_not_answer_is_named(control: ControlPart) -> None:
    """Another plane does not wait for it for ever, and whoever applied is told that it may lag."""
    reader, writer = await asyncio.open_unix_connection(control.data / "run" / "snapshot.sock")
    writer.write(framed({"plane": "deaf", "version": "0", "revision": ""}))
    await receive(reader)
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        planes = (await applied(control))["planes"]
        assert isinstance(planes, list)
        assert [(entry["plane"], bool(entry["problem"])) for entry in planes] == [("deaf", True), ("extproc-0", False)]
    writer.close()
    await writer.wait_closed()


async def test_who_talks_nonsense_is_hung_up_on(control: ControlPart) -> None:
    """A peer that speaks another language loses its connection, and nobody else does."""
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        for nonsense in (b"GET / HTTP/1.1\r\n\r\n", framed(["no", "object"]), framed({"no": "name"}), b"\xff\xff\xff\xff"):
            reader, writer = await asyncio.open_unix_connection(control.data / "run" / "snapshot.sock")
            writer.write(nonsense)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        await applied(control)
        assert part.revision == "1"


async def test_a_copy_that_was_damaged_is_not_used(control: ControlPart) -> None:
    """A broken copy counts as none: no key is known until control sends a snapshot."""
    copy = control.data / "planes" / "extproc-0" / "snapshot.json"
    copy.parent.mkdir(parents=True)
    copy.write_text('{"revision": "9", "keys": {')
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        assert part.revision == "0"


async def test_a_changed_secret_is_used_and_the_old_one_forgotten(control: ControlPart) -> None:
    """Applying another secret seals a new version; a snapshot from before still opens the old one."""
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        await applied(control)
        before = part.taken[-1]
        await applied(control, secret="sk-another-1")
        assert part.taken[-1].credentials["main"].version == 2
        assert part.credentials.open(part.taken[-1], "main").reveal(REVEAL) == b"sk-another-1"
        assert part.credentials.open(before, "main").reveal(REVEAL) == SECRET.encode()


async def test_no_secret_lies_open_on_disk_or_in_the_log(control: ControlPart) -> None:
    """Provider's secret and virtual keys appear in no file under the data folder, nor in the log; all files are the owner's."""
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        shown = (await applied(control))["keys"]
        assert isinstance(shown, dict)
    await asyncio.to_thread(control.stop)
    files = [path for path in control.data.rglob("*") if path.is_file()]
    assert {"kek", "portcullis.db", "snapshot.json", "admin-token"} <= {path.name for path in files}
    planted = [SECRET, *(text.split("_")[2] for text in shown.values())]
    for path in [*files, control.data.parent / "control.log"]:
        assert [text for text in planted if text.encode() in path.read_bytes()] == []
    assert [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077 and path.name != "ready.json"] == []


def test_a_credential_that_can_not_be_opened_is_a_refusal(tmp_path: Path) -> None:
    """No record, or no keys of the vault: the gate refuses with a sentence that names neither."""
    credentials = Credentials(Settings(data=tmp_path))
    with pytest.raises(GateUnavailable):
        credentials.open(Snapshot("1"), "main")
    with pytest.raises(Unusable):
        credentials.pepper(Snapshot("1", pepper="AAAA"))
    assert credentials.open(Snapshot("1"), "").reveal(REVEAL) == b""
    assert isinstance(credentials.open(Snapshot("1"), ""), Secret)
    assert not any(tmp_path.iterdir())

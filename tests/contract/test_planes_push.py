"""Control and planes, over a real socket: what is changed is in force everywhere when the answer comes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import Unusable
from contracts.snapshot import KeyRecord, LiveSecret, Snapshot
from controlplane.estate import Changes, Estate
from controlplane.planes.snapshots import Publisher
from custody.reveal import REVEAL
from extproc.edge.snapshot_wire import framed, is_piece, message, read_message, receive
from tests.contract.planes_parts import SECRET, control, estate_of, gone, key, plane, put, revoked, soon

HELLO = {"plane": "deaf", "version": "0", "epoch": "", "revision": ""}


async def test_a_change_is_in_force_and_kept_when_publish_returns(tmp_path: Path) -> None:
    """Every worker has the key, its copy and the credential before whoever made the change hears of it."""
    async with control(tmp_path, estate_of(tmp_path)) as told, plane(tmp_path) as one, plane(tmp_path, "extproc-1") as two:
        await soon(lambda: one.revision and two.revision)
        reports = await told.make(put(told.estate, key(1)))
        assert [(report.plane, report.revision, report.problem) for report in reports] == [("extproc-0", "2", ""), ("extproc-1", "2", "")]
        for part in (one, two):
            assert part.taken[-1].keys["id0000000001"].name == "key-1"
            assert part.credentials.open(part.taken[-1], "main").reveal(REVEAL) == SECRET.encode()
            assert part.copy.stat().st_size > 0


async def test_what_is_revoked_disabled_or_removed_is_gone(tmp_path: Path) -> None:
    """A revoked and a disabled key, and a provider that was removed, are not in the next snapshot; the one before is as it was."""
    async with control(tmp_path, estate_of(tmp_path, [key(1), key(2), key(3)])) as told, plane(tmp_path) as part:
        await soon(lambda: part.revision)
        before = part.taken[-1]
        await told.make(revoked(told.estate, "key-1"))
        await told.make(put(told.estate, key(2, disabled=True)))
        await told.make(gone(told.estate, "provider", "local"))
        assert set(part.taken[-1].keys) == {"id0000000003"}
        assert not part.taken[-1].providers
        assert set(before.keys) == {"id0000000001", "id0000000002", "id0000000003"}
        assert set(before.providers) == {"local"}


async def test_a_plane_that_was_away_gets_what_it_missed_and_no_more(tmp_path: Path) -> None:
    """Reconnecting with a revision that control knows is answered by the changes since; with another one, by everything."""
    async with control(tmp_path, estate_of(tmp_path, map(key, range(5)))) as told:
        async with plane(tmp_path) as part:
            await soon(lambda: part.revision)
        await told.make(put(told.estate, key(7)))
        await told.make(revoked(told.estate, "key-1"))
        epoch = told.publisher._views[None].epoch
        assert await first_push(tmp_path, {**HELLO, "epoch": epoch, "revision": "1"}) == ("1", 2)
        assert await first_push(tmp_path, {**HELLO, "epoch": "another", "revision": "1"}) == ("", 13)
        async with plane(tmp_path) as part:
            await soon(lambda: part.revision == "3")
            assert set(part.taken[-1].keys) == {key(number).id for number in (0, 2, 3, 4, 7)}


async def first_push(data: Path, hello: Mapping[str, Any]) -> tuple[str, int]:
    """What a plane that greets so is sent: upon which revision it builds, and how many items."""
    reader, writer = await asyncio.open_unix_connection(data / "run" / "snapshot.sock")
    writer.write(framed(message(hello)))
    base, items = read_message(await receive(reader))["begin"]["base"], 0
    while is_piece(body := await receive(reader)):
        items += body.count(b"\n") + 1
    writer.close()
    await writer.wait_closed()
    return str(base), items


async def test_a_plane_comes_back_to_another_control(tmp_path: Path) -> None:
    """Control gone and back again, even at a lower revision: the plane connects by itself and takes what is in force there."""
    async with plane(tmp_path) as part:
        async with control(tmp_path, estate_of(tmp_path, [key(1)])) as told:
            await soon(lambda: part.revision == "1")
            await told.make(put(told.estate, key(2)))
        async with control(tmp_path, estate_of(tmp_path, [key(3)])):
            await soon(lambda: part.revision == "1")
            assert set(part.taken[-1].keys) == {"id0000000003"}


async def test_a_plane_that_refuses_is_named_and_keeps_the_old(tmp_path: Path) -> None:
    """A plane that can't take a snapshot says why; the next change brings it what it lacks."""

    def refuse(snapshot: Snapshot) -> None:
        if snapshot.revision == "2":
            raise Unusable("no room for it")

    async with control(tmp_path, estate_of(tmp_path)) as told, plane(tmp_path, on_snapshot=refuse) as part:
        await soon(lambda: part.revision)
        reports = await told.make(put(told.estate, key(1)))
        assert [(report.revision, report.problem) for report in reports] == [("2", "no room for it")]
        assert part.revision == "1"
        reports = await told.make(put(told.estate, key(2)))
        assert [(report.revision, report.problem) for report in reports] == [("3", "")]
        assert set(part.taken[-1].keys) == {"id0000000001", "id0000000002"}


async def test_a_record_of_a_later_version_is_refused_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plane that can't read a record stays with what it has, and says what to do."""
    async with control(tmp_path, estate_of(tmp_path)) as told, plane(tmp_path) as part:
        await soon(lambda: part.revision)
        monkeypatch.setattr("controlplane.planes.view.packed", lambda _record: b'{"colour":"red"}')
        (report,) = await told.make(put(told.estate, key(1)))
        assert "upgrade the data plane" in report.problem
        assert part.revision == "1"


async def test_a_plane_that_does_not_answer_is_named(tmp_path: Path) -> None:
    """Another plane does not wait for it for ever, and whoever made the change is told that it may lag."""
    async with control(tmp_path, estate_of(tmp_path)) as told, plane(tmp_path) as part:
        await soon(lambda: part.revision)
        _, writer = await asyncio.open_unix_connection(tmp_path / "run" / "snapshot.sock")
        writer.write(framed(message(HELLO)))
        await soon(lambda: len(told.publisher.planes()) == 2)
        reports = await told.make(put(told.estate, key(1)), patience=0.2)
        assert [(report.plane, bool(report.problem)) for report in reports] == [("deaf", True), ("extproc-0", False)]
        writer.close()
        await writer.wait_closed()


async def test_who_talks_nonsense_is_hung_up_on(tmp_path: Path) -> None:
    """A peer that speaks another language loses its connection, and nobody else does."""
    async with control(tmp_path, estate_of(tmp_path)) as told, plane(tmp_path) as part:
        await soon(lambda: part.revision)
        for nonsense in (b"GET / HTTP/1.1\r\n\r\n", framed(b"[1]"), framed(b'{"no":"name"}'), b"\xff\xff\xff\xff"):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "run" / "snapshot.sock")
            writer.write(nonsense)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        (report,) = await told.make(put(told.estate, key(1)))
        assert report.problem == ""


@pytest.mark.parametrize("nonsense", [b"[1]", b'{"end":"7"}', b"key\tno json\t{}", b'{"begin":{"revision":"9","epoch":"x","base":"8"}}'])
async def test_a_plane_hangs_up_on_control_that_talks_nonsense(tmp_path: Path, nonsense: bytes) -> None:
    """What is in force stays, and the plane asks again."""
    greetings: list[dict[str, Any]] = []

    async def rogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greetings.append(read_message(await receive(reader)))
        writer.write(framed(nonsense))
        await reader.read()
        writer.close()

    async with control(tmp_path, estate_of(tmp_path)), plane(tmp_path) as part:
        await soon(lambda: part.revision)
    server = await asyncio.start_unix_server(rogue, tmp_path / "run" / "snapshot.sock")
    async with plane(tmp_path) as part:
        await soon(lambda: len(greetings) > 1)
        assert part.revision == "1"
    server.close()
    await server.wait_closed()


async def test_changes_made_faster_than_they_are_taken_are_taken_together(tmp_path: Path) -> None:
    """Whoever publishes many changes at once waits for the last; the plane ends with all of them."""
    async with control(tmp_path, estate_of(tmp_path)) as told, plane(tmp_path) as part:
        await soon(lambda: part.revision)
        estate, waits = told.estate, []
        for number in range(50):
            changes = put(estate, key(number))
            estate = estate.after(changes)
            waits.append(asyncio.ensure_future(told.publisher.publish(estate, changes)))
        reports = await asyncio.gather(*waits)
        assert {report.problem for each in reports for report in each} == {""}
        assert len(part.taken[-1].keys) == 50
        assert len(part.taken) < 50


async def test_a_key_seen_under_an_old_pepper_is_reported_if_it_is_the_planes(tmp_path: Path) -> None:
    """What a plane reports reaches control, with what tells whether a key may be that plane's to report of."""
    heard: list[Mapping[str, Any]] = []
    may: list[bool] = []

    def note(reports: Mapping[str, Any], allowed: Any) -> None:
        heard.append(reports)
        may.append(allowed(key(1)))

    (tmp_path / "run").mkdir(mode=0o700)
    publisher = Publisher(estate_of(tmp_path, [key(1)]), note)
    listening = await publisher.listen(tmp_path / "run" / "snapshot.sock")
    async with plane(tmp_path) as part:
        await soon(lambda: part.revision)
        part.follower.rehashed("id0000000001", LiveSecret("a" * 64, 1), LiveSecret("b" * 64, 2))
        await soon(lambda: heard)
    await listening.close()
    assert heard == [{"id0000000001": {"old": "a" * 64, "new": f"2:{'b' * 64}"}}]
    assert may == [True]


async def test_a_snapshots_keys_are_a_mapping_of_records(tmp_path: Path) -> None:
    """Packed keys are looked up, counted and walked like any mapping; an unknown id is None, and what was asked for before is kept."""
    async with control(tmp_path, estate_of(tmp_path, map(key, range(300)))), plane(tmp_path) as part:
        await soon(lambda: part.revision)
        keys = part.taken[-1].keys
    assert len(keys) == 300
    assert keys.get("id0000000007") is keys["id0000000007"]
    assert keys.get("nobody") is None
    assert "nobody" not in keys
    assert {record.name for record in keys.values()} == {f"key-{number}" for number in range(300)}
    assert isinstance(next(iter(keys.values())), KeyRecord)
    assert "key-1" not in repr(keys)
    with pytest.raises(KeyError):
        keys["nobody"]


def test_an_empty_estate_is_a_snapshot_too() -> None:
    """A plane of a gate where nothing is declared yet knows the profile that is built in."""
    shown = Publisher(Estate().after(Changes(organisation="a")))._views[None].shown
    assert [(kind, name) for kind, name, _ in shown.items()] == [("organisation", ""), ("profile", "default")]

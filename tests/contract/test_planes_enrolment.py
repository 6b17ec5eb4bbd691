"""Planes on other machines: a token becomes a certificate, a certificate gets the records of its projects, and a removed plane nothing."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from contracts.enrolment import SERVER, enrol_token
from contracts.errors import Unusable
from contracts.settings import Settings
from contracts.snapshot import ModelRecord, TeamRecord
from controlplane.planes import authority as planes_authority
from custody.reveal import REVEAL
from extproc.edge.enrolment import Away, enrolled
from extproc.edge.snapshot_wire import framed, message, read_message, receive
from tests.contract.planes_elsewhere import Elsewhere, listening
from tests.contract.planes_parts import SECRET, key, plane, put, revoked, soon

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def elsewhere(tmp_path: Path) -> AsyncIterator[Elsewhere]:
    """Two projects, each with a credential that only it may use."""
    async with listening(tmp_path) as found:
        yield found


async def test_a_token_becomes_a_plane_of_its_projects(elsewhere: Elsewhere) -> None:
    """The plane has its project's key, model and credential, opened with a key of its own; of the other project it has nothing."""
    settings = elsewhere.machine()
    away = await enrolled(settings, elsewhere.address, await elsewhere.token())
    assert (away.plane, elsewhere.events) == ("far", ["plane.enrol far"])
    async with plane(settings.data, away.plane, away.connect) as part:
        await soon(lambda: part.revision)
        there = part.taken[-1]
        assert (set(there.keys), set(there.models), set(there.credentials)) == ({"id0000000001"}, {"cheap"}, {"main"})
        assert there.teams["search"] == TeamRecord("search", ("ranking",))
        assert part.credentials.open(there, "main").reveal(REVEAL) == SECRET.encode()
        assert there.credentials["main"].sealed != elsewhere.told.estate.of("credential")["main"].record.sealed  # type: ignore[union-attr]
        assert (await elsewhere.planes.on_record())["far"].enrolled
        assert await elsewhere.planes.away("search/ranking") == []
    await soon(lambda: not elsewhere.told.publisher.planes())
    assert [report.plane for report in await elsewhere.planes.away("search/ranking")] == ["far"]
    assert await elsewhere.planes.away("search/suggest") == []


async def test_what_changes_reaches_it_and_what_is_others_does_not(elsewhere: Elsewhere) -> None:
    """A revocation is in force when the change returns; a key that comes into the project brings along what it may reach."""
    settings = elsewhere.machine()
    away = await enrolled(settings, elsewhere.address, await elsewhere.token())
    async with plane(settings.data, away.plane, away.connect) as part:
        await soon(lambda: part.revision)
        reports = await elsewhere.told.make(
            put(elsewhere.told.estate, key(3), key(4, "suggest"), ModelRecord("dear", "local", "main", "d"))
        )
        assert [(report.plane, report.problem) for report in reports] == [("far", "")]
        assert (set(part.taken[-1].keys), set(part.taken[-1].models)) == ({"id0000000001", "id0000000003"}, {"cheap"})
        await elsewhere.told.make(put(elsewhere.told.estate, key(3, models=("*",))))
        assert set(part.taken[-1].models) == {"cheap", "dear", "other"}
        assert set(part.taken[-1].credentials) == {"main"}
        await elsewhere.told.make(revoked(elsewhere.told.estate, "key-3"))
        assert (set(part.taken[-1].keys), set(part.taken[-1].models)) == ({"id0000000001"}, {"cheap"})


async def test_it_starts_again_without_a_token_and_without_control(elsewhere: Elsewhere) -> None:
    """The certificate and the sealed copy are enough; a control that is back is believed because its authority is the same."""
    settings = elsewhere.machine()
    away = await enrolled(settings, elsewhere.address, await elsewhere.token())
    async with plane(settings.data, away.plane, away.connect) as part:
        await soon(lambda: part.revision)
    await elsewhere.planes.close()
    again = await enrolled(settings, elsewhere.address, None)
    async with plane(settings.data, again.plane, again.connect) as part:
        assert set(part.taken[-1].keys) == {"id0000000001"}
        await elsewhere.planes.listen(elsewhere.address)
        await soon(elsewhere.told.publisher.planes)
        await elsewhere.told.make(put(elsewhere.told.estate, key(5)))
        assert "id0000000005" in part.taken[-1].keys


async def test_a_token_is_used_once_and_in_time(elsewhere: Elsewhere) -> None:
    """Used, too late, for another name: refused with a sentence; nothing is kept on the other machine."""
    token = await elsewhere.token()
    await enrolled(elsewhere.machine(), elsewhere.address, token)
    with pytest.raises(Unusable, match="the token was used, has expired"):
        await enrolled(elsewhere.machine("second"), elsewhere.address, token)
    late = await elsewhere.token("late")
    elsewhere.state.put_plane(replace(elsewhere.state.planes()["late"], token_until=1), [])
    with pytest.raises(Unusable, match="the token was used, has expired"):
        await enrolled(elsewhere.machine("late"), elsewhere.address, late)
    assert not list(elsewhere.folder.glob("machine-[sl]*"))


async def test_a_plane_believes_only_the_control_that_made_its_token(elsewhere: Elsewhere, tmp_path: Path) -> None:
    """Somebody in between, with an authority of his own, does not even see the token's secret."""
    token = await elsewhere.token()
    async with listening(tmp_path / "impostor") as impostor:
        with pytest.raises(Unusable, match="is not the control plane that made the token"):
            await enrolled(elsewhere.machine(), impostor.address, token)
        assert impostor.events == []


async def test_a_removed_plane_is_hung_up_and_refused(elsewhere: Elsewhere) -> None:
    """At once, and for ever; also where the same name is enrolled anew on another machine."""
    settings = elsewhere.machine()
    away = await enrolled(settings, elsewhere.address, await elsewhere.token())
    async with plane(settings.data, away.plane, away.connect) as part:
        await soon(lambda: part.revision)
        assert await elsewhere.planes.remove("far")
        await soon(lambda: not elsewhere.told.publisher.planes())
    assert await refusal(away) == "this plane was removed; enrol it anew with a token of `portcullis plane add`, in a fresh data folder"
    await enrolled(elsewhere.machine("new"), elsewhere.address, await elsewhere.token("far"))
    assert (await refusal(away)).startswith("this plane was removed")
    assert not await elsewhere.planes.remove("nobody")


async def refusal(away: Away) -> str:
    """What control says to this plane's greeting."""
    reader, writer = await away.connect()
    writer.write(framed(message({"plane": away.plane, "version": "0", "epoch": "", "revision": ""})))
    said = read_message(await receive(reader))
    writer.close()
    return str(said["refused"])


async def test_a_stranger_gets_nothing(elsewhere: Elsewhere) -> None:
    """No certificate, no snapshot; no TLS, or an older one, no answer at all."""
    context = ssl.create_default_context(cadata=(await elsewhere.planes.signer()).pem)
    host, port = elsewhere.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname=SERVER)
    writer.write(framed(message({"plane": "extproc-0", "version": "0", "epoch": "", "revision": ""})))
    assert await reader.read() == b""
    writer.close()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await asyncio.open_connection(host, int(port), ssl=context, server_hostname=SERVER)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(framed(message({"authority": True})))
    with suppress(ConnectionResetError):
        assert b"BEGIN CERTIFICATE" not in await reader.read()
    writer.close()


async def test_a_certificate_is_renewed_before_it_ends(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the last third of its life; the plane stays the same plane."""
    settings = elsewhere.machine()
    monkeypatch.setattr(planes_authority, "PLANE_LIFE", timedelta(minutes=1))
    away = await enrolled(settings, elsewhere.address, await elsewhere.token())
    first = away.identity.read()
    monkeypatch.setattr(planes_authority, "PLANE_LIFE", timedelta(days=30))
    async with plane(settings.data, away.plane, away.connect) as part:
        await soon(lambda: part.revision)
    second = away.identity.read()
    assert first.not_valid_after_utc < datetime.now(UTC) + timedelta(minutes=2) < second.not_valid_after_utc
    assert first.serial_number != second.serial_number
    assert first.subject == second.subject


async def test_a_plane_can_not_pass_for_control(elsewhere: Elsewhere) -> None:
    """Its certificate is for one purpose, and has no name that planes look for."""
    away = await enrolled(elsewhere.machine(), elsewhere.address, await elsewhere.token())
    purposes = away.identity.read().extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(away.identity.certificate, away.identity.key)
    listener = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=server)
    impostor = replace(away, port=listener.sockets[0].getsockname()[1])
    with pytest.raises(ssl.SSLCertVerificationError):
        await impostor.connect()
    listener.close()


async def test_what_the_other_machine_keeps_is_private_and_tokens_are_not_kept(elsewhere: Elsewhere) -> None:
    """Files are 0600; the token's secret stands in no file of control's, and the other project's secret in none of the plane's."""
    settings, file = elsewhere.machine(), await elsewhere.token()
    token = enrol_token(file.read_text().strip())
    assert token is not None
    assert token.secret not in repr(token)
    away = await enrolled(settings, elsewhere.address, file)
    async with plane(settings.data, away.plane, away.connect) as part:
        await soon(lambda: part.revision)
    kept = [path for path in settings.data.rglob("*") if path.is_file()]
    assert [path for path in kept if path.stat().st_mode & 0o077] == []
    for path in kept:
        assert SECRET.encode() not in path.read_bytes()
    for path in (elsewhere.folder / "control").rglob("*"):
        assert not path.is_file() or token.secret.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "this plane is not enrolled"), ("pclenrol_far_xyz", "holds no token"), ("", "holds no token")],
)
async def test_without_a_good_token_there_is_one_sentence(tmp_path: Path, text: str | None, sentence: str) -> None:
    """What to do is said, and the token's text is not."""
    file = tmp_path / "token"
    file.write_text(text or "")
    file.chmod(0o600)
    with pytest.raises(Unusable, match=sentence) as told:
        await enrolled(Settings(data=tmp_path / "d"), "127.0.0.1:1", file if text is not None else None)
    assert not text or text not in str(told.value)


async def test_the_process_itself_enrols_with_a_tokens_file_and_starts_again_without(elsewhere: Elsewhere) -> None:
    """`python -m extproc.server --control …`: it is told and answers under its name; its arguments hold no secret."""
    settings, token = elsewhere.machine(), await elsewhere.token()
    for more in (["--enrol-token-file", str(token)], []):
        command = [sys.executable, "-m", "extproc.server", "--data", str(settings.data), "--control", elsewhere.address, *more]
        settings.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.data.chmod(0o700)
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL)
        try:
            await soon(lambda: [(report.plane, report.problem) for report in elsewhere.told.publisher.planes() if report.revision])
            (report,) = elsewhere.told.publisher.planes()
            assert (report.plane, report.revision, report.problem) == ("far", elsewhere.told.publisher.revision, "")
        finally:
            process.terminate()
            assert await process.wait() == 0
        await soon(lambda: not elsewhere.told.publisher.planes())
        token.unlink(missing_ok=True)


async def test_a_systems_own_keys_are_never_written_over(elsewhere: Elsewhere) -> None:
    """Enrolled by mistake in the folder of control, or of any system that is here: refused before the token is used."""
    token = await elsewhere.token()
    data = elsewhere.folder / "control"
    before = (data / "vault" / "kek").read_bytes()
    with pytest.raises(Unusable, match="never overwritten"):
        await enrolled(Settings(data=data), elsewhere.address, token)
    assert (data / "vault" / "kek").read_bytes() == before
    await enrolled(elsewhere.machine(), elsewhere.address, token)


async def test_an_enrolment_that_was_cut_short_is_made_again_in_its_folder(elsewhere: Elsewhere) -> None:
    """Keys without a certificate are left by a crash; another token finishes it."""
    settings = elsewhere.machine()
    away = await enrolled(settings, elsewhere.address, await elsewhere.token())
    away.identity.certificate.unlink()
    await elsewhere.planes.remove("far")
    again = await enrolled(settings, elsewhere.address, await elsewhere.token())
    async with plane(settings.data, again.plane, again.connect) as part:
        await soon(lambda: part.revision)


@pytest.mark.parametrize("damaged", [b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\n"])
async def test_a_plane_whose_files_are_damaged_goes_on_trying(elsewhere: Elsewhere, damaged: bytes) -> None:
    """It says so and believes nobody else meanwhile; once the file is restored it is told again, and never served on untold."""
    settings = elsewhere.machine()
    away = await enrolled(settings, elsewhere.address, await elsewhere.token())
    authority = away.identity.authority.read_bytes()
    tried: list[type[BaseException]] = []

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await away.connect()
        except BaseException as error:
            tried.append(type(error))
            raise

    async with plane(settings.data, away.plane, connect) as part:
        await soon(lambda: part.revision)
        away.identity.authority.write_bytes(damaged)
        elsewhere.told.publisher.hang_up("far")
        await soon(lambda: len(tried) > 1)
        assert not elsewhere.told.publisher.planes()
        away.identity.authority.write_bytes(authority)
        await soon(elsewhere.told.publisher.planes)

"""Control and planes: what is applied is in force everywhere when the answer comes, and outlives either."""

from __future__ import annotations

import asyncio
import stat

from custody import virtual_key
from custody.reveal import REVEAL
from tests.contract.control_parts import FILE, SECRET, ControlPart, soon
from tests.contract.planes_parts import plane


async def applied(control: ControlPart, text: str = FILE, secret: str = SECRET) -> dict[str, object]:
    """Apply, off the loop that the plane runs on."""
    status, answer = await asyncio.to_thread(control.apply, text, secret=secret)
    assert status == 200, answer
    return answer  # type: ignore[no-any-return]


async def test_an_apply_is_in_force_on_the_plane_when_its_answer_comes(control: ControlPart) -> None:
    """The plane has the revision, the credential and the new key before whoever applied hears of it; what leaves the file is gone."""
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        answer = await applied(control)
        assert answer["planes"] == [{"plane": "extproc-0", "revision": answer["revision"], "problem": ""}]
        assert part.revision == answer["revision"]
        assert part.credentials.open(part.taken[-1], "main").reveal(REVEAL) == SECRET.encode()
        shown = answer["keys"]
        assert isinstance(shown, dict)
        presented = virtual_key.parse(shown["one"])
        assert presented is not None
        record = part.taken[-1].keys[presented.public_id]
        assert (record.name, record.models) == ("one", ("cheap",))
        assert virtual_key.used(part.credentials.take(part.taken[-1]), presented, record.secrets, 0)
        await applied(control, FILE.replace("  one: {team: search, project: ranking, environment: dev, models: [cheap]}\n", ""))
        assert presented.public_id not in part.taken[-1].keys


async def test_a_plane_comes_back_to_a_control_that_was_restarted(control: ControlPart) -> None:
    """Control gone and back again: the plane goes on, starts again without it, connects by itself, and takes what is applied then."""
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        await applied(control)
        await asyncio.to_thread(control.stop)
    async with plane(control.data) as part:
        before = part.revision
        assert part.credentials.open(part.taken[-1], "main").reveal(REVEAL) == SECRET.encode()
        await asyncio.to_thread(control.start)
        await soon(lambda: control.ask("GET", "/api/v1/planes")[1])
        answer = await applied(control, FILE.replace("models: [cheap]", 'models: ["ch*"]'))
        assert part.revision == answer["revision"] != before


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
    assert {"kek", "portcullis.db", "snapshot.copy", "admin-token"} <= {path.name for path in files}
    planted = [SECRET, *(text.split("_")[2] for text in shown.values())]
    for path in [*files, control.data.parent / "control.log"]:
        assert [text for text in planted if text.encode() in path.read_bytes()] == []
    assert [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077 and path.name != "ready.json"] == []


async def test_a_plane_gets_the_prices_of_the_list_and_others_with_another_address(control: ControlPart) -> None:
    """A model without a price of its own has that of its provider's; the provider's new address brings the new one's prices."""
    text = FILE.replace("http://127.0.0.1:9902/v1", "https://api.openai.com/v1").replace(
        "models:\n", "models:\n  mini: {provider: other, model: gpt-4o-mini}\n"
    )
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        await applied(control, text)
        assert [price.version.split(":")[0] for price in part.taken[-1].models["mini"].prices] == ["genai-prices"]
        assert part.taken[-1].models["cheap"].prices[0].version.startswith("declared:")
        await applied(control, text.replace("https://api.openai.com/v1", "https://gate.example/v1"))
        assert part.taken[-1].models["mini"].prices == ()

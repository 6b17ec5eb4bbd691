"""Writer and reader of the spool against a list, through crashes, torn tails, full disks and deletions."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.audit import AuditRow, Intent
from contracts.errors import AuditUnavailable
from contracts.settings import Spool as SpoolSettings
from extproc.edge.spool import Spool
from ingest.spool_reader import Cursor, SpoolReader

MOST = 60_000


class SpoolModel(RuleBasedStateMachine):
    """What was accepted is read, once for each life of the reader's cursor, in order; what was refused is not."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.spool = self._new_spool()
        self.reader = SpoolReader(self.folder, Cursor())
        self.written: list[tuple[str, str]] = []
        self.read: list[tuple[str, str]] = []
        self.open: list[str] = []

    def _new_spool(self) -> Spool:
        return Spool(self.folder, SpoolSettings(max_bytes=MOST), segment_bytes=4_000)

    @rule()
    def begin(self) -> None:
        """An exchange puts its intent on record, or is refused."""
        row = AuditRow(id=str(uuid.uuid4()), time=1)
        try:
            self.spool.intent(Intent(row=row))
        except AuditUnavailable:
            return
        self.written.append(("intent", row.id))
        self.open.append(row.id)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """An exchange that has its intent always gets its row in: room was held for it."""
        name = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.spool.row(AuditRow(id=name, time=1))
        self.written.append(("row", name))

        assert self.spool.waiting == 0

    @rule()
    def look(self) -> None:
        """Ingest reads what there is."""
        writer = self.reader.writer()
        drained = False
        while not drained:
            records, drained = self.reader.read(writer)
            self.read += [(record.kind, record.row["id"]) for record in records]

        assert self.read == self.written

    @rule()
    def store(self) -> None:
        """Ingest has stored all it read, and deletes what nothing needs."""
        self.reader.delete(self.reader.cursor, [], self.folder / "dead")

    @rule()
    def restart_reader(self) -> None:
        """Ingest is killed after a commit."""
        self.reader = SpoolReader(self.folder, self.reader.cursor)

    @rule(torn=st.binary(max_size=30), write=st.booleans())
    def crash(self, torn: bytes, write: bool) -> None:
        """The writer dies, in the middle of a frame or not; a successor takes the folder."""
        asyncio.run(self.spool.close())
        segments = sorted(self.folder.glob("*.seg"))
        if write and segments and torn:
            with segments[-1].open("ab") as file:
                file.write(b"\x40\x00\x00\x00" + torn)
        self.open.clear()
        self.spool = self._new_spool()

    @rule()
    def tick(self) -> None:
        """A second passes."""
        self.spool.tick()

    @invariant()
    def stays_under_its_cap(self) -> None:
        """The cap is the cap, rows of open intents included."""
        assert sum(path.stat().st_size for path in self.folder.glob("*.seg")) <= MOST + 100

    def teardown(self) -> None:
        """Read to the end, then clean up."""
        self.look()
        asyncio.run(self.spool.close())
        shutil.rmtree(self.folder)


SpoolModel.TestCase.settings = settings(max_examples=25, stateful_step_count=60, deadline=None)
TestSpoolModel = SpoolModel.TestCase

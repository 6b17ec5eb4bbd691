"""The thread that ships: opens the engine, brings the schema up to date, then steps until it is told to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from contracts.errors import Unusable
from contracts.settings import Settings
from ingest.clickhouse import TABLE, Engine, EngineDownError, open_engine
from ingest.columns import Row
from ingest.ledger import Ledger
from ingest.migrate import migrate
from ingest.shipper import Places, Shipper

log = logging.getLogger(__name__)

REST_SECONDS: Final = 0.25
"""Between looks at the spool and the log. A look costs some 0.5 ms of CPU on a machine that does other things meanwhile."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where shipping stands. `trouble`: why the last step failed, empty if it did not."""

    counts: dict[str, int]
    open_intents: int
    spooled: int
    held: int
    unread_bytes: int
    trouble: str


def places(settings: Settings) -> Places:
    """Where ingest finds and keeps things."""
    return Places(_spools(settings), settings.access_log, settings.data / "ingest", settings.run / "envoy-admin.sock")


def _spools(settings: Settings) -> tuple[Path, ...]:
    """Those of the workers that there are, and of workers that there were: what lies in theirs is still to be stored."""
    former = {folder.name for folder in settings.spools.glob("*") if folder.is_dir()} - set(settings.planes)
    return tuple(settings.spool_of(plane) for plane in (*settings.planes, *sorted(former)))


class Worker:
    """`start` once, `stop` once. What other threads may ask is `ready`, `standing` and `failed`."""

    def __init__(self, settings: Settings, ledger: Ledger, on_stored: Callable[[list[Row]], None], on_end: Callable[[], None]) -> None:
        self.ready = threading.Event()
        self.failed: Unusable | None = None
        self._settings, self._ledger, self._on_stored, self._on_end = settings, ledger, on_stored, on_end
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shipper")
        self._shipper: Shipper | None = None
        self._trouble = ""
        self._standing = Standing({}, 0, 0, 0, 0, "")

    def start(self) -> None:
        """Begin; the engine may come later."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the step, store what is collected, end. Blocks."""
        self._stopping.set()
        self._thread.join()

    def open_engine(self) -> Engine:
        """Another session of the same engine."""
        return open_engine(self._settings.audit, self._settings.data / "audit")

    @property
    def standing(self) -> Standing:
        """As of the last step."""
        return self._standing

    # ── the thread ─────────────────────────────────────────────────────────────

    def _run(self) -> None:
        try:
            self._ship()
        except Unusable as error:
            self.failed = error
        except Exception as error:
            log.exception("ingest: the shipper broke")
            self.failed = Unusable(f"the shipper broke: {type(error).__name__}. Nothing is lost: the spool keeps what is not stored.")
        finally:
            self._on_end()

    def _ship(self) -> None:
        engine = self._patiently(self._opened)
        if engine is None:
            return
        shipper = Shipper(places(self._settings), engine, self._ledger, self._on_stored)
        try:
            self._take_stand(shipper)
            self.ready.set()
            while not self._stopping.is_set():
                more = self._patiently(lambda: shipper.step(time.time_ns()))
                self._take_stand(shipper)
                if not more:
                    self._stopping.wait(REST_SECONDS)
            self._last_step(shipper)
        finally:
            shipper.close()
            engine.close()

    def _opened(self) -> Engine:
        engine = self.open_engine()
        try:
            migrate(engine)
        except EngineDownError:
            engine.close()
            raise
        return engine

    def _patiently(self, what: Callable[[], Any]) -> Any:
        """Do it until it works, with growing pauses. None when told to stop meanwhile."""
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                result = what()
            except (EngineDownError, OSError) as error:
                self._tell(f"{type(error).__name__}: {error}")
                self._stopping.wait(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
            else:
                self._tell("")
                return result
        return None

    def _tell(self, trouble: str) -> None:
        """Log a change for the worse or the better, not its repetition."""
        if trouble and not self._trouble:
            log.error("audit: rows can't be stored for now and stay in the spool: %s", trouble)
        elif self._trouble and not trouble:
            log.warning("audit: rows are stored again")
        self._trouble = trouble
        if trouble:
            self._standing = replace(self._standing, trouble=trouble)

    def _last_step(self, shipper: Shipper) -> None:
        try:
            shipper.finish()
        except (EngineDownError, OSError) as error:
            log.warning("audit: the last rows stay in the spool for the next start: %s", error)

    def _take_stand(self, shipper: Shipper) -> None:
        counts = {**shipper.counts, **shipper.story.counts}
        self._standing = Standing(
            counts,
            len(shipper.story.open),
            shipper.spooled,
            shipper.keyless.held,
            sum(reader.unread() for reader in shipper.readers),
            self._trouble,
        )


def stored(engine: Engine, since: int) -> tuple[int, int]:
    """Exchanges stored in all, and those that began at `since` (Unix seconds) or later."""
    sql = f"SELECT sum(count), sumIf(count, time >= fromUnixTimestamp({{since:Int64}})) FROM {TABLE}"  # noqa: S608 - a constant
    total, later = engine.rows(sql, {"since": since})[0]
    return int(total), int(later)


def folder_of(socket: Path) -> Path:
    """The folder of a Unix socket, made 0700. Raises Unusable where the path is too long for the system."""
    if len(str(socket).encode()) > 100:  # noqa: PLR2004 - Linux allows 107 bytes; some room for its neighbours
        raise Unusable(f"data: the path of {socket} is over 100 bytes, too long for a Unix socket. Choose a shorter data folder.")
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return socket.parent

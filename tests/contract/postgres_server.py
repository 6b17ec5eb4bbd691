"""A PostgreSQL server for tests: the real one, its own folder and socket, reached by a password from a file."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.conftest import need

USER, PASSWORD = "pc", "hunter2-of-the-state"
_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class PostgresServer:
    """One server. It refuses to be root, so root starts it as the user whom Debian's package makes."""

    def __init__(self) -> None:
        programs = need("initdb", *_DEBIAN).resolve().parent
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        self.folder.chmod(0o711)
        self.passfile = self.folder / "pgpass"
        self.passfile.write_text(f"*:*:*:{USER}:{PASSWORD}\n")
        self.passfile.chmod(0o600)
        (self.folder / "first").write_text(PASSWORD)
        if self._as:
            shutil.chown(self.folder, "postgres", "postgres")
            shutil.chown(self.folder / "first", "postgres")
        self._numbers = itertools.count()
        self._server: subprocess.Popen[bytes] | None = None
        self._postgres = programs / "postgres"
        made = ["-D", self._kept, "-U", USER, "-A", "scram-sha-256", f"--pwfile={self.folder / 'first'}", "-N", "-E", "UTF8", "--locale=C"]
        subprocess.run([*self._as, programs / "initdb", *made], check=True, stdout=subprocess.DEVNULL, cwd=self.folder)
        self.start()

    @property
    def _kept(self) -> Path:
        return self.folder / "d"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}", "-c", "fsync=off"]
        log = (self.folder / "log").open("ab")
        self._server = subprocess.Popen([*self._as, self._postgres, "-D", self._kept, *options], stdout=log, stderr=log, cwd=self.folder)
        log.close()
        while True:
            try:
                psycopg.connect(self.to("postgres")).close()
            except psycopg.OperationalError:
                if self._server.poll() is not None:
                    raise
            else:
                return

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT at once and cleanly, SIGQUIT as a crash."""
        if self._server:
            self._server.send_signal(number)
            self._server.wait(30)
            self._server = None

    def remove(self) -> None:
        """Stop it and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder)

    def to(self, database: str) -> str:
        """The address of a database, as in the setting `state`."""
        return f"postgresql://{USER}@/{database}?host={self.folder}&passfile={self.passfile}"

    def database(self) -> str:
        """The address of a fresh, empty database."""
        name = f"state{next(self._numbers)}"
        with psycopg.connect(self.to("postgres"), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type] - a name of our own
        return self.to(name)

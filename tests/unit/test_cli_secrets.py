"""A secret reaches the command line by a pipe, a file or a prompt, and is shown by none of them."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from recording_control import TOKEN, Recording

from controlplane.cli import main


@pytest.mark.parametrize("raw", [b"", b"\n", b"a b", b"a\nb", "sk-ü".encode(), b"\xff", b"x" * 10_000])
def test_what_is_no_secret_is_refused_and_not_repeated(
    control: Recording, raw: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Piped or in a file; nothing is asked of control."""
    file = tmp_path / "secret"
    file.write_bytes(raw)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
    assert main(["credential", "set", "c", "--provider", "a"]) == 1
    assert main(["credential", "set", "c", "--provider", "a", "--from-file", str(file)]) == 1
    shown = capsys.readouterr()
    assert shown.err.count("holds no secret") == 2
    assert "a b" not in shown.err
    assert control.asked == []


def test_a_file_gives_a_secret(control: Recording, tmp_path: Path) -> None:
    """Its line break is not part of it."""
    (tmp_path / "s").write_text("sk-1\n")
    assert main(["credential", "rotate", "c", "--from-file", str(tmp_path / "s")]) == 0
    assert control.asked[-1].body == {"secret": "sk-1"}
    assert main(["credential", "rotate", "c", "--from-file", str(tmp_path / "none")]) == 1


def at_a_terminal(control: Recording, typed: bytes) -> tuple[int, str]:
    """`credential rotate c` at a terminal where this is typed once it is asked for; exit code, and all that the terminal shows."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "PORTCULLIS_CONTROL": control.url, "PORTCULLIS_TOKEN": TOKEN, "TERMINAL": os.ttyname(theirs)}
    # The first terminal that a fresh session opens becomes its own: then Ctrl-C reaches whoever runs in it.
    shell = f'exec <"$TERMINAL" >"$TERMINAL" 2>&1; exec "{sys.executable}" -m controlplane.cli credential rotate c'
    with subprocess.Popen(["sh", "-c", shell], env=environ, start_new_session=True) as child:
        shown = b""
        while b"Secret of" not in shown:
            shown += os.read(ours, 1000)
        os.write(ours, typed)
        code = child.wait(30)
        os.close(theirs)
        with contextlib.suppress(OSError):  # the terminal is gone with the last who has it
            while chunk := os.read(ours, 1000):
                shown += chunk
        os.close(ours)
        return code, shown.decode()


def test_a_terminal_is_asked_and_shows_nothing(control: Recording) -> None:
    """What is typed at the prompt is the secret, and does not appear."""
    code, shown = at_a_terminal(control, b"sk-typed\n")
    assert code == 0
    assert "sk-typed" not in shown
    assert control.asked[-1].body == {"secret": "sk-typed"}


def test_ctrl_c_at_the_prompt_ends_it_quietly(control: Recording) -> None:
    """130, no traceback, nothing asked of control."""
    code, shown = at_a_terminal(control, b"sk-ty\x03")
    assert code == 130
    assert "Traceback" not in shown
    assert "sk-ty" not in shown
    assert control.asked == []

"""docs/reference/cli.md is made of the tree of verbs: `python tests/cli_page.py > docs/reference/cli.md` writes it anew."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from controlplane.cli import parser

INTRO = """\
# The command line

One command, `portcullis`. Its verbs call [the control plane's API](../architecture.md); but for `apply`, `check`, `doctor` and those that start something they need nothing installed beside it.

It finds the system by `--data DIR`, which reads `DIR/run/ready.json` (default `./data`, or `PORTCULLIS_DATA`), or from anywhere by `PORTCULLIS_CONTROL` (its URL) and `PORTCULLIS_TOKEN` (the admin token). Plain HTTP is spoken to this machine only.

| exit code | |
| --- | --- |
| 0 | done |
| 1 | refused, or not found; `doctor` and `check`: something is wrong. What to do stands on the standard error, a line for each thing |
| 2 | wrong usage |
| 3 | the system is down; or the change is made, and a data plane that is named has not answered in time, or is away, and may still go by what was before |
| 130 | ended by Ctrl-C |

Tables are for people; `--json`, which every verb takes that does not run on, prints the API's answer, for scripts. Where an option takes names, they may stand with commas between them, and the option several times. Durations are `90s`, `30m`, `24h`, `7d`; dates are `2027-01-01` (its first moment, UTC) or `2027-01-01T08:00:00Z`.

**Secrets are never words of a command**, where every user of the machine can see them. A credential's secret is read from the standard input when something is piped into it, from `--from-file FILE`, or from a prompt that shows nothing. A new key's secret is shown once, alone on the standard output, or with `--json` as `secret`, or it goes to `--secret-file FILE` (0600). It can't be shown again.

`add` leaves a record of the same name alone; `edit` changes the very record that it has read: if someone else changed it in between, it refuses. What creates or rotates is sent with an idempotency key: when the connection breaks, the same call is made once more, and is carried out once.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([INTRO, *_verbs(parser())])


def _verbs(made: argparse.ArgumentParser) -> Iterator[str]:
    for action in made._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                yield from _verb(action.choices[choice.dest])


def _verb(made: argparse.ArgumentParser) -> Iterator[str]:
    """A noun's heading and its verbs, or a verb with its options."""
    level = "##" if made.prog.count(" ") == 1 else "###"
    yield f"{level} {made.prog.removeprefix('portcullis ')}\n{made.description}\n"
    own = [action for action in made._actions if not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction))]
    if not any(isinstance(action, argparse._SubParsersAction) for action in made._actions):
        yield f"```text\n{made.prog}{''.join(_usage(action) for action in own)}\n```\n"
        told = [f"| {_written(action)} | {action.help} |" for action in own if action.dest not in {"json", "data"}]
        if told:
            yield "\n".join(["| | |", "| --- | --- |", *told, ""])
    yield from _verbs(made)


def _usage(action: argparse.Action) -> str:
    if not action.option_strings:
        return f" {action.metavar}"
    text = f"{action.option_strings[0]}{f' {action.metavar}' if action.nargs != 0 else ''}"
    return f" {text}" if action.required else f" [{text}]"


def _written(action: argparse.Action) -> str:
    metavar = str(action.metavar).replace("|", r"\|")
    if not action.option_strings:
        return f"`{metavar}`"
    return ", ".join(f"`{option}{f' {metavar}' if action.nargs != 0 else ''}`" for option in action.option_strings)


if __name__ == "__main__":
    sys.stdout.write(page())

"""Verbs about teams and their projects."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Final

from controlplane.cli import values
from controlplane.cli.calls import client, listed, told
from controlplane.cli.client import path_of
from controlplane.cli.record import Field, Noun, adding, listing, named, of, removing, showing
from controlplane.cli.tree import Verbs, noun, running, verb

TEAM: Final = Noun(
    "team",
    (
        Field("projects", "names of its projects", values.NAMES, ("--project", "--projects")),
        Field("disabled", "none of its keys works", values.YES, ("--disable", "--enable")),
    ),
    {
        "name": of("name"),
        "projects": lambda team: " ".join(team["projects"]),
        "disabled": of("disabled"),
        "disabled projects": lambda team: " ".join(team["disabled_projects"]),
    },
)
_PLACE: Final = "TEAM/PROJECT"


def add_teams(verbs: Verbs) -> None:
    """The verbs."""
    team = noun(verbs, "team", "who shares projects and keys")
    for each in (adding, listing, showing, removing):
        each(team, TEAM)
    named(verb(team, "disable", "no key of the team works any more", partial(switch_team, "disable"), running()), TEAM)
    named(verb(team, "enable", "its keys work again", partial(switch_team, "enable"), running()), TEAM)
    _add_projects(noun(verbs, "project", "what a team works on"))


def _add_projects(project: Verbs) -> None:
    verb(project, "list", "the projects of all teams", list_projects, running())
    for name, about, run in (
        ("add", "make a project", partial(put_project, "PUT", {}, "is made")),
        ("disable", "no key of the project works any more", partial(put_project, "PATCH", {"disabled": True}, "is disabled")),
        ("enable", "its keys work again", partial(put_project, "PATCH", {"disabled": False}, "is enabled")),
    ):
        verb(project, name, about, run, running()).add_argument("name", metavar=_PLACE, help="the project")
    remove = verb(project, "remove", "remove a project", remove_project, running())
    remove.add_argument("name", metavar=_PLACE, help="the project")
    remove.add_argument("--cascade", action="store_true", help="its keys and credentials go too")


def switch_team(how: str, args: argparse.Namespace) -> int:
    """`team disable`, `team enable`."""
    answer = client(args).call("PATCH", path_of("teams", args.name), {"disabled": how == "disable"})
    return told(args, answer, f"team {args.name} is {how}d")


def list_projects(args: argparse.Namespace) -> int:
    """`project list`."""
    teams = client(args).call("GET", path_of("teams"))
    projects = [
        {"team": team["name"], "project": name, "disabled": team["disabled"] or name in team["disabled_projects"]}
        for team in teams
        for name in team["projects"]
    ]
    return listed(args, projects, ("team", "project", "disabled"), [list(project.values()) for project in projects])


def put_project(method: str, fields: dict[str, bool], said: str, args: argparse.Namespace) -> int:
    """`project add`, `disable`, `enable`."""
    caller, path = client(args), _path(args)
    answer = caller.fresh(f"project '{args.name}'", path, fields) if method == "PUT" else caller.call(method, path, fields)
    return told(args, answer, f"project {args.name} {said}")


def remove_project(args: argparse.Namespace) -> int:
    """`project remove`."""
    return told(
        args, client(args).call("DELETE", _path(args) + ("?cascade=true" if args.cascade else "")), f"project {args.name} is removed"
    )


def _path(args: argparse.Namespace) -> str:
    team, slash, project = str(args.name).partition("/")
    if not (team and slash and project):
        args.parser.error(f"a project is named as {_PLACE}, such as search/ranking")
    return path_of("teams", team, "projects", project)

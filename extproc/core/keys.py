"""Who asks: from the head of a request to the record of its virtual key, if that may be used now."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.errors import InvalidApiKey, InvalidRequest, NotAllowed
from contracts.snapshot import DEFAULT_PROFILE, EnvironmentRecord, KeyRecord, LiveSecret, Snapshot
from custody import virtual_key
from custody.secret import Secret
from extproc.core import body, headers
from extproc.core.effects import Rehash
from extproc.core.events import RequestHead
from extproc.core.world import Asker, World


def known(world: World, head: RequestHead) -> Asker:
    """Who asks. One refusal for every way a key can be wrong, and the same work for all of them."""
    presented = virtual_key.parse(headers.bearer(head.headers) or "")
    if presented is None or not world.peppers:
        raise InvalidApiKey
    key = world.snapshot.keys.get(presented.public_id)
    now = head.seconds
    used = virtual_key.used(world.peppers, presented, key.secrets if key else (), now)
    if key is None or used is None or not _in_force(world.snapshot, key, now):
        raise InvalidApiKey
    user = _end_user(head)
    if user and not key.may_set_user:
        raise NotAllowed(f"This key may not name an end user: remove the {headers.USER} header.", reasons=("user_not_allowed",))
    return Asker(
        key,
        world.snapshot.environments.get(key.environment, EnvironmentRecord(key.environment)),
        world.snapshot.profiles.get(key.profile, DEFAULT_PROFILE),
        user,
        old_secret=used != key.secrets[0],
        rehash=_rehash(world.peppers, presented, used),
    )


def _in_force(snapshot: Snapshot, key: KeyRecord, now: int) -> bool:
    """A key that is enabled and not expired, of a team and a project that are there and enabled. `now`: seconds."""
    team = snapshot.teams.get(key.team)
    if key.disabled or team is None or team.disabled:
        return False
    return (key.expires is None or now < key.expires) and key.project in team.projects and key.project not in team.disabled_projects


def _rehash(peppers: Mapping[int, Secret], presented: virtual_key.Presented, used: LiveSecret) -> Rehash | None:
    """What is to be told of a secret that is kept under an older pepper than the newest."""
    new = virtual_key.rehash(peppers, presented, used)
    return Rehash(presented.public_id, used, new) if new else None


def _end_user(head: RequestHead) -> str:
    """The end user that the app names."""
    try:
        return headers.end_user(head.headers)
    except body.Malformed as why:
        raise InvalidRequest(f"{why}.") from None

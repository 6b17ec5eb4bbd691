"""What is governed, kept: in SQLite's file under the data folder, or in PostgreSQL, by the same statements.

A change is one transaction: the records that change, the revision, the admin events, the kept answer. Whoever changes an
estate that is no longer the stored one is told Stale, and nothing is written. Secrets arrive here sealed or hashed.
All of it blocks: call from a thread (`asyncio.to_thread`); any number of threads and processes may.

    State.open(settings) -> State                                    Unusable, in one sentence, where it can't be
    .load() -> Estate
    .commit(estate, changes, events, answer=None) -> None            Stale; Unusable: nothing was changed
    .answered(key) -> KeptAnswer | None                              not older than 24 h
    .answers() -> list[KeptAnswer]; .reseal(answers) -> None         for a rotation of the vault's keys
    .waiting_events(limit) -> list[AdminEvent]                       the oldest first
    .delivered(ids) -> None; .waiting() -> int
    .planes() -> dict[str, Plane]; .plane(name) -> Plane | None
    .put_plane(plane, events, *, fresh=False) -> None                Taken where `fresh` and there is one of that name
    .enrol(token_hash, now, serial, sealed, events) -> Plane | None  once for each token, before it expires; None: not this one
    .remove_plane(name, events) -> bool
    .authority() -> Authority | None
    .keep_authority(authority) -> Authority                          the one that is kept: the first one
    .close()
"""

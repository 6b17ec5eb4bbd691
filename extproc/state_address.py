"""The setting `state`: `sqlite`, or the address of a PostgreSQL database, as libpq reads it, without a password in it.

Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

SCHEMES: Final = ("postgresql", "postgres")
_MEANT: Final = "must be sqlite or postgresql://USER@HOST/DATABASE"
_ELSEWHERE: Final = "holds a password; remove it, and put it into a file for libpq (~/.pgpass, or ?passfile=FILE; 0600), or into PGPASSWORD"
_PARAMETERS: Final = frozenset(
    {
        "application_name",
        "channel_binding",
        "connect_timeout",
        "gssencmode",
        "host",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "passfile",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "tcp_user_timeout",
    }
)


def state(text: str) -> str:
    """Check the setting. Raises ValueError, which never repeats what was given."""
    if text == "sqlite":
        return text
    scheme, _, rest = text.partition("://")
    if scheme not in SCHEMES or not rest:
        raise ValueError(_MEANT)
    try:
        parts = urlsplit(text)
        given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query), max_num_fields=32))
        host, port = parts.hostname or given.get("host"), parts.port
    except ValueError:
        raise ValueError(f"{_MEANT}; its host, port or parameters can't be read") from None
    if parts.password is not None or given.keys() & {"password", "sslpassword"}:
        raise ValueError(_ELSEWHERE)
    if given.keys() - _PARAMETERS:
        raise ValueError(f"has a parameter that is none of {', '.join(sorted(_PARAMETERS))}")
    database = parts.path.removeprefix("/")
    if not host or port == 0 or not database or "/" in database or parts.fragment:
        raise ValueError(f"{_MEANT}; its {'host' if not host else 'port' if port == 0 else 'database'} is missing or can't be read")
    return text

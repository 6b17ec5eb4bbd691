"""The access log: one JSON line a stream, the second witness of every exchange.

Written even where extproc never ran. No credential, no query, no header but the user agent; a virtual key that an app puts
into its path or user agent by mistake is cut off.
Commands: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog
from envoy_data_plane.envoy.config.core.v3 import DataSource, JsonFormatOptions, SubstitutionFormatString
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.extensions.filters.common.set_filter_state.v3 import FilterStateValue
from envoy_data_plane.envoy.extensions.filters.http.set_filter_state.v3 import Config as FilterState
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.google.protobuf import Struct

from controlplane.envoy.text import packed

KEY_MARK: Final = "pcl_"
"""What a virtual key begins with."""

PATH_STATE: Final = "portcullis.path"
ID_STATE: Final = "portcullis.envoy_id"
AGENT_STATE: Final = "portcullis.user_agent"


def _first(*operators: tuple[str, str]) -> str:
    """Envoy's COALESCE: the first of these (command, parameter) that has a value."""
    listed = json.dumps([{"command": command, "param": param} if param else command for command, param in operators])
    return f'%COALESCE({{"operators": {listed}}})%'


def _cut(text: str, *marks: str) -> str:
    """CEL: a text of the app's, cut where the first of these marks stands. The pattern is tried only where one does."""
    found = " || ".join(f"{text}.contains('{mark}')" for mark in marks)
    return f"{found} ? re.extract({text}, '^(.*?)(?:{'|'.join(marks)})', '\\\\1[withheld]') : {text}"


_MADE_OF_TIME: Final = "%Y%m%d-%H%M-8%S0-8000-000%9f"
"""The stream's first instant, to the nanosecond, as a UUID of version 8 (RFC 9562, section 5.8)."""

_OF_ENVOY: Final = (("FILTER_STATE", f"{ID_STATE}:PLAIN"), ("START_TIME", _MADE_OF_TIME))
"""What was no request has no id of Envoy's; the x-request-id that it may bring along is the app's own word, so it is not read here."""

ENVOY_ID: Final = _first(*_OF_ENVOY)
EXCHANGE_ID: Final = _first(("DYNAMIC_METADATA", "portcullis:id"), *_OF_ENVOY)
"""The exchange's id where extproc gave one; else Envoy's own, which the access log has too."""

_PATH: Final = _cut("request.url_path", KEY_MARK)
_AGENT: Final = _cut("request.useragent", KEY_MARK)
_EARLY_PATH: Final = _cut("request.url_path", KEY_MARK, "#")
"""Of what was refused before any filter saw it; a fragment is a reason for that, and none of ours to keep."""

PATH: Final = f"{_first(('FILTER_STATE', f'{PATH_STATE}:PLAIN'), ('CEL', _EARLY_PATH))[:-1]}:512%"

FIELDS: Final[dict[str, str]] = {
    "id": "%DYNAMIC_METADATA(portcullis:id)%",
    "envoy_id": ENVOY_ID,
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%",
    "method": "%REQ(:METHOD):16%",
    "path": PATH,
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "duration_us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    "duration_ms": "%DURATION%",
    "upstream_us": "%COMMON_DURATION(US_TX_END:US_RX_BEG:us)%",
    "request_bytes": "%BYTES_RECEIVED%",
    "response_bytes": "%BYTES_SENT%",
    "client_address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "user_agent": f"%FILTER_STATE({AGENT_STATE}:PLAIN)%",
    "route": "%DYNAMIC_METADATA(portcullis:route)%",
    "provider": "%DYNAMIC_METADATA(portcullis:provider)%",
    "upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "connection_details": "%CONNECTION_TERMINATION_DETAILS%",
}
"""Field → Envoy's command. A value that Envoy does not have is JSON null."""


def access_log(path: Path) -> AccessLog:
    """The file log. Envoy keeps it open and appends; `POST /reopen_logs` on its admin socket opens it anew."""
    log_format = SubstitutionFormatString(
        json_format=Struct.from_dict(FIELDS), json_format_options=JsonFormatOptions(sort_properties=False)
    )
    return AccessLog(name="envoy.access_loggers.file", typed_config=packed(FileAccessLog(path=str(path), log_format=log_format)))


def witness_filter() -> HttpFilter:
    """Keep what the line tells of the request's head as it came; before the line is written, extproc and the route change it."""
    kept = {
        PATH_STATE: f"%CEL({_PATH}):512%",
        ID_STATE: "%REQ(X-REQUEST-ID)%",
        AGENT_STATE: f"%CEL({_AGENT}):200%",
    }
    values = [
        FilterStateValue(
            object_key=key,
            factory_key="envoy.string",
            format_string=SubstitutionFormatString(text_format_source=DataSource(inline_string=text), omit_empty_values=True),
            skip_if_empty=True,
        )
        for key, text in kept.items()
    ]
    return HttpFilter(name="envoy.filters.http.set_filter_state", typed_config=packed(FilterState(on_request_headers=values)))

"""The access log: one JSON line a stream, the second witness of every exchange.

Written even where extproc never ran. No credential, no query, no header but the user agent.
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

from controlplane.envoy_text import packed

PATH_STATE: Final = "portcullis.path"
ID_STATE: Final = "portcullis.envoy_id"
AGENT_STATE: Final = "portcullis.user_agent"


def _first(*operators: tuple[str, str]) -> str:
    """Envoy's COALESCE: the first of these (command, parameter) that has a value."""
    listed = json.dumps([{"command": command, "param": param} if param else command for command, param in operators])
    return f'%COALESCE({{"operators": {listed}}})%'


_OF_ENVOY: Final = (("FILTER_STATE", f"{ID_STATE}:PLAIN"), ("REQ", "x-request-id"), ("START_TIME", ""))
"""The last is for what was no request, so has no id: the time, to the millisecond, is what the app and the log have in common."""

ENVOY_ID: Final = _first(*_OF_ENVOY)
EXCHANGE_ID: Final = _first(("DYNAMIC_METADATA", "portcullis:id"), *_OF_ENVOY)
"""The exchange's id where extproc gave one; else Envoy's own, which the access log has too."""

PATH: Final = _first(("FILTER_STATE", f"{PATH_STATE}:PLAIN"), ("PATH", "NQ"))

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
    kept = {PATH_STATE: "%PATH(NQ):512%", ID_STATE: "%REQ(X-REQUEST-ID)%", AGENT_STATE: "%REQ(USER-AGENT):200%"}
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

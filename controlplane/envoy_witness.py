"""The access log: one JSON line a stream, the second witness of every exchange.

Written even where extproc never ran. No credential, no query, no header but the user agent.
Commands: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog
from envoy_data_plane.envoy.config.core.v3 import JsonFormatOptions, SubstitutionFormatString
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.google.protobuf import Struct

from controlplane.envoy_text import packed

FIELDS: Final[dict[str, str]] = {
    "id": "%DYNAMIC_METADATA(portcullis:id)%",
    "envoy_id": "%REQ(X-REQUEST-ID)%",
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%",
    "method": "%REQ(:METHOD):16%",
    "path": "%PATH(NQ:ORIG):512%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "duration_us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    "duration_ms": "%DURATION%",
    "upstream_us": "%COMMON_DURATION(US_TX_END:US_RX_BEG:us)%",
    "request_bytes": "%BYTES_RECEIVED%",
    "response_bytes": "%BYTES_SENT%",
    "client_address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "user_agent": "%REQ(USER-AGENT):200%",
    "protocol": "%PROTOCOL%",
    "route": "%DYNAMIC_METADATA(portcullis:route)%",
    "provider": "%DYNAMIC_METADATA(portcullis:provider)%",
    "upstream_host": "%UPSTREAM_HOST%",
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

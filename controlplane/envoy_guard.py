"""Two filters around ext_proc that hold what it alone can't: when it is asked at all, and that it did see the answer.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/composite_filter
        https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/lua_filter
"""

from __future__ import annotations

import json
from typing import Final

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig as FilterConfig
from envoy_data_plane.envoy.extensions.filters.http.composite.v3 import Composite, ExecuteFilterAction
from envoy_data_plane.envoy.extensions.filters.http.lua.v3 import Lua
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.matching.common_inputs.network.v3 import FilterStateInput
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig
from envoy_data_plane.xds.type.matcher.v3 import (
    Matcher,
    MatcherMatcherList,
    MatcherMatcherListFieldMatcher,
    MatcherMatcherListPredicate,
    MatcherMatcherListPredicateSinglePredicate,
    MatcherOnMatch,
    RegexMatcher,
    RegexMatcherGoogleRe2,
    StringMatcher,
)

from controlplane.envoy_edge import NAMESPACE, STAMP
from controlplane.envoy_replies import Answer, error_of
from controlplane.envoy_text import packed
from controlplane.envoy_witness import ID_STATE

UNSEEN: Final = json.dumps(error_of(Answer("", 503, "gate_unavailable", "The gate could not check this answer. Try again."), "@"))

SEEN_OR_503: Final = f"""
function envoy_on_response(answer)
  local headers = answer:headers()
  if headers:get("{STAMP}") ~= nil then return end
  local names = {{}}
  for name, _ in pairs(headers) do names[#names + 1] = name end
  for _, name in ipairs(names) do
    if name:sub(1, 1) ~= ":" then headers:remove(name) end
  end
  local ours = answer:streamInfo():dynamicMetadata():get("{NAMESPACE}") or {{}}
  local id = ours["id"] or ""
  headers:replace(":status", "503")
  headers:replace("content-type", "application/json")
  headers:replace("{STAMP}", id)
  local body = '{UNSEEN}'
  body = body:gsub("@", function() return id end)
  for piece in answer:bodyChunks() do
    piece:setBytes(body)
    body = ""
  end
end
"""
"""Lua for Envoy's filter. The provider's headers and body go, whatever they are; ours take their place, in pieces,
so that an answer that never ends is not held. The id is extproc's own, so no quoting is needed."""


def asked_once_decoded(inner: HttpFilter) -> HttpFilter:
    """Make `inner` when a request's head has come, and only then.

    A filter of the chain is also shown Envoy's answer to what was no request (431, 400 …); ext_proc would ask about
    it, and Envoy closes the connection before it is answered: the app would get nothing. A composite makes its filter
    on the head, so those answers pass it by. Were it never made, no metadata would be set, and no route open.
    """
    config = FilterConfig(name=inner.name, typed_config=inner.typed_config)
    decoded = _has_text(FilterStateInput(key=ID_STATE))  # set by the filter before this one, when the head passes it
    matcher = _when(decoded, "asked", ExecuteFilterAction(typed_config=config))
    return HttpFilter(name="envoy.filters.http.composite", typed_config=packed(Composite(matcher=matcher)))


def seen_or_503() -> HttpFilter:
    """Hold back an answer without extproc's stamp: Envoy takes a stream that is closed cleanly as `go on without me`."""
    script = Lua(default_source_code=DataSource(inline_string=SEEN_OR_503))
    return HttpFilter(name="envoy.filters.http.lua", typed_config=packed(script))


def _has_text(source: Message) -> MatcherMatcherListPredicate:
    some = StringMatcher(safe_regex=RegexMatcher(google_re2=RegexMatcherGoogleRe2(), regex=".+"))
    single = MatcherMatcherListPredicateSinglePredicate(
        input=TypedExtensionConfig(name="input", typed_config=packed(source)), value_match=some
    )
    return MatcherMatcherListPredicate(single_predicate=single)


def _when(predicate: MatcherMatcherListPredicate, name: str, action: Message) -> Matcher:
    then = MatcherOnMatch(action=TypedExtensionConfig(name=name, typed_config=packed(action)))
    return Matcher(matcher_list=MatcherMatcherList(matchers=[MatcherMatcherListFieldMatcher(predicate=predicate, on_match=then)]))

"""Three things that ext_proc alone can't hold: headers it may not touch, when it is asked at all, and that it never leaves quietly.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/composite_filter
        https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/header_mutation_filter
"""

from __future__ import annotations

from typing import Final

from betterproto2 import Message
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation as Change
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRemoveOnMatch as Matching
from envoy_data_plane.envoy.config.core.v3 import HeaderValue, HeaderValueOption, HeaderValueOptionHeaderAppendAction
from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig as FilterConfig
from envoy_data_plane.envoy.extensions.filters.http.composite.v3 import Composite, ExecuteFilterAction
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation, Mutations
from envoy_data_plane.envoy.extensions.filters.http.upstream_codec.v3 import UpstreamCodec
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.matching.common_inputs.network.v3 import FilterStateInput
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher as Name
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

from controlplane.envoy.text import packed
from controlplane.envoy.witness import ID_STATE

UNAVAILABLE: Final = "14"
"""The gRPC status that every end of an ext_proc stream becomes which extproc, not Envoy, brought about."""

Append = HeaderValueOptionHeaderAppendAction


def no_word_of_envoy() -> HttpFilter:
    """Take `x-envoy-*` off requests and answers, whichever they are: no ext_proc answer may touch them (FORBIDDEN).

    Envoy drops the names it acts on from strangers' requests, and lets those of other versions and products pass. First
    in the chain, so that it has the last word on the way back.
    """
    gone = [Change(remove_on_match=Matching(key_matcher=Name(prefix="x-envoy-")))]
    mutations = Mutations(request_mutations=gone, response_mutations=gone)
    return HttpFilter(name="envoy.filters.http.header_mutation", typed_config=packed(HeaderMutation(mutations=mutations)))


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


def never_clean() -> list[HttpFilter]:
    """For extproc's cluster: a stream that extproc ends has failed, whatever status it ends with.

    To the ext_proc filter status 0 means `go on without me`: the rest of the request or answer would pass unseen, and no
    setting of that filter says otherwise. But on its way to the filter the stream passes its cluster's own filters, and
    these write the status anew. Of an exchange that is well Envoy itself ends the stream, and listens no longer.
    """
    mutations = Mutations(
        # A stream without a message has its status in the head; any other head has none, and must not get one.
        response_mutations=[_status(Append.OVERWRITE_IF_EXISTS)],
        response_trailers_mutations=[_status(Append.OVERWRITE_IF_EXISTS_OR_ADD)],
    )
    return [
        HttpFilter(name="envoy.filters.http.header_mutation", typed_config=packed(HeaderMutation(mutations=mutations))),
        HttpFilter(name="envoy.filters.http.upstream_codec", typed_config=packed(UpstreamCodec())),  # Envoy wants it last
    ]


def _status(action: Append) -> Change:
    return Change(append=HeaderValueOption(header=HeaderValue(key="grpc-status", value=UNAVAILABLE), append_action=action))


def _has_text(source: Message) -> MatcherMatcherListPredicate:
    some = StringMatcher(safe_regex=RegexMatcher(google_re2=RegexMatcherGoogleRe2(), regex=".+"))
    single = MatcherMatcherListPredicateSinglePredicate(
        input=TypedExtensionConfig(name="input", typed_config=packed(source)), value_match=some
    )
    return MatcherMatcherListPredicate(single_predicate=single)


def _when(predicate: MatcherMatcherListPredicate, name: str, action: Message) -> Matcher:
    then = MatcherOnMatch(action=TypedExtensionConfig(name=name, typed_config=packed(action)))
    return Matcher(matcher_list=MatcherMatcherList(matchers=[MatcherMatcherListFieldMatcher(predicate=predicate, on_match=then)]))

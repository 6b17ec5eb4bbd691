"""Replies with large bodies, which are written another way, and the one message that is no reply."""

from __future__ import annotations

from datetime import timedelta

import pytest
from envoy_data_plane.envoy.service.ext_proc.v3 import ProcessingResponse
from playbook import PROVIDER_SECRET

from extproc.core.effects import OpenRoute, PassBody
from extproc.edge import envoy_wire
from extproc.edge.driver import MORE_TIME, PATIENCE_S
from extproc.edge.envoy_wire import LARGE
from extproc.edge.proto import ext_proc_pb2 as pb

ID = "0199f3b2-7c1e-7a51-9d0b-0f4e5a6b7c8d"
sizes = pytest.mark.parametrize("size", [0, LARGE - 1, LARGE, LARGE + 1, 1 << 21, 20 << 20])


def read(raw: bytes) -> pb.ProcessingResponse:
    """The message that Envoy reads."""
    return pb.ProcessingResponse.FromString(raw)


@sizes
@pytest.mark.parametrize("headers", [(), (("content-length", "7"),)], ids=["bare", "with a header"])
def test_an_answers_body_of_any_size(size: int, headers: tuple[tuple[str, str], ...]) -> None:
    """The body, and the headers beside it."""
    body = b"y" * size
    said = read(envoy_wire.reply(PassBody(body, headers), ID)).response_body.response
    assert said.body_mutation.body == body
    assert [(option.header.key, option.header.raw_value.decode()) for option in said.header_mutation.set_headers] == list(headers)


@sizes
def test_an_open_route_with_a_body_of_any_size(size: int) -> None:
    """Body, its length, the credential and the metadata are all there."""
    body = b"x" * size
    message = read(envoy_wire.reply(OpenRoute("local", "chat", "authorization", "Bearer ", PROVIDER_SECRET, body), ID))
    said = message.request_body.response
    assert (said.body_mutation.body, said.clear_route_cache) == (body, True)
    headers = {option.header.key: option.header.raw_value for option in said.header_mutation.set_headers}
    assert headers == {"authorization": b"Bearer sk-provider-secret", "content-length": b"%d" % size}
    fields = message.dynamic_metadata.fields["portcullis"].struct_value.fields
    assert {name: value.string_value for name, value in fields.items()} == {"id": ID, "provider": "local", "route": "chat"}


@pytest.mark.parametrize("seconds", [1, 20, 127])
def test_more_time_is_what_envoy_means_by_it(seconds: int) -> None:
    """Read with Envoy's own message, since ours leaves the field out."""
    said = ProcessingResponse.parse(envoy_wire.more_time(seconds))
    assert said == ProcessingResponse(override_message_timeout=timedelta(seconds=seconds))


def test_the_driver_asks_for_the_time_it_says() -> None:
    """One message, made once."""
    assert envoy_wire.more_time(PATIENCE_S) == MORE_TIME

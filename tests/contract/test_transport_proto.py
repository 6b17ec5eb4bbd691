"""Our subset of Envoy's messages: generated from its file, and the same on the wire as Envoy's own."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc_filter
from envoy_data_plane.envoy.service.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.type import v3 as envoy_type
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from extproc.edge.proto import ext_proc_pb2 as pb

PROTO = Path("extproc/edge/proto")
TYPES = {getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower() for name in vars(FieldDescriptor) if name.startswith("TYPE_")}
# Envoy's enum of every HTTP status: both are a varint, and ours needs no table of numbers.
AS_VARINT = {("HttpStatus", "code")}


def test_generated_files_are_what_the_proto_says(root: Path, tmp_path: Path) -> None:
    """Generating them anew, as the README in their folder does, changes nothing."""
    (tmp_path / PROTO).mkdir(parents=True)
    shutil.copy(root / PROTO / "ext_proc.proto", tmp_path / PROTO)
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", "--python_out=.", "--pyi_out=.", str(PROTO / "ext_proc.proto")]
    subprocess.run(command, cwd=tmp_path, check=True)
    stubs = tmp_path / PROTO / "ext_proc_pb2.pyi"
    stubs.write_text('# mypy: disable-error-code="type-arg"\n' + stubs.read_text())
    for name in ("ext_proc_pb2.py", "ext_proc_pb2.pyi"):
        assert (tmp_path / PROTO / name).read_text() == (root / PROTO / name).read_text(), f"{name} is stale: see README.md beside it"


def envoys(name: str) -> Any:
    """Envoy's message of that name."""
    for module in (ext_proc, core, envoy_type, ext_proc_filter):
        if hasattr(module, name):
            return getattr(module, name)
    raise AssertionError(f"Envoy has no message {name}")


def messages() -> Iterator[Descriptor]:
    """Every message of ours; entries of maps are compared with their map."""
    yield from pb.DESCRIPTOR.message_types_by_name.values()


def fields() -> Iterator[FieldDescriptor]:
    """Every field of ours."""
    for ours in messages():
        yield from ours.fields


def is_map(field: FieldDescriptor) -> bool:
    """A map is a repeated message that says so."""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


@pytest.mark.parametrize("field", list(fields()), ids=lambda field: f"{field.containing_type.name}.{field.name}")
def test_a_field_is_envoys(field: FieldDescriptor) -> None:
    """Name, number, type, repetition, map and oneof agree with Envoy's."""
    (theirs,) = [known for known in dataclasses.fields(envoys(field.containing_type.name)) if known.name == field.name]
    meta = theirs.metadata["betterproto"]
    assert meta.number == field.number
    group = field.containing_oneof.name if field.containing_oneof else None
    assert meta.group == group
    if is_map(field):
        assert meta.proto_type == "map"
        assert [known.proto_type for known in meta.map_meta] == [TYPES[part.type] for part in field.message_type.fields]
        return
    assert meta.repeated == field.is_repeated
    if (field.containing_type.name, field.name) in AS_VARINT:
        assert (meta.proto_type, TYPES[field.type]) == ("enum", "int32")
        return
    assert meta.proto_type == TYPES[field.type]
    if field.message_type is not None:
        assert field.message_type.name in str(theirs.type)


@pytest.mark.parametrize("enum", [enum for ours in messages() for enum in ours.enum_types], ids=lambda enum: enum.full_name)
def test_an_enum_is_envoys(enum: Any) -> None:
    """All values, by name and number."""
    theirs = envoys(enum.containing_type.name + enum.name)
    assert {value.name: value.number for value in enum.values} == {value.name: value.value for value in theirs}


def test_a_rich_answer_means_the_same_to_envoys_types() -> None:
    """Our bytes, read by Envoy's types: headers, body, metadata and mode arrive where they belong."""
    ours = pb.ProcessingResponse(
        request_body=pb.BodyResponse(
            response=pb.CommonResponse(
                header_mutation=pb.HeaderMutation(
                    set_headers=[
                        pb.HeaderValueOption(
                            header=pb.HeaderValue(key="authorization", raw_value=b"Bearer x"),
                            append_action=pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
                        )
                    ],
                    remove_headers=["x-api-key"],
                ),
                body_mutation=pb.BodyMutation(body=b"{}"),
                clear_route_cache=True,
            )
        ),
        mode_override=pb.ProcessingMode(response_body_mode=pb.ProcessingMode.STREAMED),
    )
    ours.dynamic_metadata.update({"portcullis": {"id": "7"}})
    theirs = ext_proc.ProcessingResponse.parse(ours.SerializeToString())
    assert theirs.request_body is not None
    common = theirs.request_body.response
    assert common is not None
    assert common.header_mutation is not None
    (option,) = common.header_mutation.set_headers
    assert option.header is not None
    assert (option.header.key, option.header.raw_value, option.append_action.value) == ("authorization", b"Bearer x", 2)
    assert common.header_mutation.remove_headers == ["x-api-key"]
    assert common.body_mutation is not None
    assert (common.body_mutation.body, common.clear_route_cache) == (b"{}", True)
    assert theirs.mode_override is not None
    assert theirs.mode_override.response_body_mode.value == 1
    assert bytes(theirs) == ours.SerializeToString()


def test_envoys_request_is_read_and_what_we_do_not_know_is_skipped() -> None:
    """A request with fields outside the subset: ours are read, the others do no harm."""
    theirs = ext_proc.ProcessingRequest(
        request_headers=ext_proc.HttpHeaders(
            headers=core.HeaderMap(headers=[core.HeaderValue(key=":path", raw_value=b"/v1/models")]), end_of_stream=True
        ),
        protocol_config=ext_proc.ProtocolConfiguration(send_body_without_waiting_for_header_response=True),
    )
    ours = pb.ProcessingRequest.FromString(bytes(theirs))
    assert ours.WhichOneof("request") == "request_headers"
    assert ours.request_headers.end_of_stream
    assert [(header.key, header.raw_value) for header in ours.request_headers.headers.headers] == [(":path", b"/v1/models")]

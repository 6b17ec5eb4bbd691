"""What inputs are made of: what is planted, what may stand in strings, values, and the names and kinds that dialects know."""

from __future__ import annotations

from typing import Final

MAIL: Final = b"planted000001x@example.com"
CARD: Final = b"4111111111111111"
KEY: Final = b"sk-planted-credential-0001"

PIECES: Final = (
    MAIL, MAIL[:9], MAIL[9:], b"planted000001x\\u0040example.com", b"planted000001x\\\\u0040example.com", b"\\u0070lanted000001x@example.com",
    b"@", b"@example.com", b".", b"com", b"-", b"+", b" ", b"x", b"1", b"0", b"_", b"'",
    CARD, CARD[:5], CARD[5:], b"4111 1111 1111 1111", b"4111-1111-", b"1111-1111", b"378282246310005", b"5018", b"4", b",",
    KEY, KEY[:7], KEY[7:], b"sk-planted-\\u0063redential-0001",
    b"\\\\", b'\\"', b"\\n", b"\\\\n", b"\\u005c", b"\\u0022", b"\\ud83d\\ude00", b"\\\\ud83d", b"\\\\u0", b"\\u0000", b"\\/",
    "é".encode(), "😀".encode(), "漢".encode(), "\u0301".encode(), b"{", b"}", b"[", b"]", b":", b'{\\"to\\": \\"', b'\\"}', b'[\\"', b'{\\"n\\":',
    b"data:text/csv;base64,", b"data:image/png;base64,", b"cGxhbnRlZDAwMDAwMXhAZXhhbXBsZS5jb20=", b"https://example.org/a.png", b"application/json",
)  # fmt: skip
"""What may stand in a string, as JSON writes it."""

ATOMS: Final = (
    b"null", b"true", b"false", b"0", b"-1", b"1", b"7", b"0.5", b"1e3", b"1E400", b"-0", b"9007199254740993", b"18446744073709551616", b"1000000",
    CARD, b"-" + CARD, b"4111111111111111.0", b"0.12345678901234567", b'""', b"{}", b"[]", b"[1,2]", b"[[1],[2]]", b'[""]', b'{"":""}',
    b'"%b"' % MAIL, b'"%b"' % CARD, b'"%b"' % KEY, b'"planted000001x\\u0040example.com"', b'"{\\"to\\":\\"%b\\",\\"n\\":%b}"' % (MAIL, CARD),
    b'"data:text/csv;base64,cGxhbnRlZDAwMDAwMXhAZXhhbXBsZS5jb20="', b'"cGxhbnRlZDAwMDAwMXhAZXhhbXBsZS5jb20="', b'"data:image/png;base64,iVBORw0KGgo="',
    b'{"type":"text","text":"%b"}' % MAIL, b'{"index":0}', b'"\\ud83d"', b'"[DONE]"', b"NaN",
)  # fmt: skip
"""Values."""

NAMES: Final = tuple(
    f'"{word}"'.encode()
    for word in """
    action added annotations arguments audio bytes call_id choices citation citations code command command_index commands
    completion_tokens container content content_block content_index custom data definition delta details done error event file
    file_data file_id file_ids file_url finish_reason function function_call id image_url include_usage incomplete_details index
    input input_audio input_tokens item item_id iterations logprobs max_tokens media_type message messages metadata model n name
    obfuscation object output output_index output_tokens outputs part partial_image_b64 partial_json prompt prompt_tokens reason
    reasoning refusal response result role service_tier skills source status stop_reason store stream stream_options suffix summary
    summary_index system text thinking token tool tool_calls tool_changes tool_use_id tools top_logprobs transcript type url usage
    variables Model STORE next_year
    """.split()  # noqa: SIM905 - a list of words
)
"""Names that some dialect knows, and some that none does."""

KINDS: Final = tuple(
    f'"{word}"'.encode()
    for word in """
    text image document input_text output_text input_image input_file input_audio output_audio image_url file refusal summary_text
    reasoning_text message reasoning function_call function_call_output custom_tool_call code_interpreter_call mcp_call
    computer_call_output image_generation_call tool_use tool_result base64 url content thinking container_upload function custom
    namespace shell web_search message_start message_delta message_stop content_block_start content_block_delta content_block_stop
    text_delta input_json_delta thinking_delta error ping response.created response.completed response.failed
    response.output_item.added response.output_item.done response.content_part.added response.content_part.done
    response.output_text.delta response.output_text.done response.refusal.delta response.function_call_arguments.delta
    response.function_call_arguments.done response.reasoning_summary_part.added response.reasoning_summary_text.delta
    response.custom_tool_call_input.delta response.code_interpreter_call_code.delta response.mcp_call_arguments.delta
    response.shell_call_command.added response.shell_call_command.delta next_year.delta
    """.split()  # noqa: SIM905 - a list of words
)
"""Words that members named `type` have, and other enums."""

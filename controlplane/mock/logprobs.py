"""Log probabilities, which say the text once more, token by token; given where a request asks for them. A piece is a token here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

LOGPROB: Final = -0.5


def of_chat(document: Any, pieces: Sequence[str]) -> dict[str, Any] | None:
    """`logprobs` of a choice of chat; None unless the request has `"logprobs": true`."""
    if document.get("logprobs") is not True:
        return None
    return {"content": [_token(piece, also=bool(document.get("top_logprobs"))) for piece in pieces], "refusal": None}


def of_completion(document: Any, pieces: Sequence[str], start: int = 0) -> dict[str, Any] | None:
    """`logprobs` of a choice of legacy completions; None unless asked for. `start`: characters of the choice before these pieces."""
    if type(document.get("logprobs")) is not int:
        return None
    return {
        "tokens": list(pieces),
        "token_logprobs": [LOGPROB] * len(pieces),
        "top_logprobs": [{piece: LOGPROB} for piece in pieces],
        "text_offset": list(accumulate(map(len, pieces[:-1]), initial=start)) if pieces else [],
    }


def of_response(document: Any, pieces: Sequence[str]) -> list[dict[str, Any]]:
    """`logprobs` of a text of responses; empty unless the request includes them."""
    included = document.get("include")
    if not isinstance(included, list) or "message.output_text.logprobs" not in included:
        return []
    return [_token(piece, also=bool(document.get("top_logprobs"))) for piece in pieces]


def _token(piece: str, *, also: bool) -> dict[str, Any]:
    token = {"token": piece, "logprob": LOGPROB, "bytes": list(piece.encode())}
    return {**token, "top_logprobs": [token] if also else []}

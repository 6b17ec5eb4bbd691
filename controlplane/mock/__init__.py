"""The mock provider: OpenAI's and Anthropic's shapes on one port, with programmed answers and faults.

http1     bytes of HTTP/1.1, read and written by hand: faults need that much control
script    what the next answers are to be
ask       what a request asks for, read from any dialect
says      what the answer says, before it has a shape
chat, completions, responses and responses_stream, embeddings, moderations, models, messages
          bodies of answers, one module a shape; openai_frame is what two of them share, logprobs say the text again, errors what goes wrong
routes    path → shape
answers   request and script → status, headers, pieces of the body
body      pieces of a body made into others
delivery  the pieces go out as they are told: late, cut short, or not at all
received  what came
server    the connection loop, and the control calls under /__
"""

from controlplane.mock.server import Mock, main

__all__ = ["Mock", "main"]

"""The mock provider: OpenAI's and Anthropic's shapes on one port, with programmed answers and faults.

http1     bytes of HTTP/1.1, read and written by hand: faults need that much control
script    what the next answers are to be
ask       what a request asks for, read from either dialect
openai_shapes, anthropic_shapes    bodies of answers
answers   request and script → status, headers, pieces of the body
server    the connection loop, delivery with faults, the control calls under /__
"""

from controlplane.mock.server import Mock, main

__all__ = ["Mock", "main"]

"""Pure: no event loop, socket, file, clock or randomness. Everything here can be tested as a list of values."""

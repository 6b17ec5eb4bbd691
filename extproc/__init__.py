"""The data plane: governs what Envoy shows it, one coroutine an exchange."""

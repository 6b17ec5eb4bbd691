"""Everything that touches the world, one file a neighbour: Envoy, policy engine, snapshot, counters."""

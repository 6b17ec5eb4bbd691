"""From spool segments and Envoy's access log to rows in ClickHouse: every exchange once."""

# METADATA
# title: Name patterns
# description: |
#   Patterns over names such as models and routes. glob.match is not used: its two implementations disagree
#   on "?" beside characters outside ASCII, on "[^a]" and on a lone "}".
package gateway.lib.names

# METADATA
# description: |
#   True where the list has the name itself, or a pattern with exactly one "*" whose two sides the name
#   begins and ends with. Every other character means itself. A pattern with two stars matches nothing.
# scope: document
listed(patterns, name) if {
	name in patterns
} else if {
	some pattern in patterns
	[start, end] := split(pattern, "*")
	startswith(name, start)
	endswith(trim_prefix(name, start), end)
}

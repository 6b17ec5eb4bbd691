# METADATA
# title: Verdict
# description: |
#   Joins what every rule folder says into one verdict. Nobody edits this file to add a rule:
#   a folder gateway/rules/<area>/<rule> is found by its package.
#   One document is made of the files when a bundle is built, and read here as data.gateway.compiled:
#   revision; rules ([area, rule], sorted); annotations (area, rule, "messages", code: parts of a text); and where in the
#   tree an output stands ([area, rule, output], sorted): required (every deny, warn, actions), warn, upstream.
#   It is one rule with local names, and has no index but literals and single names, since helper rules, and tables
#   indexed by two names, cost the embedded engine more than the rules themselves do.
# scope: subpackages
# schemas:
#   - input: schema.input
package gateway

import data.gateway.lib.actions as tables
import data.gateway.lib.messages

# METADATA
# description: The entry point. Where it is undefined (no revision, say), the caller refuses.
# entrypoint: true
# scope: document
verdict := {
	"allow": reasons == [],
	"reasons": reasons,
	"actions": tables.joined([said | said := rules[_][_].actions]),
	"upstream": targets[0],
	"warnings": sort(warnings | overruled),
	"revision": compiled.revision,
} if {
	compiled := data.gateway.compiled
	compiled.rules != []
	rules := data.gateway.rules

	# Why not: each rule's deny, and the guard. An output that is declared and undefined has decided nothing.
	denials := {messages.filled(compiled.annotations, area, rule, item) | some item in rules[area][rule].deny}
	guards := {messages.incomplete(path) | some path in compiled.required; object.get(rules, path, false) == false}
	reasons := sort(denials | guards)

	# The target that a rule chose, the first by area and rule name; null where none did.
	choices := [target | some path in compiled.upstream; target := object.get(rules, path, null); target != null]
	targets := array.concat(choices, [null])

	# What an operator should hear; it refuses nothing.
	warnings := {messages.filled(compiled.annotations, path[0], path[1], item) |
		some path in compiled.warn
		some item in object.get(rules, path, [])
	}
	overruled := {messages.overruled(path) |
		some path in compiled.upstream
		target := object.get(rules, path, null)
		target != null
		target != targets[0]
	}
} else := {
	"allow": false,
	# An empty tree denies nothing, and that must not read as "allowed".
	"reasons": [messages.empty],
	"actions": tables.joined([]),
	"upstream": null,
	"warnings": [],
	"revision": data.gateway.compiled.revision,
} if {
	data.gateway.compiled.rules == []
}

# METADATA
# title: Verdict
# description: |
#   Joins what every rule folder says into one verdict. Nobody edits this file to add a rule:
#   a folder gateway/rules/<area>/<rule> is found by its package.
#   Three documents are made of the files when a bundle is built, and read here as data: gateway.annotations
#   (area, rule, "messages", code: parts of a text), gateway.declared (output: pairs of area and rule, sorted)
#   and gateway.revision.
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
	"allow": count(reasons) == 0,
	"reasons": sort(reasons),
	"actions": tables.joined([outputs.actions | some rules in _said; some outputs in rules]),
	"upstream": upstream,
	"warnings": sort(warnings),
	"revision": data.gateway.revision,
}

# METADATA
# description: Why not. Each rule's deny, and the guards for a tree that can't be trusted.
# scope: document
reasons contains messages.filled(data.gateway.annotations, area, rule, item) if {
	some area, rules in _said
	some rule, outputs in rules
	some item in outputs.deny
}

# An empty tree denies nothing, and that must not read as "allowed".
reasons contains {
	"code": "policy_empty",
	"message": "No rule is loaded, so nothing is allowed. Whoever runs this gate must load its policies.",
} if {
	not _declared
}

# An output that is declared and undefined has decided nothing.
reasons contains {
	"code": "policy_incomplete",
	"message": concat("", ["Rule ", area, "/", rule, " gave no ", output, ". Whoever runs this gate must mend that rule."]),
} if {
	some output, places in data.gateway.declared
	output != "upstream"
	some [area, rule] in places
	object.get(_said, [area, rule, output], false) == false
}

_declared if {
	some places in data.gateway.declared
	count(places) > 0
}

# METADATA
# description: What an operator should hear; it refuses nothing.
# scope: document
warnings contains messages.filled(data.gateway.annotations, area, rule, item) if {
	some [area, rule] in data.gateway.declared.warn
	some item in object.get(_said, [area, rule, "warn"], [])
}

warnings contains {
	"code": "upstream_overruled",
	"message": "Another rule, earlier in the order of areas, has chosen a different target.",
	"scope": concat("/", [area, rule]),
} if {
	count(data.gateway.declared.upstream) > 1
	some [area, rule, target] in _choices
	target != upstream
}

# METADATA
# description: The target that a rule chose, the first by area and rule name; null where none did.
# scope: document
default upstream := null

upstream := _choices[0][2] if count(data.gateway.declared.upstream) > 0

_choices := [[area, rule, target] |
	some [area, rule] in data.gateway.declared.upstream
	target := object.get(_said, [area, rule, "upstream"], null)
	target != null
]

# The whole tree once: asking it again for every output costs the embedded engine more than the rules do.
_said := data.gateway.rules

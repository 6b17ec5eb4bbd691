# METADATA
# title: Messages
# description: Puts the annotation's message beside a code that a rule gave; and what the gate itself has to say.
package gateway.lib.messages

# METADATA
# description: |
#   The rule's object with its message, and without `names`. A message is compiled into parts: {"text": "…"},
#   or {"name": "model"}, which stands for the entry of that name in the rule's `names`.
# scope: document
filled(annotations, area, rule, item) := object.union(
	object.remove(item, ["names"]),
	{"message": concat("", [_text(part, object.get(item, "names", {})) | some part in _parts(annotations, area, rule, item.code)])},
)

_parts(annotations, area, rule, code) := object.get(
	annotations,
	[area, rule, "messages", code],
	[{"text": concat("", ["Rule ", area, "/", rule, " refused this request."])}],
)

_text(part, _) := part.text

_text(part, names) := object.get(names, part.name, "?")

# METADATA
# description: No rule is there.
# scope: document
empty := {
	"code": "policy_empty",
	"message": "No rule is loaded, so nothing is allowed. Whoever runs this gate must load its policies.",
}

# METADATA
# description: An output that has no value. The path is [area, rule, output].
# scope: document
incomplete(path) := {
	"code": "policy_incomplete",
	"message": concat("", ["Rule ", path[0], "/", path[1], " gave no ", path[2], ". Whoever runs this gate must mend that rule."]),
}

# METADATA
# description: A choice of a target that came too late. The path is [area, rule, "upstream"].
# scope: document
overruled(path) := {
	"code": "upstream_overruled",
	"message": "Another rule, earlier in the order of areas, has chosen a different target.",
	"scope": concat("/", [path[0], path[1]]),
}

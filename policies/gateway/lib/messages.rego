# METADATA
# title: Messages
# description: Puts the annotation's message beside a code that a rule gave.
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

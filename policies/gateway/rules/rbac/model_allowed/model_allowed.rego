# METADATA
# title: Model allowed
# description: |
#   A key reaches only the models it lists, by exact name or by a pattern with one "*".
#   An empty or missing list allows nothing.
package gateway.rules.rbac.model_allowed

import data.gateway.lib.names

# METADATA
# description: The key's list does not name the model.
# custom:
#   code: model_not_allowed
#   message: This key may not use the model {model}. Ask whoever runs this gate to add it to the key's models.
deny contains {"code": "model_not_allowed", "names": {"model": object.get(input, ["request", "model"], "it asked for")}} if {
	# A list that stays empty is a "no", with a field missing too. Exact names are the common case, and cheap.
	[true | input.request.model in input.key.models] == []
	[true | names.listed(input.key.models, input.request.model)] == []
}

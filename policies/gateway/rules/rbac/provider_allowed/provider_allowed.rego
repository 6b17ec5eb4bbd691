# METADATA
# title: Provider allowed
# description: |
#   A key that lists providers is sent on to those only, whatever model it names. An empty list leaves all of them open;
#   a missing list, or a missing provider, closes all.
package gateway.rules.rbac.provider_allowed

# METADATA
# description: The key's list of providers does not name the model's.
# custom:
#   code: provider_not_allowed
#   message: This key may not use the provider of that model. Ask whoever runs this gate to add it to the key's providers.
deny contains {"code": "provider_not_allowed"} if {
	# A list that stays empty is a "no", with a field missing too.
	[true | input.key.providers == []; is_string(input.target.provider)] == []
	[true | input.target.provider in input.key.providers] == []
}

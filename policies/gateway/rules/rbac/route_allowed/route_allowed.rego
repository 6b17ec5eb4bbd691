# METADATA
# title: Route allowed
# description: |
#   A key that lists routes reaches only those. An empty list leaves every route open;
#   a missing list, or a missing route, closes all. The listing of models is open to every key:
#   it shows a key no more than the models that it may use.
package gateway.rules.rbac.route_allowed

# METADATA
# description: The key's list of routes does not name this one.
# custom:
#   code: route_not_allowed
#   message: This key may not use this route. Ask whoever runs this gate to add it to the key's routes.
deny contains {"code": "route_not_allowed"} if {
	# A list that stays empty is a "no", with a field missing too.
	[true | input.key.routes == []; is_string(input.request.route)] == []
	[true | input.request.route in input.key.routes] == []
	[true | input.request.route == "models"] == []
}

package gateway.rules.rbac.route_allowed_test

import data.gateway.rules.rbac.route_allowed

test_allow_listed_route if {
	route_allowed.deny == set() with input as asking("chat", ["chat", "embeddings"])
}

test_allow_any_route_with_empty_list if {
	route_allowed.deny == set() with input as asking("chat", [])
}

test_allow_listing_of_models_whatever_is_listed if {
	route_allowed.deny == set() with input as asking("models", ["embeddings"])
	route_allowed.deny == set() with input as asking("models", [])
	route_allowed.deny == set() with input as {"request": {"route": "models"}}
}

test_deny_route_not_listed if {
	route_allowed.deny == {{"code": "route_not_allowed"}} with input as asking("chat", ["embeddings"])
}

test_deny_with_missing_list if {
	route_allowed.deny == {{"code": "route_not_allowed"}} with input as {"request": {"route": "chat"}}
}

test_deny_with_missing_route if {
	route_allowed.deny == {{"code": "route_not_allowed"}} with input as {"key": {"routes": []}}
}

asking(route, routes) := {"request": {"route": route}, "key": {"routes": routes}}

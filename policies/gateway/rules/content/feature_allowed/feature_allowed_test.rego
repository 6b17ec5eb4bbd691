package gateway.rules.content.feature_allowed_test

import data.gateway.rules.content.feature_allowed

test_allow_without_features if {
	feature_allowed.deny == set() with input as asking([])
}

test_nothing_is_allowed_as_shipped if {
	feature_allowed._allowed == {"none"}
}

test_deny_each_feature_by_name if {
	feature_allowed.deny == refused({"store", "tool:web_search"}) with input as asking(["store", "tool:web_search"])
		with feature_allowed._allowed as {"none"}
}

test_allow_what_a_line_allows_and_nothing_else if {
	feature_allowed.deny == refused({"background"}) with input as asking(["background", "store"])
		with feature_allowed._allowed as {"store"}
}

test_deny_with_missing_list if {
	feature_allowed.deny == refused({"what it asks for"}) with input as {"request": {}}
}

test_deny_what_is_no_list_of_names if {
	every features in [null, "", "store", 0, false, {}, {"a": "store"}, [1], [null], ["store", []]] {
		feature_allowed.deny == refused({"what it asks for"}) with input as asking(features)
			with feature_allowed._allowed as {"store", "", "a", 1}
	}
}

asking(features) := {"request": {"features": features}}

refused(features) := {{"code": "unsupported_feature", "names": {"feature": feature}} | some feature in features}

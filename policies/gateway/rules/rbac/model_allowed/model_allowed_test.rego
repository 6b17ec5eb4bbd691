package gateway.rules.rbac.model_allowed_test

import data.gateway.rules.rbac.model_allowed

test_allow_exact_name if {
	model_allowed.deny == set() with input as asking("gpt-4o", ["cheap", "gpt-4o"])
}

test_allow_name_that_fits_a_pattern if {
	model_allowed.deny == set() with input as asking("gpt-4o-mini", ["gpt-4o*"])
}

test_deny_other_name if {
	model_allowed.deny == refused("gpt-5") with input as asking("gpt-5", ["cheap", "gpt-4o*"])
}

test_deny_with_empty_list if {
	model_allowed.deny == refused("gpt-4o") with input as asking("gpt-4o", [])
}

test_deny_with_missing_list if {
	model_allowed.deny == refused("gpt-4o") with input as {"request": {"model": "gpt-4o"}}
}

test_deny_with_missing_model if {
	model_allowed.deny == refused("it asked for") with input as {"key": {"models": ["*"]}}
}

asking(model, models) := {"request": {"model": model}, "key": {"models": models}}

refused(model) := {{"code": "model_not_allowed", "names": {"model": model}}}

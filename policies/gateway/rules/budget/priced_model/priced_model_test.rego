package gateway.rules.budget.priced_model_test

import data.gateway.rules.budget.priced_model

test_allow_model_with_a_price if {
	priced_model.deny == set() with input as asking(true, false)
	priced_model.deny == set() with input as {"target": {"priced": true}}
}

test_allow_model_without_one_where_the_environment_does if {
	priced_model.deny == set() with input as asking(false, true)
	priced_model.deny == set() with input as {"environment": {"unpriced": true}}
}

test_deny_model_without_a_price if {
	priced_model.deny == refused with input as asking(false, false)
}

test_deny_with_missing_fields if {
	priced_model.deny == refused with input as {}
	priced_model.deny == refused with input as {"target": {}, "environment": {}}
}

test_deny_what_is_not_true if {
	every wrong in [null, 1, "true", [], {}] {
		priced_model.deny == refused with input as asking(wrong, wrong)
	}
}

asking(priced, unpriced) := {"target": {"priced": priced}, "environment": {"unpriced": unpriced}}

refused := {{"code": "unpriced_model"}}

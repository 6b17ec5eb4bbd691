package gateway.rules.rbac.max_tokens_test

import data.gateway.rules.rbac.max_tokens

test_allow_anything_without_a_ceiling if {
	max_tokens.deny == set() with input as asking(1000000, null)
	max_tokens.deny == set() with input as asking(null, null)
	max_tokens.deny == set() with input as {"key": {"max_tokens": null}}
}

test_allow_up_to_the_ceiling if {
	max_tokens.deny == set() with input as asking(4096, 4096)
	max_tokens.deny == set() with input as asking(0, 4096)
}

test_allow_where_the_app_names_no_number if {
	max_tokens.deny == set() with input as asking(null, 4096)
}

test_deny_more_than_the_ceiling if {
	max_tokens.deny == refused("4096") with input as asking(4097, 4096)
}

test_deny_with_missing_ceiling if {
	max_tokens.deny == refused("no") with input as {"key": {}, "request": {"max_tokens": 1}}
	max_tokens.deny == refused("no") with input as {"key": {}, "request": {"max_tokens": null}}
}

test_deny_with_missing_request if {
	max_tokens.deny == refused("4096") with input as {"key": {"max_tokens": 4096}}
}

test_deny_what_is_no_number if {
	every wrong in ["1", true, false, [], {}] {
		max_tokens.deny == refused("4096") with input as asking(wrong, 4096)
		max_tokens.deny == refused("no") with input as asking(1, wrong)
		max_tokens.deny == refused("no") with input as asking(null, wrong)
	}
}

asking(wanted, most) := {"request": {"max_tokens": wanted}, "key": {"max_tokens": most}}

refused(ceiling) := {{"code": "max_tokens_exceeded", "names": {"ceiling": ceiling}}}

package gateway.lib.actions_test

import data.gateway.lib.actions

test_stronger_of_each_pair if {
	order := ["allow", "alert", "mask", "hash", "tokenize", "redact", "block"]
	every weaker in [0, 1, 2, 3, 4, 5] {
		actions.strongest([order[weaker], order[weaker + 1]]) == order[weaker + 1]
	}
}

test_no_action_and_unknown_word_block if {
	actions.strongest([]) == "block"
	actions.strongest(["sanitize", "mask"]) == "block"
}

test_kind_is_taken_from_each_table_with_its_fallback if {
	joined := actions.merged([{"EMAIL": "mask", "*": "redact"}, {"CARD": "block", "*": "alert"}])
	joined == {"EMAIL": "mask", "CARD": "block", "*": "redact"}
}

test_table_without_a_star_blocks_what_it_does_not_name if {
	actions.merged([{"EMAIL": "mask"}]) == {"EMAIL": "mask", "*": "block"}
}

test_whole_table_only if {
	actions.whole({"EMAIL": "mask", "*": "hash"}) == {"EMAIL": "mask", "*": "hash"}
	actions.whole({"EMAIL": "mask"}) == {"*": "block"}
	actions.whole(null) == {"*": "block"}
}

test_no_table_blocks_everything if {
	actions.merged([]) == {"*": "block"}
}

test_one_whole_rule_is_handed_on if {
	said := {"prompt": {"*": "mask"}, "answer": {"*": "hash"}, "unscanned": "alert"}
	actions.joined([said]) == said
}

test_rules_that_say_a_part_are_joined if {
	said := [{"prompt": {"*": "mask"}}, {"prompt": {"CARD": "block", "*": "allow"}, "unscanned": "alert"}]
	actions.joined(said) == {"prompt": {"*": "mask", "CARD": "block"}, "answer": {"*": "block"}, "unscanned": "alert"}
}

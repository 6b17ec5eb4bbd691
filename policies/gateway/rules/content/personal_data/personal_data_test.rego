package gateway.rules.content.personal_data_test

import data.gateway.rules.content.personal_data

test_whole_profile_is_handed_on if {
	profile := {"prompt": {"CREDIT_CARD": "block", "*": "redact"}, "answer": {"*": "mask"}, "unscanned": "alert"}
	personal_data.actions == profile with input as {"profile": profile}
}

test_table_without_a_star_blocks_everything if {
	profile := {"prompt": {"CREDIT_CARD": "mask"}, "answer": {"*": "mask"}, "unscanned": "alert"}
	expected := {"prompt": {"*": "block"}, "answer": {"*": "mask"}, "unscanned": "alert"}
	personal_data.actions == expected with input as {"profile": profile}
}

test_missing_profile_blocks_everything if {
	expected := {"prompt": {"*": "block"}, "answer": {"*": "block"}, "unscanned": "block"}
	personal_data.actions == expected with input as {}
}

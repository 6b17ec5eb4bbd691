package gateway.rules.rbac.provider_allowed_test

import data.gateway.rules.rbac.provider_allowed

test_allow_listed_provider if {
	provider_allowed.deny == set() with input as asking("openai", ["claude", "openai"])
}

test_allow_any_provider_with_empty_list if {
	provider_allowed.deny == set() with input as asking("openai", [])
}

test_deny_provider_not_listed if {
	provider_allowed.deny == refused with input as asking("openai", ["claude"])
}

test_deny_what_a_pattern_would_fit if {
	provider_allowed.deny == refused with input as asking("openai", ["open*", "*", "OpenAI", ""])
}

test_deny_with_missing_list if {
	provider_allowed.deny == refused with input as {"target": {"provider": "openai"}}
}

test_deny_with_missing_provider if {
	provider_allowed.deny == refused with input as {"key": {"providers": []}}
	provider_allowed.deny == refused with input as {"key": {"providers": ["openai"]}, "target": {}}
}

asking(provider, providers) := {"target": {"provider": provider}, "key": {"providers": providers}}

refused := {{"code": "provider_not_allowed"}}

package gateway_test

import data.gateway

test_allow_with_one_rule_that_has_nothing_against_it if {
	verdict := decided({"a": {"one": {"deny": set()}}}, {"deny": [["a", "one"]]})
	verdict == {
		"allow": true,
		"reasons": [],
		"actions": blocking,
		"upstream": null,
		"warnings": [],
		"revision": "r1",
	}
}

test_empty_tree_denies if {
	verdict := decided({}, {})
	not verdict.allow
	codes(verdict.reasons) == {"policy_empty"}
}

test_no_list_of_the_rules_is_no_verdict if {
	not gateway.verdict with data.gateway.compiled as {"revision": "r1"} with data.gateway.rules as {"a": {"one": {"deny": set()}}}
}

test_rule_that_is_gone_denies if {
	verdict := decided({"b": {"two": {"deny": set()}}}, {"deny": [["a", "one"], ["b", "two"]]})
	not verdict.allow
	codes(verdict.reasons) == {"policy_incomplete"}
}

test_declared_output_that_is_undefined_denies if {
	verdict := decided({"a": {"one": {}}}, {"actions": [["a", "one"]]})
	not verdict.allow
	verdict.reasons == [{
		"code": "policy_incomplete",
		"message": "Rule a/one gave no actions. Whoever runs this gate must mend that rule.",
	}]
}

test_reason_has_its_message_with_names_filled_in if {
	denying := {"a": {"one": {"deny": {{"code": "no_model", "names": {"model": "m1"}, "retry_after_s": 3}}}}}
	verdict := decided(denying, {"deny": [["a", "one"]]})
	verdict.reasons == [{"code": "no_model", "message": "Model m1 and ? are closed.", "retry_after_s": 3}]
}

test_code_without_a_message_still_denies if {
	verdict := decided({"b": {"two": {"deny": {{"code": "odd"}}}}}, {"deny": [["b", "two"]]})
	verdict.reasons == [{"code": "odd", "message": "Rule b/two refused this request."}]
}

test_warning_does_not_refuse if {
	warning := {"a": {"one": {"warn": {{"code": "no_model", "names": {"model": "m1"}}}}}}
	verdict := decided(warning, {"warn": [["a", "one"]]})
	verdict.allow
	verdict.warnings == [{"code": "no_model", "message": "Model m1 and ? are closed."}]
}

test_first_upstream_wins_and_the_other_is_a_warning if {
	choosing := {"a": {"one": {"upstream": target("p1")}}, "b": {"two": {"upstream": target("p2")}}}
	verdict := decided(choosing, {"upstream": [["a", "one"], ["b", "two"]]})
	verdict.upstream == target("p1")
	{[warning.code, warning.scope] | some warning in verdict.warnings} == {["upstream_overruled", "b/two"]}
}

test_rule_that_chooses_nothing_leaves_the_upstream_alone if {
	verdict := decided({"a": {"one": {}}}, {"upstream": [["a", "one"]]})
	verdict.upstream == null
}

blocking := {"prompt": {"*": "block"}, "answer": {"*": "block"}, "unscanned": "block"}

target(provider) := {"provider": provider, "model": "m"}

codes(reasons) := {reason.code | some reason in reasons}

decided(rules, declared) := verdict if {
	paths := {output: [array.concat(place, [output]) | some place in places] | some output, places in declared}
	verdict := gateway.verdict with data.gateway.rules as rules
		with data.gateway.compiled as {
			"revision": "r1",
			"rules": [place | some places in declared; some place in places],
			"annotations": {"a": {"one": {"messages": {"no_model": parts}}}},
			"required": [path | some output in ["deny", "warn", "actions"]; some path in object.get(paths, output, [])],
			"warn": object.get(paths, "warn", []),
			"upstream": object.get(paths, "upstream", []),
		}
}

parts := [{"text": "Model "}, {"name": "model"}, {"text": " and "}, {"name": "other"}, {"text": " are closed."}]

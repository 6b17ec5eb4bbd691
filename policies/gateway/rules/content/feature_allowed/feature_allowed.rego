# METADATA
# title: Feature allowed
# description: |
#   Some parts of a request keep state at the provider, reach out from there, or choose where and at what price it answers.
#   A request that has one is refused by the part's name, unless a line below allows it for whoever asks.
#   docs/rules/content/feature_allowed.md names them all.
package gateway.rules.content.feature_allowed

# What is allowed: a line for each name, with a condition on input where it is not for every key. For example, without the "#":
# _allowed contains "store" if input.principal.team == "search"
# _allowed contains "tool:web_search" if input.principal.key_name in {"ranking-dev", "ranking-ci"}

# As shipped nothing is. No part has this name, and Rego wants one line at least.
_allowed contains "none"

# METADATA
# description: The request has a feature that no line allows. What is no list of names asks for what nothing allows.
# custom:
#   code: unsupported_feature
#   message: >-
#     This key may not use {feature}: such parts keep state at the provider, reach out from there, or choose where and at what
#     price it answers. Take it out of the request, or ask whoever runs this gate to allow it.
deny contains {"code": "unsupported_feature", "names": {"feature": feature}} if {
	# Nearly every request has none, so that is asked first, and cheaply.
	[true | input.request.features == []] == []
	lists := [list | list := input.request.features; is_array(list); [name | some name in list; is_string(name)] == list]
	some feature in array.concat(lists, [["what it asks for"]])[0]
	[true | feature in _allowed] == []
}

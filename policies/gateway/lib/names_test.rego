package gateway.lib.names_test

import data.gateway.lib.names

test_listed if {
	every case in [
		{"patterns": ["gpt-4o"], "name": "gpt-4o"},
		{"patterns": ["x", "gpt-4o*"], "name": "gpt-4o"},
		{"patterns": ["gpt-4*"], "name": "gpt-4.1-mini"},
		{"patterns": ["*-mini"], "name": "gpt-4o-mini"},
		{"patterns": ["gpt*mini"], "name": "gpt-4o-mini"},
		{"patterns": ["*"], "name": "a/b:c"},
		{"patterns": ["[a]"], "name": "[a]"},
	] {
		names.listed(case.patterns, case.name)
	}
}

test_not_listed if {
	every case in [
		{"patterns": [], "name": "gpt-4o"},
		{"patterns": ["gpt-4o"], "name": "gpt-4o-mini"},
		{"patterns": ["gpt-4o*"], "name": "my-gpt-4o"},
		{"patterns": ["ab*ba"], "name": "aba"},
		{"patterns": ["g*4*"], "name": "gpt-4o"},
		{"patterns": ["gpt-?o"], "name": "gpt-4o"},
		{"patterns": ["GPT*"], "name": "gpt-4o"},
	] {
		not names.listed(case.patterns, case.name)
	}
}

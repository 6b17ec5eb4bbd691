# METADATA
# title: Action tables
# description: |
#   A table says by kind what to do with findings; "*" stands for every kind it does not name.
#   Joining keeps the strongest: block > redact > tokenize > hash > mask > alert > allow.
package gateway.lib.actions

# METADATA
# description: |
#   What several rules say, as one. The common case, one rule that says everything, is handed on as it is.
# scope: document
joined(said) := said[0] if {
	count(said) == 1
	said[0].prompt["*"]
	said[0].answer["*"]
	said[0].unscanned
} else := {
	"prompt": merged([one.prompt | some one in said]),
	"answer": merged([one.answer | some one in said]),
	"unscanned": strongest([one.unscanned | some one in said]),
}

# METADATA
# description: |
#   One table of many. For each kind that any table names, and for "*", each table is asked for its
#   effective action (its entry, else its "*", else block) and the strongest is kept. No table: block all.
# scope: document
merged(tables) := {kind: strongest([effective(table, kind) | some table in tables]) | some kind in _kinds(tables)}

# METADATA
# description: What one table says about a kind. Without an entry and without "*" it says block.
# scope: document
effective(table, kind) := object.get(table, kind, object.get(table, "*", "block"))

# METADATA
# description: The table, if it speaks about every kind; else one that blocks everything.
# scope: document
whole(table) := table if table["*"]

else := {"*": "block"}

# METADATA
# description: The strongest of some actions. No action, or a word that is none, counts as block.
# scope: document
strongest(actions) := "block" if {
	count(actions) == 0
} else := _order[max([_strength(action) | some action in actions])]

_order := ["allow", "alert", "mask", "hash", "tokenize", "redact", "block"]

_ranks := {"allow": 0, "alert": 1, "mask": 2, "hash": 3, "tokenize": 4, "redact": 5, "block": 6}

_strength(action) := object.get(_ranks, action, 6)

_kinds(tables) := {"*"} | {kind | some table in tables; some kind, _ in table}

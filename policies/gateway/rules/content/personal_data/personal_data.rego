# METADATA
# title: Personal data
# description: |
#   What to do with findings is written in the key's profile; this rule hands it on. It denies nothing itself:
#   the action "block" does, when something is found. A table without "*", or none, blocks everything.
package gateway.rules.content.personal_data

import data.gateway.lib.actions as tables

actions := input.profile if {
	input.profile.prompt["*"]
	input.profile.answer["*"]
	input.profile.unscanned
} else := {
	"prompt": tables.whole(object.get(input, ["profile", "prompt"], {})),
	"answer": tables.whole(object.get(input, ["profile", "answer"], {})),
	"unscanned": object.get(input, ["profile", "unscanned"], "block"),
}

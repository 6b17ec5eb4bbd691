# METADATA
# title: Max tokens
# description: |
#   A key with a ceiling asks for answers of at most so many tokens. Where the app names no number the gate itself puts the
#   key's into the request, so that is no reason to refuse. A missing ceiling closes all; null is none.
package gateway.rules.rbac.max_tokens

# METADATA
# description: The request asks for longer answers than the key's ceiling allows.
# custom:
#   code: max_tokens_exceeded
#   message: >-
#     This key may ask for answers of at most {ceiling} tokens each. Ask for fewer, or ask whoever runs this gate to raise the
#     key's max_tokens.
deny contains {"code": "max_tokens_exceeded", "names": {"ceiling": ceiling}} if {
	# A list that stays empty is a "no", with a field missing too. Most keys have no ceiling, so that is asked first.
	[true | input.key.max_tokens == null] == []
	ceilings := [most | most := input.key.max_tokens; is_number(most)]
	[true | input.request.max_tokens == null; ceilings != []] == []
	[true | is_number(input.request.max_tokens); input.request.max_tokens <= ceilings[0]] == []
	ceiling := array.concat([format_int(most, 10) | some most in ceilings], ["no"])[0]
}

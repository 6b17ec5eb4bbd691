# METADATA
# title: Source address
# description: |
#   A key that lists networks works from addresses in one of them only. An empty list leaves all addresses open; a missing
#   list closes all. A request whose address is not known comes from no network.
package gateway.rules.rbac.source_address

# METADATA
# description: No network of the key's list holds the address that the request came from.
# custom:
#   code: address_not_allowed
#   message: This key may not be used from this address. Ask whoever runs this gate to add your network to the key's addresses.
deny contains {"code": "address_not_allowed"} if {
	# A list that stays empty is a "no", with a field missing too. Most keys have no networks, so that is asked first, and cheaply.
	[true | input.key.addresses == []] == []
	[true | input.source.address != ""; some network in input.key.addresses; net.cidr_contains(network, input.source.address)] == []
}

package gateway.rules.rbac.source_address_test

import data.gateway.rules.rbac.source_address

test_allow_any_address_with_empty_list if {
	every address in ["10.1.2.3", "2001:db8::1", ""] {
		source_address.deny == set() with input as asking(address, [])
	}
	source_address.deny == set() with input as {"key": {"addresses": []}}
}

test_allow_address_in_one_of_the_networks if {
	source_address.deny == set() with input as asking("10.1.2.3", ["192.0.2.0/24", "10.0.0.0/8"])
	source_address.deny == set() with input as asking("2001:db8::1", ["2001:db8::/32"])
	source_address.deny == set() with input as asking("10.1.2.3", ["10.1.2.3/32"])
}

test_allow_all_of_one_family if {
	source_address.deny == set() with input as asking("10.1.2.3", ["0.0.0.0/0"])
	source_address.deny == set() with input as asking("2001:db8::1", ["::/0"])
}

test_deny_the_other_family if {
	source_address.deny == refused with input as asking("2001:db8::1", ["0.0.0.0/0"])
	source_address.deny == refused with input as asking("10.1.2.3", ["::/0"])
}

test_deny_address_in_none_of_the_networks if {
	source_address.deny == refused with input as asking("11.0.0.1", ["10.0.0.0/8", "2001:db8::/32"])
}

test_deny_address_that_is_not_known if {
	source_address.deny == refused with input as asking("", ["0.0.0.0/0", "::/0"])
	source_address.deny == refused with input as {"key": {"addresses": ["0.0.0.0/0"]}}
}

test_deny_with_missing_list if {
	source_address.deny == refused with input as {"source": {"address": "10.1.2.3"}}
}

asking(address, addresses) := {"source": {"address": address}, "key": {"addresses": addresses}}

refused := {{"code": "address_not_allowed"}}

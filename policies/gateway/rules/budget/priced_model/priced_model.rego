# METADATA
# title: Priced model
# description: |
#   A model is used only where its price is known, since nobody can hold a budget over what has none. An environment may allow
#   others. A price of zero is a price.
package gateway.rules.budget.priced_model

# METADATA
# description: No price of the model is known, and the environment does not allow that.
# custom:
#   code: unpriced_model
#   message: >-
#     No price is known for that model, so this gate does not send requests to it. Ask whoever runs this gate to declare its
#     price, or to allow models without one in this environment.
deny contains {"code": "unpriced_model"} if {
	[true | input.target.priced == true] == []
	[true | input.environment.unpriced == true] == []
}

"""The incident log: what happened, in an order that cannot be changed unseen."""

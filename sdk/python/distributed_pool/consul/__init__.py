"""The members of pools, as Consul lists them."""

"""Which parameters learn, in which phases, and at which rate."""

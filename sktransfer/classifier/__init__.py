"""A head on an encoder that is frozen or tuned: a network that learns, by skorch."""

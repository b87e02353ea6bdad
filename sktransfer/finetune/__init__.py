"""Networks that learn: a head on an encoder that is frozen or tuned, by skorch."""

"""The modules: an encoder that can learn, a scale, a head."""

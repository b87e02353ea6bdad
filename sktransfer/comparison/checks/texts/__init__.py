"""Texts that are copies, nearly copies, of one origin, or too long."""

"""Texts as words: cut in English and Chinese, each distinct piece of text once."""

"""Transformers, read only: text to vectors with frozen pretrained weights."""

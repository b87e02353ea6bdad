"""Tables in files: how they are encoded, read and written."""

"""A comparison as one page that opens anywhere."""

"""What only results show."""

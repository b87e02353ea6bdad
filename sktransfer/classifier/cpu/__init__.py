"""What makes training fast on a CPU, with the same results."""

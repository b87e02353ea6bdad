"""What is compared, on which texts."""

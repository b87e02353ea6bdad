"""Transfer strategies and baselines under one cross-validation."""

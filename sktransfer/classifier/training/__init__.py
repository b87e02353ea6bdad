"""The skorch net that trains and predicts, and what happens between its batches."""

"""Files of word vectors, and what they hold in memory."""

"""The files of a checkpoint: where they are, what they declare, how they are read."""

"""How the texts were split, and by which groups."""

"""How many texts there are of each class, and labels that contradict."""

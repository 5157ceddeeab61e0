"""Data sets: real ones in their published formats, and a procedural street."""

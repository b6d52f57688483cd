"""`%%chat` cells: running their steps, and showing what they bring."""

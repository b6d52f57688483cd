"""`%%chat` cells: running their steps and showing the results."""

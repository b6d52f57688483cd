"""Recording: every observation becomes one row, is masked, journaled, and only then shown. Knows none of its readers."""

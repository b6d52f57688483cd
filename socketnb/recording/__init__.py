"""Recording: every observation becomes a row, is masked, written to the journal, and only then shown."""

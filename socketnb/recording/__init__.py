"""Recording: every observation becomes a row, is masked, journaled, and only then shown. It knows no reader."""

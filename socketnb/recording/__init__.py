"""Recording: every observation is masked and written to the journal as a row before it is shown."""

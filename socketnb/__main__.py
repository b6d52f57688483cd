"""Run the command line: `python -m socketnb` is the same as `socketnb`."""

from socketnb.ui.cli import main

main()

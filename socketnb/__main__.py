"""`python -m socketnb` is `socketnb`."""

from socketnb.ui.cli import main

main()

"""`python -m socketnb` is `socketnb`."""

from socketnb.faces.cli import main

main()

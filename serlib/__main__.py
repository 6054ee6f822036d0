"""``python -m serlib``."""

from .cli import main

main()

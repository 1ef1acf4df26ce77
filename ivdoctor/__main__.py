"""`python -m ivdoctor`."""

from .cli import main

main(prog_name="ivdoctor")

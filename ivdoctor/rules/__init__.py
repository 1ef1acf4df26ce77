"""Judging: one module a hundred of codes; facts in, problems out, nothing is looked at."""

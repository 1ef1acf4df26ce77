"""Reading what a program said before it died: texts in, facts out. It looks and never judges, and imports no torch."""

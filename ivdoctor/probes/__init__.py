"""Looking: one module a subject; each touches the world and judges nothing."""

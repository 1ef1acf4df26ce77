"""The dtype-flow engine: a model's real code on tensors that have a dtype and a shape and no numbers."""

"""The networks, in PyTorch, and their training: the workstation's half.

Nothing is imported here: `from galago.models.conformer import ...` says what is meant, and costs that.
"""

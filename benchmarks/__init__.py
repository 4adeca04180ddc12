"""Programs that measure galago, alone and beside its peers. Each writes a row to ``benchmarks/results``.

Run one with ``python -m benchmarks.NAME --help`` from the repository root.
"""

"""The eight concepts as frozen dataclasses and enums. Standard library only, no behaviour that
needs a clock, a socket, randomness or a file. See ``docs/concepts.md``.
"""

"""The API under ``/api/v1``: the operations of the console, for programs with a token."""

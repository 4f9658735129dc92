"""guard: stands before the mail server at every door. ``core`` decides, ``edge`` moves bytes."""

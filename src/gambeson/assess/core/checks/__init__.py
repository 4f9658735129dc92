"""One module a check, named as its file in ``data/checks``: ``run(facts)`` yields its outcomes."""

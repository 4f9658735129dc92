"""assess: where an organisation stands. Its outside half is ``gambeson look``: facts are measured at the edge, the
core judges them, the checks are files. What the assessment looks at from inside is added to the same facts."""

"""The kinds of actions, one a file. A file here has one ``RUNNER``; see :mod:`gambeson.console.operations.runner`."""

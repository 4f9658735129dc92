"""Processes: supervisor, keeper, snapshot publisher, event spool, privilege drop."""

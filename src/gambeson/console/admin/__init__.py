"""The console's pages, for those who look after organisations: one module a page, see :mod:`.pages`."""

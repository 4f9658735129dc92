"""One module a page: ``ROUTES`` says which requests are its, ``NAV`` where it stands in the side bar. It is found by
its file; nothing else has to be changed."""

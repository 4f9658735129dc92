"""The playground: an embedded mail server with a sample organisation, on this machine only.

It lets a person point a mail program at real doors within a minute of cloning. It is a mail server for
trying things out and for the tests, and says so in its greetings; it is not a product to keep mail in. It has no
side door of its own: it listens on abstract Unix sockets (no TCP port), takes connections from the doors' user only,
and signs in nobody without a token that the keeper issued for that very account less than a minute ago.

``sample`` the organisation and its mail · ``access`` who may sign in · ``mailboxes`` Maildir storage and delivery ·
``imap`` and ``sieve`` (pymap) · ``pop3`` (ours) · ``smtp`` (aiosmtpd) · ``serve`` runs them in one process.
"""

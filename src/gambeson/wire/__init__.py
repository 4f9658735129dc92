"""Sans-IO protocol code: parsers, state machines and writers. Bytes in, commands out.

One protocol, one file (or one file a role: ``imap.py`` grammar, ``imap_server.py`` the dialogue we
hold with clients, ``imap_client.py`` the one we hold with the mail server).
"""

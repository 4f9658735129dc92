"""An emulator of Exchange's front end, labelled as one: no Exchange can be had here.

It has the documented virtual directories with their default authentication, the version headers, the per-user answers
of Autodiscover and the log files that a real server writes, over the sample people's real mailboxes. It has
none of Exchange's flaws, and proves nothing about a real server. Every answer carries ``X-Gambeson-Emulator``.
"""

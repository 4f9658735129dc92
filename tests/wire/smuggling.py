"""Ends of a message that some program might believe in, and contents that carry a second message behind one.

Every variant is what a client sends inside DATA behind a good header, up to and without the true end
(CRLF.CRLF), which the tests put behind. ``honest`` ones hold only whole line ends: they are content of one message.
"""

SECOND = b"MAIL FROM:<ceo@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nFrom: ceo@example.org\r\n\r\nforged"

_CRUDE = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n",
    b"\n\n.\n\n", b"\n\r.\n\r", b"\r\r.\r\r", b"\r\n\n.\r\n", b"\r\n\r.\r\n", b"\r\r\n.\r\n", b"\r\r\n.\r\r\n",
    b"\r\n.\r\r\n", b"\r\n.\n\r\n", b"\n\r\n.\n", b"\r\n\n.\n", b"\r\n\r.\r", b"\r\n.\n\n",
    b"\n.\n\n", b"\r\n.\0\n", b"\n.\0\r\n", b"\r\0\n.\r\0\n", b"\r\n.\r\0\n", b"\r\n\0.\n", b"\r\n.\0\r",
    b"\n..\n", b"\n..\r\n", b"\r..\r", b"\n.\t\n", b"\n. \n", b"\r\n. \n", b"\r\n.\x0b\n", b"\x0c\n.\n",
    b"\xe2\x80\xa8\n.\n", b"\x85\n.\n", b"\n \n.\n", b"\r\n.\r \n", b"\n\r.\r\n", b"\r\n.\n\r",
]  # fmt: skip

_HONEST = [
    b"\r\n..\r\n", b"\r\n. \r\n", b"\r\n .\r\n", b"\r\n.\t\r\n", b"\r\n.\0\r\n", b"\r\n\0.\r\n", b"\r\n.\x0b\r\n",
    b"\r\n.\xe2\x80\xa8", b"\x85.\x85", b"\x0b.\x0b", b"\x0c.\x0c", b"\0.\0", b"\r\n.\\r\\n", b"\r\n\x2e\x20\r\n",
    b"\r\n...\r\n", b"\r\n.x\r\n", b"=0D=0A.=0D=0A", b"\xe2\x80\xa9.\xe2\x80\xa9", b"\x1e.\x1e", b"\r\n..\r\n..\r\n",
]  # fmt: skip

CRUDE = [ending + SECOND for ending in _CRUDE]
HONEST = [ending + SECOND for ending in _HONEST]
# A crude end right behind the header, without any true line end before it.
CRUDE += [
    ending.removeprefix(b"\r\n") + SECOND
    for ending in _CRUDE
    if ending.startswith(b"\r\n") and b"\n" in ending[2:]
]
CRUDE = [
    c
    for c in dict.fromkeys(CRUDE)
    if c.count(b"\r\n") != c.count(b"\r") or c.count(b"\r\n") != c.count(b"\n")
]

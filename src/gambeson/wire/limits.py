"""Limits on what a peer may send before it has signed in. One place, so that they can be read.

All are octets unless the name says otherwise. They are generous for people and small for attackers:
a session before login never holds more than about ``MAX_PENDING`` + ``MAX_COMMAND`` octets.
"""

MAX_LINE = 8192  # RFC 9051 section 4 asks clients to stay under 8192 octets a command line
MAX_LITERAL = 4096  # a literal before login carries a name or a password, never a message
MAX_COMMAND = 16384  # one command with all its literals
MAX_SASL = 12288  # RFC 4954 section 4: base64 lines of at least 12288 octets must be accepted
MAX_PENDING = 65536  # what a client may pipeline behind its login (RFC 9051 section 5.5)
MAX_COMMANDS = 64  # commands before login; the next one closes
MAX_FAILURES = 3  # refused logins on one connection; then it closes
MAX_NAME = 320  # 64 octets local part + @ + 255 octets domain (RFC 5321 section 4.5.3.1)
MAX_PASSWORD = 4096
MAX_UPSTREAM_LINE = 65536  # one answer line of a mail server during sign-in
MAX_UPSTREAM_ANSWERS = 200  # lines a mail server may send before its sign-in must be done
MAX_TEXT = 400  # characters of a person's sentence, or of a peer's text that we show or pass on

# Why a mail server that offers UNAUTHENTICATE (RFC 8437, RFC 5804 section 2.14) is not joined to a client.
UNAUTHENTICATE = (
    "it offers UNAUTHENTICATE, by which a client could sign in anew behind the door; switch that off"
)

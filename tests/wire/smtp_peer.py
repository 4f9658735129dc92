"""A mail server in memory, strict as RFC 5321, to talk to the relay; and a session of client, relay and server."""

from gambeson.wire.dialogue import AskQuota, Close, MessageDone, RelayCommand, ToClient, ToServer
from gambeson.wire.smtp_relay import SenderPolicy, SmtpRelay

FULL = (b"PIPELINING", b"SIZE 1000000", b"8BITMIME", b"SMTPUTF8", b"DSN", b"CHUNKING", b"ENHANCEDSTATUSCODES")
ME = "alice@example.org"
HEAD = b"From: Alice <alice@example.org>\r\nSubject: x\r\n"


class Upstream:
    """Answers like a mail server. ``messages``: (sender line, recipient lines, content) of what it queued."""

    def __init__(self, answers: dict[bytes, bytes] | None = None) -> None:
        self.answers = answers or {}
        self.buffer = b""
        self.commands: list[bytes] = []
        self.messages: list[tuple[bytes, list[bytes], bytes]] = []
        self.in_data = False
        self.sender = b""
        self.recipients: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        self.buffer += data
        out = b""
        while True:
            if self.in_data:
                whole = b"\r\n" + self.buffer
                end = whole.find(b"\r\n.\r\n")
                if end < 0:
                    return out
                content = whole[2 : end + 2].replace(b"\r\n..", b"\r\n.")
                self.messages.append((self.sender, self.recipients, content.removeprefix(b".")))
                self.buffer = whole[end + 5 :]
                self.in_data = False
                out += self.answers.get(b".", b"250 2.0.0 queued as 1\r\n")
                continue
            end = self.buffer.find(b"\r\n")
            if end < 0:
                return out
            line, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
            self.commands.append(line)
            verb = line.split(b" ")[0].split(b":")[0]
            answer = self.answers.get(line, self.answers.get(verb))
            if answer is None:
                answer = b"354 go\r\n" if verb == b"DATA" else b"250 2.1.0 ok\r\n"
            if verb == b"MAIL":
                self.sender, self.recipients = line, []
            if verb == b"RCPT" and answer.startswith(b"2"):
                self.recipients.append(line)
            self.in_data = verb == b"DATA" and answer.startswith(b"354")
            out += answer


class Session:
    """Carries the relay's commands out at once, as the edge would."""

    def __init__(
        self,
        check: str = "both",
        extensions: tuple[bytes, ...] = FULL,
        answers: dict[bytes, bytes] | None = None,
        quota: str = "",
        addresses: tuple[str, ...] = (ME,),
        **limits: int,
    ) -> None:
        self.relay = SmtpRelay(
            hostname="door.example.org",
            server_extensions=extensions,
            senders=SenderPolicy(frozenset(addresses), check),
            **limits,
        )
        self.server = Upstream(answers)
        self.quota = quota
        self.said = b""
        self.done: list[MessageDone] = []
        self.asked: list[AskQuota] = []
        self.closed = False

    def carry(self, commands: list[RelayCommand]) -> None:
        for command in commands:
            assert not self.closed, "nothing comes behind Close"
            match command:
                case ToClient(data):
                    self.said += data
                case ToServer(data):
                    if answer := self.server.feed(data):
                        self.carry(self.relay.from_server(answer))
                case AskQuota():
                    self.asked.append(command)
                    granted = not self.quota
                    self.carry(
                        self.relay.quota_granted() if granted else self.relay.quota_refused(self.quota)
                    )
                case MessageDone():
                    self.done.append(command)
                case Close():
                    self.closed = True

    def send(self, *chunks: bytes) -> bytes:
        """Send these, and give what was said since."""
        before = len(self.said)
        for chunk in chunks:
            self.carry(self.relay.from_client(chunk))
        return self.said[before:]

    def codes(self, *chunks: bytes) -> list[str]:
        """The codes of the answers to these."""
        lines = self.send(*chunks).decode().split("\r\n")[:-1]
        return [line[:3] for line in lines if line[3:4] == " "]


def mail(sender: str = ME, *recipients: str) -> bytes:
    rcpt = "".join(f"RCPT TO:<{r}>\r\n" for r in recipients or ("bob@example.net",))
    return f"MAIL FROM:<{sender}>\r\n{rcpt}".encode()

"""Programs that nobody here wrote, at every door, before the playground and before Dovecot and Postfix."""

from __future__ import annotations

import email
import imaplib
import poplib
import smtplib
from pathlib import Path

import pytest

from interop.sites import Site
from peers.clients import (
    curl,
    fetched,
    found,
    imap,
    mailbox,
    maildir_messages,
    mbsync,
    message,
    msmtp,
    pop3,
    run,
    s_client,
    sieve_connect,
    smtp,
    swaks,
)
from peers.clients import program as program_of

UMLAUTS = "Grüße aus dem Büro, 日本語 und 🛡."


def put(site: Site, number: int = 0, text: str = UMLAUTS) -> tuple[str, str]:
    """A message in the n-th person's INBOX, through the door."""
    login = site.login(number)
    content, subject = message(login.name, "sender@example.net", text)
    with mailbox(login) as client:
        assert client.append("INBOX", None, None, content.encode())[0] == "OK"
    return content, subject


def body(octets: bytes) -> str:
    return octets.partition(b"\r\n\r\n")[2].decode()


# -- Python's own


@pytest.mark.parametrize("starttls", [False, True], ids=["implicit", "starttls"])
def test_imaplib(site: Site, starttls: bool) -> None:
    login = site.login()
    _, subject = put(site)
    with mailbox(login, starttls=starttls) as client:
        number = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()[-1].decode()
        assert UMLAUTS in body(fetched(client, number, "BODY[]"))
        assert client.store(number, "+FLAGS", r"(\Seen \Flagged)")[0] == "OK"
        separator = client.list('""', '""')[1][0].split()[1].decode().strip('"')
        made, renamed = (f"made-{subject}{separator}{name}" for name in ("below", "renamed"))
        assert client.create(made)[0] == "OK"
        assert client.create(made)[0] == "NO"
        assert client.rename(made, renamed)[0] == "OK"
        assert client.copy(number, renamed)[0] == "OK"
        assert client.select(renamed)[1] == [b"1"]
        assert renamed.encode() in b" ".join(client.list()[1])
        assert client.noop()[0] == "OK"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_imaplib_authenticate(site: Site, mechanism: str) -> None:
    login = site.login()
    answers = [login.name, login.secret] if mechanism == "LOGIN" else [f"\0{login.name}\0{login.secret}"]
    client = imap(login)
    assert client.authenticate(mechanism, lambda challenge: answers.pop(0).encode())[0] == "OK"
    assert client.select()[0] == "OK"
    client.logout()


@pytest.mark.parametrize("starttls", [False, True], ids=["implicit", "stls"])
def test_poplib(site: Site, starttls: bool) -> None:
    login = site.login()
    _, subject = put(site)
    client = pop3(login, starttls=starttls)
    assert {"USER", "SASL"} & set(client.capa())
    client.user(login.name)
    client.pass_(login.secret)
    count, _ = client.stat()
    lines = b"\n".join(client.retr(count)[1]).decode()
    assert subject in lines
    assert UMLAUTS in lines
    assert len(client.uidl()[1]) == count
    client.quit()


def test_poplib_refused(site: Site) -> None:
    client = pop3(site.login())
    client.user(site.people[0])
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        client.pass_("a password")


@pytest.mark.parametrize("starttls", [False, True], ids=["implicit", "starttls"])
@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_smtplib(site: Site, starttls: bool, mechanism: str) -> None:
    login, to = site.login(), site.login(1)
    content, subject = message(to.name, login.name, UMLAUTS)
    with smtp(login, starttls=starttls) as client:
        client.ehlo()
        client.user, client.password = login.name, login.secret
        assert client.auth(mechanism, getattr(client, f"auth_{mechanism}"))[0] == 235
        assert client.sendmail(login.name, [to.name], content.encode()) == {}
        content, second = message(to.name, login.name, ".\r\n..\r\n. dots")
        assert client.sendmail(login.name, [to.name], content.encode()) == {}
    assert UMLAUTS in body(found(to, subject))
    assert body(found(to, second)).startswith(".\r\n..\r\n. dots\r\n")


def test_smtplib_unknown_recipients_and_reset(site: Site) -> None:
    login = site.login()
    with smtp(login) as client:
        client.login(login.name, login.secret)
        client.ehlo()
        assert client.has_extn("8bitmime")
        assert client.has_extn("pipelining")
        assert client.docmd("VRFY", "root")[0] in (252, 502)
        assert client.mail(login.name)[0] == 250
        assert client.rset()[0] == 250
        assert client.rcpt(login.name)[0] == 503
        assert client.noop()[0] == 250


# -- curl

READ = [
    pytest.param("imaps", [], "INBOX?SUBJECT {subject}", id="imaps"),
    pytest.param("imap", [], "INBOX?SUBJECT {subject}", id="imap-starttls"),
    pytest.param("imaps", ["--login-options", "AUTH=LOGIN"], "INBOX?SUBJECT {subject}", id="imaps-login"),
    pytest.param(
        "imaps", ["--login-options", "AUTH=PLAIN", "--sasl-ir"], "INBOX?SUBJECT {subject}", id="imaps-ir"
    ),
]


@pytest.mark.peer("curl")
@pytest.mark.parametrize(("listener", "options", "path"), READ)
def test_curl_searches_and_fetches(site: Site, listener: str, options: list[str], path: str) -> None:
    login = site.login()
    _, subject = put(site)
    done = curl(login, listener, *options, path=path.format(subject=subject).replace(" ", "%20"))
    assert done.returncode == 0, done.stderr
    numbers = done.stdout.replace("* SEARCH", "").split()
    assert len(numbers) == 1, done.stdout
    fetched = curl(login, listener, *options, path=f"INBOX;MAILINDEX={numbers[0]}")
    assert fetched.returncode == 0, fetched.stderr
    assert UMLAUTS in fetched.stdout


@pytest.mark.peer("curl")
@pytest.mark.parametrize("options", [[], ["--login-options", "AUTH=PLAIN"]])
@pytest.mark.parametrize("listener", ["pop3s", "pop3"])
def test_curl_reads_by_pop3(site: Site, listener: str, options: list[str]) -> None:
    login = site.login()
    put(site)
    listed = curl(login, listener, *options)
    assert listed.returncode == 0, listed.stderr
    last = listed.stdout.split()[-2]
    fetched = curl(login, listener, *options, path=last)
    assert UMLAUTS in fetched.stdout, fetched.stderr


@pytest.mark.peer("curl")
@pytest.mark.parametrize("listener", ["submissions", "submission"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_curl_sends(site: Site, listener: str, mechanism: str) -> None:
    login, to = site.login(), site.login(1)
    content, subject = message(to.name, login.name, UMLAUTS)
    options = ["--login-options", f"AUTH={mechanism}", "--mail-from", login.name, "--mail-rcpt", to.name]
    done = curl(login, listener, *options, "-T", "-", path="laptop.example", stdin=content)
    assert done.returncode == 0, done.stderr
    assert UMLAUTS in body(found(to, subject))


@pytest.mark.peer("curl")
@pytest.mark.parametrize("listener", ["imaps", "imap", "pop3s", "pop3", "submissions", "submission"])
def test_curl_is_refused_with_a_password(site: Site, listener: str) -> None:
    login = site.login().with_secret("password")
    done = curl(login, listener, path="laptop.example" if listener.startswith("s") else "")
    assert done.returncode == 67, done.stderr  # CURLE_LOGIN_DENIED
    assert "password alone" in done.stderr


@pytest.mark.peer("curl")
@pytest.mark.parametrize("listener", ["imaps", "imap", "pop3s", "pop3", "submissions", "submission"])
def test_curl_with_a_client_certificate(site: Site, listener: str) -> None:
    login = site.with_certificate()
    options = ["--login-options", "AUTH=EXTERNAL"]
    path = ""
    if listener.startswith("submission"):
        options += ["--mail-from", login.name, "--mail-rcpt", login.name, "-T", "-"]
        path = "laptop.example"
    content, _ = message(login.name, login.name)
    done = curl(login, listener, *options, path=path, stdin=content, password=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.peer("curl")
def test_curl_external_without_a_certificate_is_refused(site: Site) -> None:
    done = curl(site.login(), "imaps", "--login-options", "AUTH=EXTERNAL", password=False)
    assert done.returncode == 67, done.stderr


@pytest.mark.peer("curl")
def test_curl_does_not_believe_another_authority(site: Site, tmp_path: Path) -> None:
    """The doors' certificate is one that a strict client can check: it fails with any other authority."""
    from peers.pki import Pki

    other = Pki(tmp_path / "other").ca
    done = curl(site.login(), "imaps", "--cacert", str(other))
    assert done.returncode == 60, done.stderr


# -- msmtp


@pytest.mark.peer("msmtp")
@pytest.mark.parametrize("auth", ["plain", "login", "on"])
@pytest.mark.parametrize("starttls", [False, True], ids=["implicit", "starttls"])
def test_msmtp(site: Site, tmp_path: Path, starttls: bool, auth: str) -> None:
    login, to = site.login(), site.login(1)
    content, subject = message(to.name, login.name, UMLAUTS)
    done = msmtp(login, tmp_path, content.replace("\r\n", "\n"), to.name, starttls=starttls, auth=auth)
    assert done.returncode == 0, done.stderr
    assert UMLAUTS in body(found(to, subject))


@pytest.mark.peer("msmtp")
def test_msmtp_is_refused_and_says_why(site: Site, tmp_path: Path) -> None:
    login = site.login().with_secret("password")
    content, _ = message(login.name, login.name)
    done = msmtp(login, tmp_path, content, login.name)
    assert done.returncode == 77, done.stderr  # EX_NOPERM
    assert "password alone" in done.stderr


@pytest.mark.peer("msmtp")
def test_msmtp_external(site: Site, tmp_path: Path) -> None:
    login = site.with_certificate()
    content, subject = message(login.name, login.name)
    done = msmtp(login, tmp_path, content.replace("\r\n", "\n"), login.name, auth="external")
    assert done.returncode == 0, done.stderr
    found(site.login(), subject)


# -- mbsync


@pytest.mark.peer("mbsync")
@pytest.mark.parametrize("starttls", [False, True], ids=["implicit", "starttls"])
def test_mbsync_both_ways(site: Site, tmp_path: Path, starttls: bool) -> None:
    login = site.login(2)
    _, subject = put(site, 2)
    first = mbsync(login, tmp_path, starttls=starttls)
    assert first.returncode == 0, first.stderr
    near = maildir_messages(tmp_path / "inbox")
    assert any(subject.encode() in each for each in near)
    mine, upward = message(login.name, login.name, "Written offline")
    (tmp_path / "inbox" / "new" / "1.mine.host").write_bytes(mine.replace("\r\n", "\n").encode())
    second = mbsync(login, tmp_path, starttls=starttls)
    assert second.returncode == 0, second.stderr
    assert b"Written offline" in found(login, upward)


@pytest.mark.peer("mbsync")
def test_mbsync_is_refused_and_says_why(site: Site, tmp_path: Path) -> None:
    done = mbsync(site.login().with_secret("password"), tmp_path)
    assert done.returncode != 0
    assert "password alone" in done.stderr


# -- swaks


@pytest.mark.peer("swaks")
@pytest.mark.parametrize("starttls", [False, True], ids=["implicit", "starttls"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(site: Site, starttls: bool, mechanism: str) -> None:
    login, to = site.login(), site.login(1)
    _, subject = message(to.name, login.name)
    done = swaks(login, to.name, "--auth", mechanism, "--header", f"Subject: {subject}", starttls=starttls)
    assert done.returncode == 0, done.stdout + done.stderr
    found(to, subject)


@pytest.mark.peer("swaks")
def test_swaks_pipelining_and_several_recipients(site: Site) -> None:
    login, others = site.login(), [site.login(1), site.login(2)]
    _, subject = message("", "")
    to = ",".join(each.name for each in others)
    done = swaks(login, to, "--pipeline", "--header", f"Subject: {subject}", "--attach", "@/etc/hostname")
    assert done.returncode == 0, done.stdout + done.stderr
    for each in others:
        assert email.message_from_bytes(found(each, subject)).is_multipart()


@pytest.mark.peer("swaks")
def test_swaks_is_refused_before_tls_and_with_a_password(site: Site) -> None:
    login = site.login()
    plain = run([
        program_of("swaks"), "--server", "localhost", "--port", str(login.port("submission")), "--to", login.name,
        "--from", login.name, "--auth", "PLAIN", "--auth-user", login.name, "--auth-password", login.secret,
    ])  # fmt: skip
    assert plain.returncode == 28, plain.stdout  # no authentication was offered
    assert swaks(login.with_secret("password"), login.name).returncode == 28
    unsigned = run([
        program_of("swaks"), "--server", "localhost", "--port", str(login.port("submission")), "--to", login.name,
        "--from", login.name, "--tls",
    ])  # fmt: skip
    assert unsigned.returncode == 23, unsigned.stdout  # MAIL was refused
    assert " 530 5.7.0" in unsigned.stdout


# -- ManageSieve


SCRIPT = 'require ["fileinto"];\r\nif header :contains "subject" "[list]" {\r\n  keep;\r\n}\r\n'


@pytest.mark.peer("sieve-connect")
def test_sieve_connect(site: Site, tmp_path: Path) -> None:
    (tmp_path / "mine.sieve").write_text(SCRIPT)
    login = site.login()
    commands = f"put {tmp_path}/mine.sieve mine\nactivate mine\nlist\nget mine {tmp_path}/back.sieve\nquit\n"
    done = sieve_connect(login, tmp_path, commands)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"mine" ACTIVE' in done.stdout
    assert (tmp_path / "back.sieve").read_text().split() == SCRIPT.split()
    refused = sieve_connect(login.with_secret("password"), tmp_path, "list\nquit\n")
    assert refused.returncode != 0
    assert '"mine"' not in refused.stdout


def test_sievelib(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from sievelib.managesieve import Client, Error

    login = site.login(1)
    monkeypatch.setenv("SSL_CERT_FILE", login.gambeson.ca)  # it trusts what the system trusts
    client = Client("localhost", login.port("sieve"))
    client.connect(login.name, login.secret, starttls=True, authmech="PLAIN")
    assert client.havespace("mine", 1000)
    assert client.putscript("mine", SCRIPT)
    assert client.putscript("ümlaut", SCRIPT)
    client.setactive("mine")
    active, others = client.listscripts()
    assert active == "mine"
    assert "ümlaut" in others
    assert client.getscript("mine").split() == SCRIPT.split()
    assert not client.putscript("broken", 'require ["fileinto"; what')
    client.setactive("")
    client.deletescript("mine")
    client.deletescript("ümlaut")
    client.logout()
    bad = Client("localhost", login.port("sieve"))
    try:
        signed_in = bad.connect(login.name, "password", starttls=True, authmech="PLAIN")
    except Error:
        signed_in = False
    assert not signed_in


# -- openssl s_client, which is a person typing


@pytest.mark.peer("openssl")
@pytest.mark.parametrize(("listener", "starttls"), [("imaps", ""), ("imap", "imap")])
def test_typed_imap(site: Site, listener: str, starttls: str) -> None:
    login = site.login()
    said = s_client(
        login, listener, "a capability", f'b login "{login.name}" {login.secret}', "c select INBOX", "d logout",
        starttls=starttls,
    )  # fmt: skip
    for tag in "abcd":
        assert f"\n{tag} OK" in said.replace("\r", ""), said


@pytest.mark.peer("openssl")
def test_typed_with_a_certificate(site: Site) -> None:
    login = site.with_certificate()
    said = s_client(login, "imaps", "a authenticate external =", "b select INBOX", "c logout")
    assert "\na OK" in said.replace("\r", ""), said
    assert "\nb OK" in said.replace("\r", ""), said


@pytest.mark.peer("openssl")
def test_typed_pop3_and_smtp_and_sieve(site: Site) -> None:
    login = site.login()
    said = s_client(
        login, "pop3", f"USER {login.name}", f"PASS {login.secret}", "STAT", "QUIT", starttls="pop3"
    )
    assert said.count("+OK") >= 4, said
    said = s_client(
        login, "submission", "EHLO typed.example", "MAIL FROM:<x@example.org>", "QUIT", starttls="smtp"
    )
    assert "530 5.7.0" in said, said
    said = s_client(login, "sieve", "CAPABILITY", "LISTSCRIPTS", "LOGOUT", starttls="sieve")
    assert '"SASL" "PLAIN' in said, said
    assert "NO" in said


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_tls_is_refused(site: Site, version: str) -> None:
    login = site.login()
    done = run(
        [
            program_of("openssl"),
            "s_client",
            version,
            "-cipher",
            "ALL:@SECLEVEL=0",
            "-connect",
            f"localhost:{login.port('imaps')}",
        ]
    )
    assert "Cipher is (NONE)" in done.stdout, done.stdout


def test_a_certificate_beside_a_password_or_a_name(site: Site) -> None:
    """The certificate proves the device; the name must be its account's, and a password beside it must be right."""
    login = site.with_certificate()
    password = ("account", "password", login.name, "--password-file", "-")
    site.gambeson.run(*password, stdin="the account's own password\n")
    with mailbox(login.with_secret("the account's own password")) as client:
        assert client.state == "SELECTED"
    client = imap(login)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login(login.name, "whatever")
    client.logout()
    other = site.people[1]
    client = imap(login)
    with pytest.raises(imaplib.IMAP4.error):
        client.login(other, "whatever")
    client.logout()
    with smtp(login) as sending:
        sending.ehlo()
        assert "EXTERNAL" in sending.esmtp_features["auth"].split()
        assert sending.docmd("AUTH", "EXTERNAL =")[0] == 235
        with pytest.raises(smtplib.SMTPSenderRefused):
            sending.sendmail(other, [login.name], message(login.name, other)[0])

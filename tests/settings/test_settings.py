"""Settings: what is read, and the one sentence for everything that cannot be."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.throttle import ThrottleLimits
from gambeson.model.access import DoorKind, Listener
from gambeson.model.server import SignIn, UpstreamTls
from gambeson.settings import Address, Config, SecretRef, SettingsError, load, loads
from gambeson.settings.declare import Declared, declared, nested
from gambeson.settings.document import reference, sample

ROOT = Path(__file__).resolve().parents[2]
BASE = Path("/etc/gambeson")


def read(text: str) -> Config:
    return loads(text, "g.toml", BASE)


def refused(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(text)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


SERVER = '[[server]]\nname = "main"\nimap = "imaps://mail.example.org:993"\n'
LOCAL = '[[server]]\nname = "main"\nimap = "imap+plain://127.0.0.1:1143"\n'


def test_nothing_gives_the_defaults() -> None:
    assert read("") == Config() == load(None)
    assert Config().listen.doors() == {
        Listener.IMAP: (Address("0.0.0.0", 143),),
        Listener.IMAPS: (Address("0.0.0.0", 993),),
        Listener.SUBMISSION: (Address("0.0.0.0", 587),),
        Listener.SUBMISSIONS: (Address("0.0.0.0", 465),),
        Listener.SIEVE: (Address("0.0.0.0", 4190),),
    }


def test_listeners_take_one_several_or_none() -> None:
    config = read('[listen]\nimap = ""\nimaps = ["127.0.0.1:993", "[::1]:993"]\npop3s = "0.0.0.0:995"\n')
    doors = config.listen.doors()
    assert Listener.IMAP not in doors
    assert doors[Listener.IMAPS] == (Address("127.0.0.1", 993), Address("::1", 993))
    assert [str(each) for each in doors[Listener.IMAPS]] == ["127.0.0.1:993", "[::1]:993"]
    assert doors[Listener.POP3S] == (Address("0.0.0.0", 995),)


def test_a_server_becomes_the_models() -> None:
    config = read(
        '[[server]]\nname = "main"\norganisation = "acme"\npriority = 5\n'
        'imap = "imaps://mail.example.org:993"\npop3 = "pop3://mail.example.org:110"\n'
        'submission = "smtp+plain://[::1]:2587"\nsieve = "sieve+unix:/run/sieve.sock"\n'
        'sign_in = "master"\nmaster_login = "door"\nmaster_password = "credential:master"\n'
        f'pin = "{"AB" * 32}"\nserver_name = "Mail.example.org"\nca = "ca.pem"\nproxy_v2 = true\ntrusts_us = true\n'
    )
    (server,) = config.servers
    assert (server.name, server.organisation, server.priority) == ("main", "acme", 5)
    assert (server.sign_in, server.master_login) == (SignIn.MASTER, "door")
    assert config.master_passwords == {"main": SecretRef("credential", "master")}
    assert [(e.door, e.host, e.port, e.unix, e.tls) for e in server.endpoints] == [
        (DoorKind.IMAP, "mail.example.org", 993, "", UpstreamTls.IMPLICIT),
        (DoorKind.POP3, "mail.example.org", 110, "", UpstreamTls.STARTTLS),
        (DoorKind.SUBMISSION, "::1", 2587, "", UpstreamTls.NONE),
        (DoorKind.SIEVE, "", 0, "/run/sieve.sock", UpstreamTls.NONE),
    ]
    for endpoint in server.endpoints:
        assert endpoint.pin == "ab" * 32
        assert endpoint.ca == "/etc/gambeson/ca.pem"
        assert (endpoint.server_name, endpoint.proxy_v2, endpoint.trusts_us) == (
            "mail.example.org",
            True,
            True,
        )


# text -> what the sentence says: line, name, what, what to do
REFUSED = [
    ("[doors]\n\nprocesses = 'many'\n", ["g.toml line 3: doors.processes must be a whole number from 1 to", "many"]),
    ("[doors]\nprocesses = 0\n", ["line 2", "doors.processes", "not 0"]),
    ("[doors]\nprocesses = true\n", ["line 2", "not true"]),
    ("[doors]\nprocesses = 1.5\n", ["not 1.5"]),
    ("[doors]\nprocesses = {a = 1}\n", ["not a table"]),
    ("[doors]\nprocesses = 1979-05-27\n", ["not a date or time"]),
    ("[doors]\nprocesess = 1\n", ["line 2", "doors.procesess is no setting; did you mean doors.processes"]),
    ("[dors]\n", ["line 1", "dors is no setting; did you mean doors"]),
    ("zebra = 1\n", ["zebra is no setting; known here are data, listen"]),
    ("[doors]\nidle_timeout_s = 600\n", ["whole number from 1800"]),
    ("doors = 3\n", ["doors is a section; write [doors]"]),
    ("[server]\nname = 'x'\n", ["server may be there several times; write [[server]]"]),
    ("[listen]\nimap = 'mail.example.org:143'\n", ["listen.imap must be an IP address with a port"]),
    ("[listen]\nimap = '0.0.0.0'\n", ["listen.imap"]),
    ("[listen]\nimap = '0.0.0.0:70000'\n", ["listen.imap"]),
    ("[listen]\nimap = ['127.0.0.1:1', '127.0.0.1:1']\n", ["names the same address twice"]),
    ("[listen]\nimaps = '0.0.0.0:143'\n", ["which listen.imap uses already"]),
    ("[tls]\ncertificate = 'a.pem'\n", ["line 2: tls.certificate is given without tls.key"]),
    ("[tls]\ncertificate = 'a'\nkey = '-----BEGIN PRIVATE KEY-----'\n", ["tls.key must be the path of a file"]),
    ("[tls]\nminimum_version = '1.1'\n", ['"1.2" or "1.3"', '"1.1"']),
    ("[[tls.name]]\nnames = 'a.example'\ncertificate = 'a'\n", ["line 1: tls.name[1].key is missing"]),
    (
        "[[tls.name]]\nnames=['a.example']\ncertificate='a'\nkey='b'\n"
        "[[tls.name]]\nnames=['a.example']\ncertificate='c'\nkey='d'\n",
        ["line 6: tls.name[2].names holds a.example, which another certificate has"],
    ),
    ("[users]\ndoors = 'root'\n", ["users.doors must name a user of its own"]),
    ("[users]\nkeeper = 'gambeson-worker'\n", ["users.keeper is the user of another process too"]),
    ("[doors]\nedge_sockets = '/run/edge'\n", ["without doors.edge_user"]),
    ("[doors]\nproxy_protocol_from = '10.0.0.1/8'\n", ["doors.proxy_protocol_from must be a network"]),
    ("[doors]\nmax_sessions = 100\n", ["doors.max_sessions_per_source is more than doors.max_sessions (100)"]),
    ("[organisation]\nenrolment_url = 'http://x.example'\n", ["https://"]),
    ("[store]\nurl = 'mysql://x/y'\n", ["store.url must start with postgresql://"]),
    ("[snapshot]\nwarn_age_s = 4000\n", ["snapshot.warn_age_s must be less than snapshot.max_age_s (3600)"]),
    ("[keeper]\nkey = 'env:K'\npassphrase = 'env:P'\n", ["line 3: keeper.passphrase is given besides keeper.key"]),
    ("[submission]\nsender_check = 'maybe'\n", ['"off", "envelope" or "both"']),
    ("[ldap]\nurl = 'http://x'\n", ["ldap.url must be ldaps://HOST"]),
    ("[ldap]\nurl = 'ldaps://x'\n", ["needs ldap.base"]),
    ("[ldap]\nurl = 'ldap://x.example'\nstart_tls = false\nbase = 'dc=x'\n", ["line 3: ldap.start_tls is false"]),
    ("[ldap]\nurl = 'ldaps://x'\nbase = 'dc=x'\nfilter = '(mail=*)'\n", ["so it would find anybody"]),
    ("[ldap]\nurl = 'ldaps://x'\nbase = 'dc=x'\nfilter = '(mail={address}'\n", ["balanced parentheses"]),
    ("[ldap]\nurl = 'ldaps://x'\nbase = 'dc=x'\nbind_dn = 'cn=x'\n", ["without ldap.bind_password"]),
    ("[ldap]\nbase = 'dc=x'\n", ["given without ldap.url"]),
    ("[ldap]\nurl = ['ldaps://x', 'ldapi:///run']\nbase = 'dc=x'\n", ["ldap.url must be ldaps://HOST"]),
    (
        "[doors]\nprocesses = 2\n[ldap]\nurl = ['ldapi://%2Frun%2Fldapi', 'ldaps://x']\nbase = 'dc=x'\n",
        ["doors.processes is more than 1", "leave it at 1"],
    ),
    (
        "[doors]\nprocesses = 2\n[portal]\nhost = 'login.x'\n[[site]]\nname = 'a'\nproduct = 'exchange'\n"
        "hosts = ['mail.x']\nsign_in = 'basic'\naddress = 'https://ex.x'\n",
        ["line 2: doors.processes is more than 1", 'sign_in = "basic"', "leave it at 1"],
    ),
    (
        "[portal]\nhost = 'login.x'\n[ldap]\nurl = 'ldaps://x'\nbase = 'dc=x'\nlockout_threshold = 3\n",
        ["line 6: ldap.lockout_threshold is 3, but doors and portal share", "after 4 or more"],
    ),
    ("[throttle]\nunknown_daily_limit = 101\n", ["from 1 to 100"]),
    # servers
    ('[[server]]\nimap = "imaps://h:1"\n', ["line 1: server[1].name is missing"]),
    ('[[server]]\nname = "main"\n', ["server[1].name belongs to a server without an address"]),
    (SERVER + SERVER, ["line 5: server[2].name is 'main', which another server has"]),
    ('[[server]]\nname = "a"\nimap = "smtp://h:1"\n', ["server[1].imap must be an address such as"]),
    ('[[server]]\nname = "a"\nimap = "imaps://h:0"\n', ["server[1].imap"]),
    ('[[server]]\nname = "a"\nsieve = "sieves://h:1"\n', ["server[1].sieve must be", "sieve://HOST:PORT"]),
    ('[[server]]\nname = "a"\nimap = "imap+unix:run/x"\n', ["by its whole path"]),
    (f'[[server]]\nname = "a"\nimap = "imap+unix:/{"x" * 107}"\n', ["at most 107 octets"]),
    (SERVER + 'pin = "abcd"\n', ["server[1].pin must be the SHA-256"]),
    (LOCAL + f'pin = "{"ab" * 32}"\n', ["server[1].pin checks a certificate, but no address"]),
    (LOCAL + 'ca = "x.pem"\n', ["server[1].ca checks a certificate"]),
    (SERVER + 'sign_in = "guess"\n', ['"master", "token", "sealed" or "as-is"']),
    (SERVER + 'sign_in = "master"\nmaster_password = "env:M"\n', ["needs master_login"]),
    (SERVER + 'sign_in = "master"\nmaster_login = "m"\n', ["line 4", "needs master_password"]),
    (SERVER + 'sign_in = "sealed"\nmaster_login = "m"\n', ["line 5: server[1].master_login belongs to"]),
    (SERVER + 'audience = ""\n', ["server[1].audience is empty"]),
    ('[[server]]\nname="a"\nimap = "imap+plain://10.0.0.1:143"\n', ["without TLS", "never may"]),
    (
        '[[server]]\nname="a"\nimap = "imap+plain://10.0.0.1:143"\nplaintext_exception = "lab"\n',
        ['sign_in = "token" never may'],
    ),
    (
        '[[server]]\nname="a"\nimap = "imap+plain://10.0.0.1:143"\nsign_in = "sealed"\n',
        ["or say why not in plaintext_exception"],
    ),
    ('[[server]]\nname="a"\nimap = "imap+plain://127.0.0.1:143"\n', ["leads back to our own door (listen.imap)"]),
    ("[doors\n", ["this is not TOML", "line 1"]),
    ("[doors]\n[doors]\n", ["this is not TOML"]),
    ("a = " + "[" * 5000, ["this is not TOML"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_what_cannot_be_is_one_sentence(text: str, words: list[str]) -> None:
    sentence = refused(text)
    assert sentence.startswith("g.toml")
    for word in words:
        assert word in sentence


def test_a_written_exception_lets_a_sealed_password_pass_without_tls() -> None:
    config = read(
        '[[server]]\nname="a"\nimap = "imap+plain://10.0.0.1:143"\nsign_in = "sealed"\n'
        'plaintext_exception = "a wire of our own"\n'
    )
    assert config.servers[0].endpoints[0].tls is UpstreamTls.NONE


@pytest.mark.parametrize("secret", ["hunter2", "file:", "env:", "env:A B", "credential:../x", "pass:word"])
@pytest.mark.parametrize("name", ["[keeper]\nkey", "[ldap]\nbind_password", SERVER + "master_password"])
def test_a_literal_secret_is_an_error_that_does_not_repeat_it(name: str, secret: str) -> None:
    sentence = refused(f'{name} = "{secret}"\n')
    assert "never the secret itself" in sentence
    assert f'"{secret}"' not in sentence


def test_a_secret_written_as_a_number_is_not_repeated() -> None:
    assert "4711" not in refused("[keeper]\nkey = 4711\n")


@pytest.mark.parametrize("url", ["postgresql://u:geheim@h/d", "postgresql://h/d?password=geheim"])
def test_a_password_in_the_database_address_is_refused(url: str) -> None:
    sentence = refused(f'[store]\nurl = "{url}"\n')
    assert "holds a password" in sentence
    assert "geheim" not in sentence


def test_the_throttles_defaults_are_those_that_were_proven() -> None:
    throttle, proven = Config().throttle, ThrottleLimits()
    assert throttle.account_source_limit == proven.account_source_per_hour
    assert throttle.source_limit == proven.source_per_hour
    assert throttle.known_source_limit == proven.known_source_per_hour
    assert throttle.credential_limit == proven.credential_per_hour
    assert throttle.unknown_daily_limit == proven.account_per_day


class TestSecrets:
    def test_file(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        path.write_bytes(b"geheim\r\n")
        path.chmod(0o600)
        assert SecretRef.parse("file:s", tmp_path).read() == b"geheim"

    def test_environment(self) -> None:
        assert SecretRef("env", "S").read({"S": "geheim"}) == b"geheim"

    def test_credential(self, tmp_path: Path) -> None:
        (tmp_path / "master").write_bytes(b"geheim")
        (tmp_path / "master").chmod(0o400)
        assert SecretRef("credential", "master").read({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == b"geheim"

    @pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o666])
    def test_a_file_that_others_may_read_is_refused(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "s"
        path.write_bytes(b"geheim")
        path.chmod(mode)
        with pytest.raises(SettingsError, match="chmod 0600"):
            SecretRef("file", str(path)).read()

    @pytest.mark.parametrize(
        ("reference", "words"),
        [
            (SecretRef("env", "S"), "is not set"),
            (SecretRef("credential", "S"), "CREDENTIALS_DIRECTORY"),
            (SecretRef("file", "/nowhere/s"), "cannot be read"),
            (SecretRef("file", "/dev/zero"), "is no file"),
        ],
    )
    def test_what_cannot_be_read(self, reference: SecretRef, words: str) -> None:
        with pytest.raises(SettingsError, match=words):
            reference.read({})

    def test_empty_and_too_large(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        for content, words in [(b"\n", "empty"), (b"x" * 70000, "larger")]:
            path.write_bytes(content)
            path.chmod(0o600)
            with pytest.raises(SettingsError, match=words):
                SecretRef("file", str(path)).read()


class TestFiles:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="cannot be read") as caught:
            load(tmp_path / "none.toml")
        assert caught.value.unreadable

    def test_not_utf8_names_the_line(self, tmp_path: Path) -> None:
        path = tmp_path / "g.toml"
        path.write_bytes(b"# one\n# two\n# \xff\n")
        with pytest.raises(SettingsError, match="line 3: this is not UTF-8"):
            load(path)

    def test_too_large(self, tmp_path: Path) -> None:
        path = tmp_path / "g.toml"
        path.write_bytes(b"#" * (1 << 21))
        with pytest.raises(SettingsError, match="larger"):
            load(path)

    def test_relative_paths_start_at_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "g.toml"
        path.write_text('[tls]\ncertificate = "a.pem"\nkey = "/k.pem"\n')
        assert load(path).tls.certificate == str(tmp_path / "a.pem")
        assert load(path).tls.key == "/k.pem"


class TestLines:
    def test_not_fooled_by_strings_and_arrays(self) -> None:
        text = (
            'data = """\n[doors]\nprocesses = 1\n"""\n[organisation]\nenrolment_url = ""\n[listen]\nimap = [\n'
            '  "127.0.0.1:1", # [doors]\n]\n[doors]\nprocesses = "x"\n'
        )
        assert "g.toml line 12: doors.processes" in refused(text)

    @pytest.mark.parametrize(
        "text", ['doors.processes = "x"\n', 'doors = {processes = "x"}\n', '"doors"."processes" = ""\n']
    )
    def test_other_spellings(self, text: str) -> None:
        assert "g.toml line 1: doors.processes" in refused(text)


class TestNotices:
    def test_off_by_default_and_one_way_on(self) -> None:
        assert Config().notices.endpoint is None
        notices = read(
            '[notices]\nlmtp = "lmtp+unix:/run/lmtp"\n'
            'admins = ["IT@Example.org", "it@example.org"]\nfrom = "it@example.org"\n'
        ).notices
        assert notices.endpoint is not None
        assert (notices.endpoint.unix, notices.from_, notices.admins) == (
            "/run/lmtp",
            "it@example.org",
            ("it@example.org",),
        )

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('smtp = "smtp+plain://192.0.2.1:25"', "without TLS"),
            ('smtp = "smtp://h:25"\nlmtp = "lmtp://h:24"', "remove one"),
            ('lmtp = "lmtps://h:24"', "must be"),
            ('smtp = "mail.example.org"', "must be"),
            ('admins = ["nobody"]', "mail address"),
            ('from = "a@b.example\\r\\nBcc: x@y.example"', "mail address"),
            ("from = 3", "mail address"),
        ],
    )
    def test_refused(self, text: str, words: str) -> None:
        assert words in refused(f"[notices]\n{text}\n")

    def test_they_never_lead_to_our_own_door(self) -> None:
        assert "our own door" in refused('[notices]\nsmtp = "smtp+plain://127.0.0.1:587"\n')


class TestDocuments:
    def test_are_current(self) -> None:
        assert (ROOT / "docs/reference/settings.md").read_text() == reference(), "run ./dev docs"
        assert (ROOT / "examples/gambeson.toml").read_text() == sample(), "run ./dev docs"

    def test_the_sample_changes_nothing(self) -> None:
        assert read(sample()) == Config()

    def test_the_sample_with_everything_switched_on_is_good(self) -> None:
        switched = [
            line[1:] if line.startswith("#") and not line.startswith("# ") else line
            for line in sample().splitlines()
        ]
        text = "\n".join(switched)
        config = read(text)
        assert config.servers[0].name == "main"
        assert config.tls.name
        # every declared setting is there
        count = sum(1 for line in switched if " = " in line and not line.startswith("#"))
        assert count == sum(1 for _ in _all(Config))

    def test_every_setting_says_what_and_why(self) -> None:
        for name, about in _all(Config):
            assert about.doc.endswith("."), name
            assert about.reason.endswith("."), name


def _all(of: type) -> Iterator[tuple[str, Declared]]:
    for field, about in declared(of):
        yield f"{of.__name__}.{field.name}", about
    for _, inner, _ in nested(of):
        yield from _all(inner)


VALUES = st.recursive(
    st.booleans() | st.integers(-10, 10**12) | st.text(max_size=30) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NAMES = sorted(
    {name.split(".")[1].rstrip("_") for name, _ in _all(Config)}
    | {"listen", "doors", "server", "tls", "ldap"}
)


@given(
    st.dictionaries(
        st.sampled_from(NAMES), VALUES | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)
    )
)
def test_any_table_is_read_or_refused_in_a_sentence(data: dict[str, object]) -> None:
    from gambeson.settings.load import _Reader

    try:
        _Reader("", "g.toml", BASE).table(Config, data, ())
    except SettingsError:
        return


@given(st.text(max_size=200) | st.text("[]=\"'#{}.\n ab1", max_size=200))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    try:
        tomllib.loads(text)
        known = True
    except tomllib.TOMLDecodeError:
        known = False
    try:
        read(text)
    except SettingsError:
        return
    assert known


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ('imap = "imaps://h"', "h", 993),
        ('imap = "imap://h.example"', "h.example", 143),
        ('imap = "imaps://[2001:db8::1]"', "2001:db8::1", 993),
        ('pop3 = "pop3s://h"', "h", 995),
        ('submission = "smtps://h"', "h", 465),
        ('submission = "smtp://h"', "h", 587),
        ('sieve = "sieve://h"', "h", 4190),
    ],
)
def test_an_address_without_a_port_means_the_usual_one(written: str, host: str, port: int) -> None:
    config = loads(f'[[server]]\nname = "a"\n{written}\n', "x.toml", Path("/"))
    assert [(e.host, e.port) for e in config.servers[0].endpoints] == [(host, port)]

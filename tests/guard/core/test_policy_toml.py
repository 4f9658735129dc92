"""The policy file: what is taken, and where each fault is found."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambeson.guard.core.policy_format import format_policy
from gambeson.guard.core.policy_toml import PolicyError, lint, parse_policy
from gambeson.guard.data import default_policy_text
from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.asset import DeviceKind, DeviceState
from gambeson.model.decision import Opinion
from gambeson.model.rule import ModeEntry, Network, Policy, PolicyException, PolicyRule

WHOLE = """\
# Everything that can be written.
[floors]
imap = "device-key"
pop3 = "device-secret"

[[network]]
name = "office"
cidrs = ["192.0.2.0/24", "2001:db8::/48"]
floors = { sieve = "device-key" }

[[exception]]
name = "scanner-3rd-floor"
door = "submission"
rung = "knowledge"
owner = "Facility <facility@example.org>"
reason = "it cannot hold a secret; \\"replaced\\" in spring"
until = 2027-03-31
accounts = ["Scanner@Example.org"]
groups = ["machines"]
networks = ["office"]

[[mode]]
door = "imap"
mode = "observe"
until = 2027-02-01T06:00:00Z
group = "sales"

[[mode]]
door = "imap"
mode = "enforce"
account = "boss@example.org"

[[rule]]
name = "night"
opinion = "challenge"
sentence = "Nachts nur mit Gerät."
doors = ["imap", "pop3"]
accounts = ["alice@example.org"]
groups = ["interns"]
networks = ["office"]
outside = false
countries = ["de", "FR"]
device_states = ["registered"]
device_kinds = ["personal"]
rung_at_least = "device-secret"
hours = ["20:00", "06:00"]
weekdays = ["mon", "Sun"]
risk_at_least = 40
"""


def test_everything_that_can_be_written():
    policy = parse_policy(WHOLE, "o")
    assert policy == Policy(
        "o",
        floors=((DoorKind.IMAP, Rung.DEVICE_KEY), (DoorKind.POP3, Rung.DEVICE_SECRET)),
        networks=(
            Network("office", ("192.0.2.0/24", "2001:db8::/48"), ((DoorKind.SIEVE, Rung.DEVICE_KEY),)),
        ),
        exceptions=(
            PolicyException(
                "scanner-3rd-floor",
                DoorKind.SUBMISSION,
                Rung.KNOWLEDGE,
                "Facility <facility@example.org>",
                'it cannot hold a secret; "replaced" in spring',
                1806537600.0,
                ("scanner@example.org",),
                ("machines",),
                ("office",),
                line=11,
            ),
        ),
        modes=(
            ModeEntry(DoorKind.IMAP, Mode.OBSERVE, 1801461600.0, group="sales"),
            ModeEntry(DoorKind.IMAP, Mode.ENFORCE, 0.0, account="boss@example.org"),
        ),
        rules=(
            PolicyRule(
                "night",
                Opinion.CHALLENGE,
                "Nachts nur mit Gerät.",
                (DoorKind.IMAP, DoorKind.POP3),
                ("alice@example.org",),
                ("interns",),
                ("office",),
                False,
                ("DE", "FR"),
                (DeviceState.REGISTERED,),
                (DeviceKind.PERSONAL,),
                Rung.DEVICE_SECRET,
                ("20:00", "06:00"),
                (0, 6),
                40,
                line=33,
            ),
        ),
    )
    # What no door can fill without a country table is said, and is no error.
    assert [(p.line, p.error) for p in lint(WHOLE)] == [(42, False)]
    assert lint(WHOLE, country_table=True) == ()


def test_the_default_policy_is_clean():
    assert lint(default_policy_text()) == ()
    assert [r.name for r in parse_policy(default_policy_text(), "o").rules] == [
        "registered-devices",
        "people-at-a-browser",
    ]


def test_nothing_is_a_policy_that_lets_nobody_in():
    assert parse_policy("", "o") == Policy("o")


R = '[[rule]]\nname = "r"\nopinion = "deny"\n'
X = (
    '[[exception]]\nname = "x"\ndoor = "imap"\nrung = "knowledge"\nowner = "o"\nreason = "r"\n'
    'until = 2027-01-31\ngroups = ["g"]\n'
)
N = '[[network]]\nname = "n"\ncidrs = ["192.0.2.0/24"]\n'

FAULTS = [
    # text                                          line, column, what the sentence says
    ("[[rule]\n", 1, 7, "no TOML"),
    ("a = \n", 1, 5, "no TOML"),
    ('[[rule]]\nname = "a\n', 2, 10, "no TOML"),
    ("a = 1\na = 2\n", 2, 6, "no TOML"),
    ("x = 1\n", 1, 1, "'x' is not known here"),
    ("[rule]\nname = 'a'\n", 1, 1, "two brackets"),
    ("rule = 3\n", 1, 1, "two brackets"),
    ("floors = 3\n", 1, 1, "[floors]"),
    (R + 'colour = "red"\n', 4, 1, "'colour' is not known"),
    (R + '  colour = "red"\n', 4, 3, "'colour' is not known"),
    ('[[rule]]\nopinion = "deny"\n', 1, 1, "needs 'name'"),
    ('[[rule]]\nname = "r"\n', 1, 1, "needs 'opinion'"),
    ('[[rule]]\nname = "Two words"\nopinion = "deny"\n', 2, 1, "no name"),
    ('[[rule]]\nname = "r"\nopinion = "maybe"\n', 3, 1, "'maybe' is no opinion"),
    (R + 'doors = ["imap", "ftp"]\n', 4, 1, "'ftp' is not known in doors"),
    (R + 'doors = "imap"\n', 4, 1, "must be a list"),
    (R + "doors = []\n", 4, 1, "must be a list"),
    (R + "doors = [3]\n", 4, 1, "not a word"),
    (R + 'accounts = ["alice"]\n', 4, 1, "not an address"),
    (R + 'networks = ["home"]\n', 4, 1, "no declared network"),
    (R + 'outside = "yes"\n', 4, 1, "true or false"),
    (R + 'countries = ["Germany"]\n', 4, 1, "no country code"),
    (R + 'device_states = ["stolen"]\n', 4, 1, "'stolen' is not known"),
    (R + 'rung_at_least = "strong"\n', 4, 1, "is no rung"),
    (R + 'hours = ["8:00", "18:00"]\n', 4, 1, "no time of day"),
    (R + 'hours = ["08:00"]\n', 4, 1, "two different times"),
    (R + 'hours = ["08:00", "08:00"]\n', 4, 1, "two different times"),
    (R + 'hours = ["08:00", "24:00"]\n', 4, 1, "no time of day"),
    (R + 'weekdays = ["someday"]\n', 4, 1, "is no day"),
    (R + "risk_at_least = 101\n", 4, 1, "from 0 to 100"),
    (R + "risk_at_least = true\n", 4, 1, "from 0 to 100"),
    (R + 'sentence = "a\\nb"\n', 4, 1, "one line of text"),
    (R + 'sentence = ""\n', 4, 1, "one line of text"),
    (N + R + 'outside = true\nnetworks = ["n"]\n', 7, 1, "drop one"),
    (R + R, 5, 1, "two of [[rule]]"),
    (N + N, 5, 1, "two of [[network]]"),
    (X + X, 10, 1, "two of [[exception]]"),
    ('[[network]]\nname = "n"\n', 1, 1, "at least one address range"),
    ('[[network]]\nname = "n"\ncidrs = ["192.0.2.1/24"]\n', 3, 1, "host bits"),
    ('[[network]]\nname = "n"\ncidrs = ["300.0.0.0/8"]\n', 3, 1, "300.0.0.0/8"),
    (N + 'floors = { imap = "knowledge" }\n', 4, 1, "only be raised"),
    (N + "floors = 3\n", 4, 1, "must be a table"),
    ('[floors]\nimap = "knowledge"\n', 2, 1, "only be raised"),
    ('[floors]\nwebmail = "device-secret"\n', 2, 1, "only be raised"),
    ('[floors]\nftp = "device-key"\n', 2, 1, "is no floor"),
    ('[floors]\nimap = "high"\n', 2, 1, "is no floor"),
    (X.replace("knowledge", "nothing"), 4, 1, "at the lowest"),
    (X.replace('owner = "o"\n', ""), 1, 1, "needs 'owner'"),
    (X.replace('"o"', '" "'), 5, 1, "one line of text"),
    (X.replace('reason = "r"\n', ""), 1, 1, "needs 'reason'"),
    (X.replace("until = 2027-01-31\n", ""), 1, 1, "needs 'until'"),
    (X.replace("2027-01-31", '"2027-01-31"'), 7, 1, "without quotes"),
    (X.replace("2027-01-31", "2027-01-31T10:00:00"), 7, 1, "without quotes"),
    (X.replace("2027-01-31", "9999-12-31"), 7, 1, "must be a date"),
    ('[[mode]]\ndoor = "imap"\nmode = "observe"\n', 1, 1, "needs 'until'"),
    ('[[mode]]\ndoor = "imap"\nmode = "off"\n', 3, 1, "is no mode"),
    ('[[mode]]\nmode = "enforce"\n', 1, 1, "needs 'door'"),
    (
        '[[mode]]\ndoor = "imap"\nmode = "enforce"\ngroup = "g"\naccount = "a@b.org"\n',
        4,
        1,
        "two entries",
    ),
    (R + '[[rule]]\nname = "s"\nopinion = "allow"\ndoors = ["imap"]\n', 5, 1, "never asked"),
]


@pytest.mark.parametrize(("text", "line", "column", "says"), FAULTS)
def test_faults_are_found_where_they_are(text, line, column, says):
    with pytest.raises(PolicyError) as error:
        parse_policy(text, "o")
    assert says in error.value.text
    assert (error.value.line, error.value.column) == (line, column)
    assert "\n" not in error.value.text
    assert any(p.error for p in lint(text))


UNREACHABLE = [
    # an earlier rule, a later one, whether the later is never asked
    ("", 'doors = ["imap"]', True),
    ('doors = ["imap", "pop3"]', 'doors = ["pop3"]', True),
    ('doors = ["imap"]', 'doors = ["pop3"]', False),
    ('doors = ["imap"]', "", False),
    ('groups = ["a"]', 'groups = ["a"]\nrisk_at_least = 3', True),
    ('groups = ["a"]', 'groups = ["a", "b"]', False),
    ('groups = ["a"]', 'accounts = ["x@y.org"]', False),
    ('accounts = ["x@y.org"]\ngroups = ["a"]', 'accounts = ["x@y.org"]', True),
    ('rung_at_least = "device-secret"', 'rung_at_least = "device-key"', True),
    ('rung_at_least = "device-key"', 'rung_at_least = "device-secret"', False),
    ('rung_at_least = "nothing"', "", True),
    ("risk_at_least = 0", "", True),
    ("risk_at_least = 50", "risk_at_least = 80", True),
    ("outside = true", "outside = true", True),
    ("outside = true", "outside = false", False),
    ('hours = ["08:00", "09:00"]', 'hours = ["08:00", "09:00"]\nweekdays = ["mon"]', True),
    ('weekdays = ["mon"]', 'hours = ["08:00", "09:00"]', False),
    ('device_states = ["registered"]', 'device_kinds = ["machine"]', False),
]


@pytest.mark.parametrize(("earlier", "later", "never"), UNREACHABLE)
def test_rules_that_are_never_asked(earlier, later, never):
    text = f'[[rule]]\nname="a"\nopinion="deny"\n{earlier}\n[[rule]]\nname="b"\nopinion="allow"\n{later}\n'
    assert any("never asked" in p.text for p in lint(text)) is never


WARNINGS = [
    (X.replace('groups = ["g"]\n', ""), "for everybody from everywhere"),
    (X.replace("2027-01-31", "2026-01-31"), "has ended"),
    (X.replace("2027-01-31", "2030-01-31"), "more than a year"),
    (X.replace("knowledge", "device-key"), "no effect"),
    ('[[mode]]\ndoor="imap"\nmode="warn"\nuntil=2026-01-01\n', "enforce has taken over"),
    (R + 'doors = ["imap", "imap"]\n', "stands twice"),
    (R + 'countries = ["DE"]\n', "without doors.country_table no country is known"),
    (R + "risk_at_least = 70\n", "this rule never holds"),
]


@pytest.mark.parametrize(("text", "says"), WARNINGS)
def test_warnings_are_no_errors(text, says):
    (problem,) = lint(text, "o", now=1_800_000_000.0)
    assert says in problem.text
    assert not problem.error
    parse_policy(text, "o")


@pytest.mark.parametrize("condition", ['countries = ["DE"]', "risk_at_least = 70", "risk_at_least = 36"])
def test_with_a_country_table_nothing_is_said_of_countries_and_risks(condition):
    assert lint(R + condition + "\n", country_table=True) == ()
    assert len(lint(R + condition + "\n")) == 1


def test_a_risk_that_needs_no_country_is_no_warning():
    assert lint(R + "risk_at_least = 35\n") == ()


def test_all_faults_are_listed_in_the_order_of_the_file():
    problems = lint(
        '[[rule]]\nname = "A B"\nopinion = "x"\nfoo = 1\n[[mode]]\ndoor = "ftp"\nmode = "observe"\n'
    )
    assert [p.line for p in problems] == sorted(p.line for p in problems)
    assert len(problems) == 5


def test_headers_in_long_strings_are_no_headers():
    text = '[[rule]]\nname = "r"\nopinion = "deny"\nsentence = """\n[[rule]]\ncolour = 1\n"""\ncolour = 2\n'
    lines = [(p.line, p.text[:8]) for p in lint(text)]
    assert (8, "'colour'") in lines


def test_too_long_and_too_deep():
    with pytest.raises(PolicyError, match="longer"):
        parse_policy("#" * 300_000, "o")
    with pytest.raises(PolicyError):
        parse_policy("a = " + "[" * 100_000, "o")
    with pytest.raises(PolicyError, match="more than 500"):
        parse_policy(
            "".join(f'[[rule]]\nname = "r{i}"\nopinion = "deny"\ngroups = ["g{i}"]\n' for i in range(501)),
            "o",
        )


PIECES = st.sampled_from(
    [
        "[[rule]]\n",
        "[[mode]]\n",
        "[[exception]]\n",
        "[[network]]\n",
        "[floors]\n",
        'name = "a"\n',
        "name = 3\n",
        'opinion = "deny"\n',
        'door = "imap"\n',
        "until = 2027-01-01\n",
        "hours = [1, 2]\n",
        '"""',
        "'''",
        "\n",
        'cidrs = ["10.0.0.0/8"]\n',
        "floors = { imap = 3 }\n",
        'imap = "device-key"\n',
        "a.b = 1\n",
        "= = [[",
        "1979-05-27\n",
        "x = 99999999999999999999999\n",
        "until = 0001-01-01T00:00:00+23:59\n",
        "[a.b.c]\n",
    ]
)


@settings(max_examples=300)
@given(st.lists(PIECES | st.text(max_size=6), max_size=14).map("".join))
def test_any_text_is_a_policy_or_one_declared_error(text):
    try:
        policy = parse_policy(text, "o")
    except PolicyError as error:
        assert (error.line, error.column) >= (1, 1) and error.text  # noqa: PT017, PT018 - one of two outcomes
        return
    assert bare(parse_policy(format_policy(policy), "o")) == bare(policy)


# --- written and read back

names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,12}", fullmatch=True)
words = st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1, max_size=20).filter(
    str.isprintable
)
addresses = st.builds("{}@example.org".format, st.from_regex(r"[a-z]{1,8}", fullmatch=True))
times = st.integers(1, 4_000_000_000).map(float)


def several(strategy):
    return st.lists(strategy, unique=True, max_size=3).map(tuple)


def of(kind):
    return several(st.sampled_from(kind))


rungs = st.sampled_from([Rung.DEVICE_KEY])
networks = st.builds(
    Network,
    names,
    st.just(("192.0.2.0/24", "2001:db8::/32")),
    st.sampled_from([(), ((DoorKind.IMAP, Rung.DEVICE_KEY), (DoorKind.OWA, Rung.DEVICE_KEY))]),
)
exceptions = st.builds(
    PolicyException,
    names,
    st.sampled_from(DoorKind),
    st.sampled_from([r for r in Rung if r >= Rung.KNOWLEDGE]),
    words,
    words,
    times,
    several(addresses),
    several(words),
)
modes = st.builds(ModeEntry, st.sampled_from(DoorKind), st.sampled_from(Mode), times, words) | st.builds(
    ModeEntry, st.sampled_from(DoorKind), st.sampled_from(Mode), times, account=addresses
)
rules = st.builds(
    PolicyRule,
    names,
    st.sampled_from(Opinion),
    st.just("") | words,
    of(DoorKind),
    several(addresses),
    several(words),
    st.just(()),
    st.none() | st.booleans(),
    st.sampled_from([(), ("DE", "FR")]),
    of(DeviceState),
    of(DeviceKind),
    st.none() | st.sampled_from(Rung),
    st.sampled_from([None, ("08:00", "18:30"), ("22:00", "06:00")]),
    several(st.integers(0, 6)),
    st.none() | st.integers(0, 100),
)


def by_name(items):
    return tuple({i.name: i for i in items}.values())


policies = st.builds(
    lambda n, e, m, r: Policy("o", rules=r, networks=by_name(n), exceptions=by_name(e), modes=tuple(m)),
    st.lists(networks, max_size=2),
    st.lists(exceptions, max_size=2),
    st.lists(modes, max_size=2),
    st.just(()) | rules.map(lambda r: (r,)),
)


def bare(policy):
    """Without line numbers, which are the file's and not the policy's."""
    return replace(
        policy,
        rules=tuple(replace(r, line=0) for r in policy.rules),
        exceptions=tuple(replace(e, line=0) for e in policy.exceptions),
    )


@settings(max_examples=200)
@given(policies)
def test_a_policy_written_out_reads_back_the_same(policy):
    assert bare(parse_policy(format_policy(policy), "o")) == policy


def test_the_whole_reads_back():
    policy = parse_policy(WHOLE, "o")
    assert bare(parse_policy(format_policy(policy), "o")) == bare(policy)


def test_the_examples_of_the_document_are_good_policies():
    """Each complete example stands in a block of its own and is read without error or warning."""
    text = (Path(__file__).parents[3] / "docs" / "policy.md").read_text()
    examples = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 2
    for example in examples:
        assert lint(example, country_table=True) == ()

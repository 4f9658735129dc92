"""Three plain sentences: what was looked at, where it stands, what to do first; and what could not be looked at."""

from __future__ import annotations

import pytest

from assess.weak_domain import NAMES, judged, weak
from gambeson.assess.core.check import Check, Light, Outcome, Text
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol
from gambeson.assess.core.evaluate import Line, evaluate
from gambeson.assess.core.facts import Facts, Host
from gambeson.assess.core.report import Report, report
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.model.finding import Severity

BARE = Facts("example.org", 0.0, probed=True, hosts=(Host("mail.example.org", ("mx",), ("192.0.2.1",)),))
RED, AMBER, GREEN = (
    Text(Light.RED, Severity.HIGH, "The door stands open.", "Close it."),
    Text(Light.AMBER, Severity.LOW, "A hinge creaks.", "Oil it."),
    Text(Light.GREEN, Severity.INFO, "All is well."),
)
UNKNOWN = Unknown(Cause.TIMEOUT, "no answer in 3 s")


def line(text: Text, asset: str = "a", several: int = 1, **values: str) -> Line:
    outcomes = [Outcome("x", f"{asset}{n or ''}", values) for n in range(several)]
    check = Check("ID", "name", "Title", "Why?", "access", {"x": text}, run=lambda facts: outcomes)
    (found,) = evaluate(BARE, [check])
    return found


def unknown(cause: Cause = Cause.TIMEOUT) -> Line:
    outcomes = [Outcome("unknown", "a", unknown=Unknown(cause, "so it was"))]
    (found,) = evaluate(
        BARE, [Check("ID", "name", "Title", "Why?", "access", {}, run=lambda facts: outcomes)]
    )
    return found


def stands(red: int = 0, amber: int = 0, lost: int = 0, facts: Facts = BARE) -> str:
    lines = [*[line(RED)] * red, *[line(AMBER)] * amber, *[unknown()] * lost, line(GREEN)]
    return report(facts, lines).sentences[1]


@pytest.mark.parametrize(
    ("red", "amber", "lost", "sentence"),
    [
        (1, 0, 0, "One thing must be put right; the worst: the door stands open."),
        (2, 0, 0, "2 things must be put right; the worst: the door stands open."),
        (2, 1, 0, "2 things must be put right and one should be improved; the worst: the door stands open."),
        (
            1,
            2,
            3,
            "One thing must be put right, 2 should be improved and 3 could not be found out; the worst: the door "
            "stands open.",
        ),
        (0, 1, 0, "Nothing stands wide open; one thing should be improved."),
        (0, 3, 1, "Nothing stands wide open; 3 things should be improved and one could not be found out."),
        (0, 0, 0, "Everything that could be seen from outside is in order."),
        (
            0,
            0,
            1,
            "Everything that could be seen from outside is in order; one thing could not be found out.",
        ),
        (0, 0, 2, "Everything that could be seen from outside is in order; 2 things could not be found out."),
    ],
)
def test_things_are_counted_as_people_count(red: int, amber: int, lost: int, sentence: str) -> None:
    assert stands(red, amber, lost) == sentence


def test_good_names_say_nothing_of_doors() -> None:
    assert stands(facts=Facts("example.org", 0.0)) == (
        "What its names say is in order, and its doors nobody has looked at."
    )


@pytest.mark.parametrize(
    ("sentence", "asset", "after"),
    [
        ("The key of {asset} is short.", "mail.example.org", "the key of mail.example.org is short."),
        ("{asset} is open.", "mail.example.org", "mail.example.org is open."),
        ("{asset} is old.", "Roundcube", "Roundcube is old."),
        ("DMARC is missing.", "a", "DMARC is missing."),
        ("Exchange's page answers.", "a", "Exchange's page answers."),
        ("Exchange answers.", "a", "Exchange answers."),
        ("A key is short.", "a", "a key is short."),
        ("", "a", ""),
    ],
)
def test_names_and_abbreviations_keep_their_letters(sentence: str, asset: str, after: str) -> None:
    red = line(Text(Light.RED, Severity.HIGH, sentence, "Do."), asset)
    assert report(BARE, [red]).sentences[1] == f"One thing must be put right; the worst: {after}"


def test_of_several_the_sentence_for_several_is_said() -> None:
    text = Text(Light.RED, Severity.HIGH, "The one {asset}.", "Close {asset}.", "All of {assets} are open.")
    assert report(BARE, [line(text, several=2)]).sentences[1].endswith("the worst: all of a and a1 are open.")


def test_the_first_step_is_that_of_the_worst() -> None:
    lines = [line(RED), line(AMBER)]
    assert report(BARE, lines).sentences[2] == "Do this first: close it."
    assert report(BARE, lines[1:]).sentences[2] == "Do this first: oil it."
    assert report(BARE, [line(GREEN)]).sentences[2].startswith("There is nothing to do from this side")


def test_what_was_looked_at() -> None:
    closed = DoorFacts("m", "192.0.2.1", 25, Protocol.SMTP, PortState.CLOSED)
    lost = DoorFacts("m", "192.0.2.1", 143, Protocol.IMAP, PortState.UNKNOWN, UNKNOWN)
    opened = DoorFacts("m", "192.0.2.1", 993, Protocol.IMAPS, PortState.OPEN)
    twice = DoorFacts("n", "192.0.2.1", 993, Protocol.IMAPS, PortState.OPEN)

    def said(*doors: DoorFacts, hosts: tuple[Host, ...] = BARE.hosts, probed: bool = True) -> str:
        return report(Facts("example.org", 0.0, probed=probed, hosts=hosts, doors=doors), []).sentences[0]

    assert said(closed, lost) == (
        "For example.org we looked from outside at one host name (mail.example.org) and found no door open to the "
        "internet."
    )
    assert said(closed, lost, opened, twice).endswith("and found one door open to the internet.")
    assert said(probed=False).endswith("(mail.example.org); no door was knocked at.")
    assert said(hosts=()).startswith("For example.org no mail host with an address was found")


def test_what_stood_in_our_own_way_is_missing_and_no_other() -> None:
    facts = Facts(
        "example.org",
        0.0,
        probed=True,
        unfinished=("mail:25",),
        hosts=(Host("mail", ("mx",), (), (("10.0.0.1", Unknown(Cause.PRIVATE)),)),),
    )
    found = report(facts, [unknown(), unknown(Cause.DEADLINE), unknown(Cause.DEFECT)])
    assert found.missing[0] == "The time was over before these were seen: mail:25."
    assert "10.0.0.1" in found.missing[1]
    assert "private use" in found.missing[1]
    assert len(found.missing) == 4
    assert report(BARE, [unknown()]).missing == ()


def test_what_a_line_says_is_not_said_twice() -> None:
    found = report(Facts("example.org", 0.0), [unknown(Cause.DEADLINE)])
    assert found.lines[0].sentence in found.missing
    assert found.left_out == ("No door was knocked at, because nobody agreed to it.",)


def test_the_worst_severity_is_of_what_is_wrong() -> None:
    assert report(BARE, [line(RED), line(AMBER)]).worst is Severity.HIGH
    assert report(BARE, [unknown(), line(GREEN)]).worst is Severity.INFO


@pytest.fixture(scope="module")
def typical() -> Report:
    return weak()


def test_every_line_of_a_typical_domain_is_a_sentence(typical: Report) -> None:
    assert typical.count(Light.RED) >= 8
    for each in typical.lines:
        assert "{" not in each.sentence + each.step
        assert "  " not in each.sentence + each.step
        assert (
            each.sentence[0].isupper()
            or each.sentence[0].isdigit()
            or each.sentence.split()[0] in each.assets[0]
        )
        assert (each.light in (Light.RED, Light.AMBER)) <= bool(each.step)
    assert "mail doors offer to let people in" in typical.sentences[1]
    assert typical.sentences[2].startswith("Do this first: put a guard")


def test_names_alone_say_nothing_of_doors() -> None:
    found = judged(NAMES, Facts("example.org", 1.795e9))
    assert "no door was knocked at" in found.sentences[0]
    assert {each.check.name for each in found.lines if each.light is Light.RED} == {"dmarc"}

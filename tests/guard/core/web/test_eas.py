"""ActiveSync at the door: who is told what, by version, as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.web import eas
from gambeson.guard.core.web.eas import Facts, Outcome
from gambeson.guard.core.web.verdict import Answer, Peek
from gambeson.model.asset import Account
from gambeson.wire.activesync import EasError, EasQuery
from gambeson.wire.wbxml import Node, element, read, write
from gambeson.wire.wbxml_pages import PROVISION
from guard.core.web.asking import ask

ALMA = Account("a1", "o", "alma@example.org", ("al@example.org",), upstream_login="alma.k")
KEYS = eas.quarantine_keys(bytes(32), "d1", "sec17a")


def query(
    command: str = "FolderSync", version: str = "14.1", key: str = "", device: str = "SEC17A"
) -> EasQuery:
    return EasQuery(command, "alma", device, "SAMSUNG", key, version)


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (Facts(), Outcome.PASS),
        (Facts(first="sec17a"), Outcome.PASS),
        (Facts(first="other"), Outcome.OTHER_DEVICE),
        (Facts(first="other", decided="allowed"), Outcome.PASS),
        (Facts(decided="blocked", first="sec17a"), Outcome.BLOCKED),
        (Facts(decided="blocked", held=True), Outcome.BLOCKED),
        (Facts(decided="allowed", held=True), Outcome.QUARANTINED),
        (Facts(decided="allowed", shut=True), Outcome.BLOCKED),
        (Facts(decided="quarantined"), Outcome.QUARANTINED),
        (Facts(held=True, first="other"), Outcome.QUARANTINED),
        (Facts(disabled=True), Outcome.DISABLED),
        (Facts(others=20), Outcome.TOO_MANY),
        (Facts(others=19), Outcome.PASS),
        (Facts(others=20, first="sec17a"), Outcome.PASS),
        (Facts(others=20, decided="allowed"), Outcome.PASS),
    ],
)
def test_who_passes(facts: Facts, outcome: Outcome) -> None:
    assert eas.decide(query(), facts) is outcome


def said(answer: Answer | Peek) -> tuple[int, str]:
    """The HTTP status, and the status within."""
    assert isinstance(answer, Answer)
    if not answer.body.startswith(b"\x03\x01"):
        return answer.status, ""
    root = read(answer.body)
    assert len(root.children) == 1
    return answer.status, root.children[0].text


@pytest.mark.parametrize(
    ("outcome", "modern", "old"),
    [
        (Outcome.BLOCKED, (200, "129"), (403, "")),
        (Outcome.DISABLED, (200, "126"), (403, "")),
        (Outcome.TOO_MANY, (200, "177"), (403, "")),
        (Outcome.OTHER_DEVICE, (403, ""), (403, "")),
        (Outcome.QUARANTINED, (200, "142"), (449, "")),
    ],
)
def test_each_refusal_by_version(outcome: Outcome, modern: tuple[int, str], old: tuple[int, str]) -> None:
    for version in ("14.0", "14.1", "16.0", "16.1"):
        assert said(eas.answer(query(version=version), outcome, KEYS)) == modern
    for version in ("", "2.5", "12.0", "12.1"):
        assert said(eas.answer(query(version=version), outcome, KEYS)) == old


@pytest.mark.parametrize(
    ("key", "modern", "old"),
    [
        ("", (200, "142"), 449),
        ("0", (200, "142"), 449),
        ("77", (200, "144"), 449),
        (KEYS[1], (200, "129"), 403),
    ],
)
def test_quarantine_asks_for_provisioning_first(key: str, modern: tuple[int, str], old: int) -> None:
    assert said(eas.answer(query(key=key), Outcome.QUARANTINED, KEYS)) == modern
    assert said(eas.answer(query(key=key, version="12.1"), Outcome.QUARANTINED, KEYS))[0] == old


@pytest.mark.parametrize("command", sorted(set(eas._ROOTS) - {"Provision"}))
def test_every_command_has_a_status_of_its_own_page(command: str) -> None:
    answer = eas.answer(query(command, key=KEYS[1]), Outcome.QUARANTINED, KEYS)
    assert said(answer) == (200, "129")
    assert isinstance(answer, Answer)
    root = read(answer.body)
    assert root.name in (command, f"{root.page}:{root.number:#04x}")
    assert root.children[0].page == root.page


def test_a_command_without_wbxml_is_told_by_http() -> None:
    assert said(eas.answer(query("GetAttachment", key=KEYS[1]), Outcome.QUARANTINED, KEYS)) == (403, "")


# -- Provision in quarantine


def provision(*parts: Node, whole: bool = True) -> Node:
    octets = write(element(PROVISION, "Provision", *parts))
    peek = eas.answer(query("Provision"), Outcome.QUARANTINED, KEYS)
    assert isinstance(peek, Peek)
    answer = peek.judge(octets, whole)
    assert isinstance(answer, Answer)
    assert answer.status == 200, answer
    return read(answer.body)


def policy(*parts: Node) -> Node:
    return element(PROVISION, "Policies", element(PROVISION, "Policy", *parts))


def test_a_phone_provisions_in_two_steps_and_settles() -> None:
    kind = element(PROVISION, "PolicyType", eas.POLICY_TYPE)
    first = provision(policy(kind))
    assert first.value("Status") == "1"
    key = first.value("Policies", "Policy", "PolicyKey")
    assert key == KEYS[0]
    assert first.value("Policies", "Policy", "Data", "EASProvisionDoc", "DevicePasswordEnabled") == "0"
    said_ = policy(kind, element(PROVISION, "PolicyKey", key), element(PROVISION, "Status", "1"))
    final = provision(said_).value("Policies", "Policy", "PolicyKey")
    assert final == KEYS[1] != key
    assert said(eas.answer(query("Sync", key=final), Outcome.QUARANTINED, KEYS)) == (200, "129")


def test_a_wrong_key_and_a_wrong_type_are_told() -> None:
    kind = element(PROVISION, "PolicyType", eas.POLICY_TYPE)
    wrong = provision(policy(kind, element(PROVISION, "PolicyKey", "1"), element(PROVISION, "Status", "1")))
    assert wrong.value("Policies", "Policy", "Status") == "5"
    assert wrong.value("Policies", "Policy", "PolicyKey") == ""
    old = provision(policy(element(PROVISION, "PolicyType", "MS-WAP-Provisioning-XML")))
    assert old.value("Policies", "Policy", "Status") == "3"


def test_the_door_never_asks_a_phone_to_wipe_itself() -> None:
    kind = element(PROVISION, "PolicyType", eas.POLICY_TYPE)
    for parts in ((policy(kind),), (element(PROVISION, "RemoteWipe", element(PROVISION, "Status", "1")),)):
        assert provision(*parts).child("RemoteWipe") is None


@given(st.binary(max_size=200), st.booleans())
def test_any_provision_body_is_answered(octets: bytes, whole: bool) -> None:
    peek = eas.answer(query("Provision"), Outcome.QUARANTINED, KEYS)
    assert isinstance(peek, Peek)
    answer = peek.judge(octets, whole)
    assert isinstance(answer, Answer)
    assert answer.status in (200, 400)


def test_keys_are_of_one_device() -> None:
    others = {
        eas.quarantine_keys(bytes(32), "d1", "other"),
        eas.quarantine_keys(bytes(32), "d2", "sec17a"),
        eas.quarantine_keys(b"\1" * 32, "d1", "sec17a"),
        KEYS,
    }
    assert len(others) == 4
    assert all(0 < int(key) < 2**31 for pair in others for key in pair)


# -- who is asked for


def posted(user: str):
    return ask(
        "POST", f"/Microsoft-Server-ActiveSync?Cmd=Sync&User={user}&DeviceId=A1&DeviceType=P", body=True
    )


@pytest.mark.parametrize(
    ("user", "good"),
    [
        ("alma", True),
        ("ALMA@example.org", True),
        ("al@example.org", True),
        ("EXAMPLE%5Calma", True),
        ("example.org%5Calma@example.org", True),
        ("alma.k", True),
        ("bob", False),
        ("alma@example.net", False),
        ("EXAMPLE%5Cbob", False),
        ("alma%5Cbob", False),
    ],
)
def test_the_user_is_who_signed_in(user: str, good: bool) -> None:
    names = eas.names_of(ALMA, "EXAMPLE\\alma")
    if good:
        assert eas.read_request(posted(user), names).command == "Sync"
        return
    with pytest.raises(EasError, match="user-differs"):
        eas.read_request(posted(user), names)


def test_options_says_what_a_server_says() -> None:
    headers = dict(eas.options("device-quarantined").headers)
    assert headers["ms-asprotocolversions"].endswith("16.1")
    assert "Provision" in headers["ms-asprotocolcommands"]

"""ActiveSync's query: two forms, one value; what can be read in two ways is refused."""

from __future__ import annotations

import base64
import struct
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.activesync import CODES, EasError, EasQuery, read_query

# MS-ASHTTP section 4.2: version 14.0, Sync, en-us, "v140Device", no policy key, "SmartPhone".
EXAMPLE = "jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l"
PLAIN = "Cmd=FolderSync&User=alma&DeviceId=SEC17A&DeviceType=SAMSUNGSMG991B"


def coded(
    command: int = 9,
    device: bytes = b"SEC17A",
    kind: bytes = b"SAMSUNG",
    *,
    version: int = 141,
    key: int | None = None,
    locale: int = 0x0409,
    tags: tuple[tuple[int, bytes], ...] = (),
) -> str:
    """The writer that the reader is tried against."""
    octets = struct.pack("<BBHB", version, command, locale, len(device)) + device
    octets += b"\0" if key is None else struct.pack("<BI", 4, key)
    octets += bytes((len(kind),)) + kind
    for tag, value in tags:
        octets += bytes((tag, len(value))) + value
    return base64.b64encode(octets).decode()


def read(query: str, **headers: str) -> EasQuery:
    return read_query(query, [(name.replace("_", "-"), value) for name, value in headers.items()])


def test_the_example_of_the_specification() -> None:
    query = read(EXAMPLE, ms_asprotocolversion="14.0")
    assert (query.command, query.version, query.locale) == ("Sync", "14.0", 0x0409)
    assert (query.device_id, query.device_type, query.policy_key) == ("v140Device", "SmartPhone", "")
    assert query.modern


def test_a_plain_query_is_read_whatever_its_case_and_order() -> None:
    query = read(
        "DEVICETYPE=iPhone&cmd=foldersync&deviceid=ApplDN6&user=EXAMPLE%5Calma", ms_asprotocolversion="12.1"
    )
    assert (query.command, query.user, query.device_id) == ("FolderSync", "EXAMPLE\\alma", "ApplDN6")
    assert query.device_key == "appldn6"
    assert not query.modern


def test_both_forms_of_one_program_give_the_same_device() -> None:
    raw = bytes.fromhex("e4a1c0ffee00112233445566778899aa")
    one = read(coded(device=raw, key=7, tags=((8, b"alma"),)))
    other = read(
        f"Cmd=FolderSync&User=alma&DeviceId={raw.hex().upper()}&DeviceType=SAMSUNG",
        ms_asprotocolversion="14.1",
        x_ms_policykey="7",
    )
    assert one.device_key == other.device_key
    assert one.raw_device_id == raw
    for name in ("command", "user", "device_type", "policy_key", "version"):
        assert getattr(one, name) == getattr(other, name)


def test_the_commands_own_parameters() -> None:
    query = read(coded(1, tags=((7, b"\x01"), (1, b"5"), (3, b"5:1"))))
    assert dict(query.parameters) == {"SaveInSent": "T", "CollectionId": "5", "ItemId": "5:1"}
    assert dict(read(PLAIN + "&SaveInSent=T").parameters) == {"SaveInSent": "T"}


REFUSED: list[tuple[str, str, dict[str, str]]] = [
    ("query-mixed", f"{EXAMPLE}&{PLAIN}", {}),
    ("query-mixed", f"{PLAIN}&{EXAMPLE}", {}),
    ("query-mixed", PLAIN + "&", {}),
    ("parameter-unknown", PLAIN + f"&{EXAMPLE}=", {}),
    ("parameter-twice", PLAIN + "&cmd=Ping", {}),
    ("parameter-twice", PLAIN + "&DEVICEID=other", {}),
    ("parameter-unknown", PLAIN + "&x=1", {}),
    ("parameter-missing", "Cmd=Sync&User=alma&DeviceId=A", {}),
    ("command-unknown", PLAIN.replace("FolderSync", "Wipe"), {}),
    ("command-unknown", coded(5), {}),
    ("command-unknown", coded(200), {}),
    ("version-unknown", coded(version=25), {}),
    ("version-unknown", PLAIN, {"ms_asprotocolversion": "15.0"}),
    ("version-differs", coded(version=141), {"ms_asprotocolversion": "12.1"}),
    ("policy-key-differs", coded(key=7), {"x_ms_policykey": "8"}),
    ("policy-key-differs", coded(), {"x_ms_policykey": "8"}),
    ("policy-key-malformed", PLAIN, {"x_ms_policykey": "4294967296"}),
    ("policy-key-malformed", PLAIN, {"x_ms_policykey": "-1"}),
    ("device-id-malformed", PLAIN.replace("SEC17A", "a%2Fb"), {}),
    ("device-id-malformed", PLAIN.replace("SEC17A", "a" * 65), {}),
    ("device-id-malformed", PLAIN.replace("SEC17A", ""), {}),
    ("device-id-malformed", coded(device=b""), {}),
    ("device-id-malformed", coded(device=b"\x01" * 33), {}),
    ("device-type-malformed", coded(kind=b"a;b"), {}),
    ("user-malformed", PLAIN.replace("alma", "al%0Ama"), {}),
    ("user-malformed", PLAIN.replace("alma", ""), {}),
    ("query-encoding", PLAIN.replace("alma", "al%ffma"), {}),
    ("query-encoding", PLAIN.replace("alma", "al%2"), {}),
    ("query-no-base64", "", {}),
    ("query-no-base64", EXAMPLE.replace("j", "-"), {}),
    ("query-no-base64", EXAMPLE[:9] + "=" + "", {}),
    ("query-no-base64", "Cmd=", {}),
    ("query-short", EXAMPLE[:16], {}),
    ("parameter-twice", coded(tags=((1, b"5"), (1, b"6"))), {}),
    ("parameter-unknown", coded(tags=((2, b"5"),)), {}),
    ("options-unknown", coded(tags=((7, b"\x04"),)), {}),
    ("query-too-long", PLAIN + "&ItemId=" + "1" * 9000, {}),
]


@pytest.mark.parametrize(("reason", "query", "headers"), REFUSED)
def test_what_can_be_read_in_two_ways_is_refused(reason: str, query: str, headers: dict[str, str]) -> None:
    with pytest.raises(EasError) as error:
        read(query, **headers)
    assert error.value.reason == reason


def test_a_header_that_came_twice_is_refused() -> None:
    for name, value in (("ms-asprotocolversion", "14.1"), ("x-ms-policykey", "7")):
        with pytest.raises(EasError, match="header-twice"):
            read_query(PLAIN, [(name, value), (name, value)])


def test_a_plus_is_a_digit_of_base64_and_may_be_escaped() -> None:
    found = 0
    for number in range(256):
        text = coded(device=bytes((number,)) * 16)
        if "+" in text or "/" in text:
            found += 1
            assert read(text) == read(quote(text, safe=""))
    assert found


@given(
    st.text(max_size=300),
    st.lists(
        st.tuples(st.sampled_from(["ms-asprotocolversion", "x-ms-policykey", "x"]), st.text(max_size=20))
    ),
)
def test_any_text_gives_a_value_or_the_one_error(text: str, headers: list[tuple[str, str]]) -> None:
    try:
        query = read_query(text, headers)
    except EasError:
        return
    assert query.command
    assert query.device_id


@given(st.binary(max_size=300))
def test_any_octets_in_base64_give_a_value_or_the_one_error(octets: bytes) -> None:
    text = base64.b64encode(octets).decode()
    try:
        query = read_query(text, [])
    except EasError:
        return
    assert query.coded


@given(
    st.sampled_from(sorted(CODES)),
    st.binary(min_size=1, max_size=32),
    st.from_regex(r"[A-Za-z0-9]{1,32}", fullmatch=True),
    st.sampled_from([(121, "12.1"), (140, "14.0"), (141, "14.1"), (160, "16.0"), (161, "16.1")]),
    st.none() | st.integers(0, 2**32 - 1),
    st.from_regex(r"[a-z]{1,20}@[a-z]{1,20}\.example", fullmatch=True),
)
def test_what_was_written_is_read(
    command: int, device: bytes, kind: str, version: tuple[int, str], key: int | None, user: str
) -> None:
    query = read(
        coded(command, device, kind.encode(), version=version[0], key=key, tags=((8, user.encode()),))
    )
    assert query.command == CODES[command]
    assert query.raw_device_id == device
    assert (query.version, query.device_type, query.user) == (version[1], kind, user)
    assert query.policy_key == ("" if key is None else str(key))

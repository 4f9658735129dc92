"""What fuzzing asks of the records that say who may send: any octets give a record or one declared error."""

from __future__ import annotations

from collections.abc import Callable

from gambeson.wire import bimi, dkim_key, dmarc, mta_sts, spf, tls_rpt

VALUES = {
    "s": "a@b.example",
    "l": "a",
    "o": "b.example",
    "d": "b.example",
    "i": "192.0.2.1",
    "v": "in-addr",
    "h": "b.example",
}


def spf_record(data: bytes) -> None:
    try:
        record = spf.parse(data.decode("latin-1"))
    except spf.SpfError:
        return
    for spec in (record.redirect, record.explanation, *(m.target for m in record.mechanisms)):
        name = spf.expand(spec, VALUES | {"p": "unknown"})
        assert name is not None
        assert spf.expand(spec, {}) is None or not spf.letters(spec)


def dmarc_record(data: bytes) -> None:
    try:
        record = dmarc.parse(data.decode("latin-1"))
    except dmarc.DmarcError:
        return
    assert {record.effective(which) for which in ("p", "sp", "np")} <= {"", *dmarc.POLICIES}
    assert 0 <= record.percent <= 100


def dkim_record(data: bytes) -> None:
    try:
        key = dkim_key.parse(data.decode("latin-1"))
    except dkim_key.DkimKeyError:
        return
    assert 0 <= key.bits <= 8 * dkim_key.MAX_KEY
    assert not (key.revoked and key.bits)


def dkim_der(data: bytes) -> None:
    try:
        modulus, exponent = dkim_key.rsa_numbers(data)
    except dkim_key.DkimKeyError:
        return
    assert modulus > 0
    assert exponent > 0
    assert modulus.bit_length() <= 8 * len(data)


def sts_policy(data: bytes) -> None:
    try:
        policy = mta_sts.parse_policy(data)
    except mta_sts.MtaStsError:
        return
    assert policy.mode in mta_sts.MODES
    assert policy.hosts or policy.mode == "none"
    assert not policy.allows("")


def small_records(data: bytes) -> None:
    """The three short ones share a target: the first octet chooses."""
    text = data[1:].decode("latin-1")
    parsers: tuple[tuple[Callable[[str], object], type[Exception]], ...] = (
        (mta_sts.parse_record, mta_sts.MtaStsError),
        (tls_rpt.parse, tls_rpt.TlsRptError),
        (bimi.parse, bimi.BimiError),
    )
    parse, error = parsers[(data[0] if data else 0) % len(parsers)]
    try:
        assert parse(text)
    except error:
        return


RECORD_TARGETS: dict[str, Callable[[bytes], None]] = {
    "spf": spf_record,
    "dmarc": dmarc_record,
    "dkim-key": dkim_record,
    "dkim-der": dkim_der,
    "mta-sts-policy": sts_policy,
    "small-records": small_records,
}

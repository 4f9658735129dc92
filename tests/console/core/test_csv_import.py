from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.console.core.csv_cells import plain_cell, safe_cell, write
from gambeson.console.core.csv_diff import Change, diff
from gambeson.console.core.csv_import import MAX_BYTES, MAX_ROWS, Row, export, parse, read
from gambeson.model.asset import Account


def problems(text):
    return [(p.line, p.column, p.reason) for p in parse(text).problems]


def test_a_plain_table():
    text = (
        "address,aliases,groups,server,upstream_login\r\n"
        'Ann@Example.org,"a@example.org, b@example.org","sales; Back office",mx1,ann\r\n'
    )
    (row,) = parse(text).rows
    assert row == Row(
        2,
        "ann@example.org",
        ("a@example.org", "b@example.org"),
        ("sales", "Back office"),
        "mx1",
        "ann",
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_separators_a_mark_and_german_names(delimiter, start):
    header = ["E-Mail-Adresse", "Vorname", "Gruppe", "Anmeldename", "Büro"]
    text = start + delimiter.join(header) + "\n" + delimiter.join(["ann@example.org", "Ann", "it", "", "3"])
    got = parse(text)
    assert got.rows == (Row(2, "ann@example.org", groups=("it",)),)
    assert (got.ignored, got.delimiter, got.problems) == (("Vorname", "Büro"), delimiter, ())


def test_what_excel_calls_its_separator():
    got = parse("sep=;\r\naddress;groups\r\nann@example.org;a,b\r\n")
    assert got.rows[0].groups == ("a", "b")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_what_spreadsheets_write(encoding):
    got = read("Adresse;Gruppen\r\nann@example.org;Büro\r\n".encode(encoding))
    assert got.rows[0].groups == ("Büro",)


PROBLEMS = [
    ("", [(0, "", "empty")]),
    ("\n\n  \n", [(0, "", "empty")]),
    ("name,groups\nann,it\n", [(1, "address", "no-address-column")]),
    ("address,mail\na@b.example,c@d.example\n", [(1, "address", "column-twice")]),
    ("address\nann\n", [(2, "address", "address")]),
    ("address\n\nann@example.org\nANN@example.org\n", [(4, "address", "twice")]),
    ("address,aliases\nann@example.org,nonsense\n", [(2, "aliases", "address")]),
    ("address,groups\nann@example.org,a,b\n", [(2, "", "too-many-fields")]),
    ("address,groups\nann@example.org," + "x" * 501, [(2, "groups", "too-long")]),
    ("address,groups\nann@example.org," + "x" * 101, [(2, "groups", "too-long")]),
    ("address,server\nann@example.org,a\x00b\n", [(2, "server", "control-character")]),
    ('address\n"ann@example.org\n', [(2, "", "unreadable")]),
    ('address\n"a"b\nann@example.org\n', [(2, "", "unreadable")]),
    ("address," + "," * 60, [(1, "", "too-many-columns")]),
    ("address\n" + "x" * 200_000, [(2, "", "unreadable")]),
]


@pytest.mark.parametrize(("text", "expected"), PROBLEMS)
def test_problems_say_where(text, expected):
    assert problems(text) == expected
    assert all(p.sentence.endswith(".") for p in parse(text).problems)


def test_a_line_with_a_problem_stops_no_other():
    got = parse('address,groups\n"two\nlines",x\nnot one,y\nann@example.org,z\n')
    assert [p.line for p in got.problems] == [2, 4]
    assert [(r.line, r.address) for r in got.rows] == [(5, "ann@example.org")]


def test_limits():
    assert parse("x" * (MAX_BYTES + 1)).problems[0].reason == "too-large"
    assert parse("ü" * (MAX_BYTES // 2 + 1)).problems[0].reason == "too-large"
    assert read(b"x" * (MAX_BYTES + 1)).problems[0].reason == "too-large"
    many = parse("address\n" + "".join(f"p{i}@example.org\n" for i in range(MAX_ROWS + 2)))
    assert len(many.rows) == MAX_ROWS
    assert [p.reason for p in many.problems] == ["too-many-rows"]
    wrong = parse("address\n" + "x\n" * 1_500)
    assert (len(wrong.problems), wrong.more) == (1_000, 500)


@given(st.text() | st.text(st.sampled_from("address;,\t\"\r\n@.=-'\x00\ud800\ufeff")))
def test_any_text_gives_rows_and_problems(text):
    for got in (parse(text), parse("address,aliases,groups,server,login\n" + text)):
        for row in got.rows:
            assert row.address.count("@") == 1
        assert all(p.sentence and p.line >= 0 for p in got.problems)
        diff(got.rows, (), ("example.org",), ("mx",))


@given(st.binary())
def test_any_octets_give_rows_and_problems(data):
    read(data)
    read(b"address\n" + data)


@given(st.text())
def test_no_cell_is_a_formula_and_each_comes_back(value):
    cell = safe_cell(value)
    assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert plain_cell(cell) == value


def test_the_way_out_is_safe():
    assert write(("a", "b"), [("=1+1", 'x"y'), ("@cmd", "-2")]) == 'a,b\r\n\'=1+1,"x""y"\r\n\'@cmd,\'-2\r\n'


accounts = st.lists(
    st.builds(
        Account,
        st.uuids().map(str),
        st.just("o"),
        st.from_regex(r"[+=a-z'-][a-z0-9]{0,8}@example\.org", fullmatch=True),
        st.lists(st.from_regex(r"[+=a-z-]x[0-9]{1,3}@example\.net", fullmatch=True), max_size=2).map(tuple),
        st.lists(st.from_regex(r"[=+@a-z][a-z]{1,8}", fullmatch=True), max_size=3, unique=True).map(tuple),
        upstream_login=st.sampled_from(("", "=x", "EXAMPLE\\ann", "'y", "@z")),
    ),
    max_size=5,
    unique_by=lambda a: a.address,
)


@given(accounts)
def test_our_own_table_changes_nothing(them):
    taken, mine = set(), []
    for a in them:
        if not {a.address, *a.aliases} & taken and len(set(a.aliases)) == len(a.aliases):
            taken |= {a.address, *a.aliases}
            mine.append(a)
    text = export(mine)
    for row in csv.reader(io.StringIO(text)):
        assert all(cell[:1] not in tuple("=+-@") or not cell for cell in row)
    got = parse(text)
    assert got.problems == ()
    result = diff(got.rows, mine)
    assert (result.new, result.changed, result.conflicts) == ((), (), ())
    assert len(result.same) == len(mine)


ANN = Account(
    "a1", "o", "ann@example.org", ("a@example.org",), ("sales", "it"), server="mx1", upstream_login="ann"
)


def compared(text, **more):
    return diff(parse(text).rows, [ANN], **more)


def test_new_changed_and_same():
    text = 'address,groups,server,login\nbob@example.org,it,,\nann@example.org,"it,board",-,\n'
    got = compared(text)
    assert [r.address for r in got.new] == ["bob@example.org"]
    (changed,) = got.changed
    assert changed.account == "a1"
    assert changed.changes == (
        Change("groups", ("sales", "it"), ("it", "board")),
        Change("server", "mx1", ""),
    )
    same = compared('address,groups,server\nann@example.org,"it,sales",\n')
    assert [r.line for r in same.same] == [2]


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("a@example.org,,", "address", "in-use"),
        ("bob@example.org,ann@example.org,", "aliases", "in-use"),
        ("bob@other.test,,", "address", "foreign-domain"),
        ("bob@example.org,b@other.test,", "aliases", "foreign-domain"),
        ("bob@example.org,,mx9", "server", "no-server"),
    ],
)
def test_conflicts(line, column, reason):
    got = compared(f"address,aliases,server\n{line}\n", domains=["example.org"], servers=["mx1"])
    (conflict,) = got.conflicts
    assert (conflict.line, conflict.column, conflict.reason) == (2, column, reason)
    assert (got.new, got.changed, got.same) == ((), (), ())


def test_two_rows_cannot_have_one_name():
    got = compared("address,aliases\nbob@example.org,c@example.org\nc@example.org,\n")
    assert ([r.line for r in got.new], [c.line for c in got.conflicts]) == ([2], [3])

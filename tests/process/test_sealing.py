"""Keys and sealed boxes: what opens, what does not, and what is said."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.process.keys import open_keys, read_master
from gambeson.process.sealing import Sealer, SealingError, read_key_file, stretch

SEALER = Sealer(bytes(32))


@given(st.binary(max_size=300), st.text(max_size=40))
def test_what_was_sealed_opens_under_its_context(plain, context):
    assert SEALER.open(SEALER.seal(plain, context), context) == plain


@given(st.binary(max_size=40), st.data())
def test_a_box_with_any_octet_changed_does_not_open(plain, data):
    box = bytearray(SEALER.seal(plain, "c"))
    place = data.draw(st.integers(0, len(box) - 1))
    box[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealingError):
        SEALER.open(bytes(box), "c")


@given(st.binary(max_size=200))
def test_anything_else_is_no_box(junk):
    with pytest.raises(SealingError):
        SEALER.open(junk, "c")


def test_another_context_or_key_does_not_open_and_the_key_is_named():
    box = SEALER.seal(b"x", "account/1")
    with pytest.raises(SealingError, match="belongs somewhere else"):
        SEALER.open(box, "account/2")
    other = Sealer(b"k" * 32)
    with pytest.raises(SealingError, match=SEALER.key_id.hex()):
        other.open(box, "account/1")


def test_each_purpose_has_its_own_key():
    assert len({SEALER.derive(p) for p in ("device secret", "sealed box", "password pepper")}) == 3


def test_the_key_file_is_made_once_0600_and_read_again(tmp_path):
    folder = tmp_path / "keeper"
    first = read_master(folder)
    assert (folder / "master.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert read_master(folder) == first


def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "key"
    path.write_text("00" * 32)
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(SealingError, match="chmod 600"):
            read_key_file(path)
    path.chmod(0o600)
    assert read_key_file(path) == bytes(32)


@pytest.mark.parametrize("text", ["", "zz" * 32, "00" * 31, "00" * 33, "\x00" * 64])
def test_a_file_that_holds_no_key(tmp_path, text):
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SealingError, match="holds no key"):
        read_key_file(path)


def test_a_link_in_the_keys_place_is_not_followed(tmp_path):
    (tmp_path / "real").write_text("00" * 32)
    (tmp_path / "real").chmod(0o600)
    (tmp_path / "key").symlink_to(tmp_path / "real")
    with pytest.raises(SealingError, match="cannot be read"):
        read_key_file(tmp_path / "key")


def test_a_lost_key_is_never_replaced_by_a_new_one(tmp_path):
    open_keys(tmp_path, read_master(tmp_path), 0.0)
    (tmp_path / "master.key").unlink()
    with pytest.raises(SealingError, match="is missing: bring it back"):
        read_master(tmp_path)


def test_the_wrong_key_gives_one_sentence_and_changes_nothing(tmp_path):
    kept = open_keys(tmp_path, bytes(32), 0.0)
    before = (tmp_path / "keys.sealed").read_bytes()
    with pytest.raises(SealingError, match="another key") as error:
        open_keys(tmp_path, b"x" * 32, 0.0)
    assert "\n" not in str(error.value)
    assert (tmp_path / "keys.sealed").read_bytes() == before
    assert open_keys(tmp_path, bytes(32), 0.0).token_pem == kept.token_pem


def test_damaged_keys_stop_the_start(tmp_path):
    open_keys(tmp_path, bytes(32), 0.0)
    path = tmp_path / "keys.sealed"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SealingError, match="do not open"):
        open_keys(tmp_path, bytes(32), 0.0)


def test_systemd_credential_and_passphrase(tmp_path):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "gambeson-key").write_text("ab" * 32)
    assert read_master(tmp_path / "k", credentials=str(credentials)) == bytes.fromhex("ab" * 32)
    assert not (tmp_path / "k" / "master.key").exists()
    first = read_master(tmp_path / "p", passphrase="correct horse battery")
    assert first == read_master(tmp_path / "p", passphrase="correct horse battery")
    assert first != read_master(tmp_path / "p", passphrase="correct horse battery2")
    with pytest.raises(SealingError, match="12 characters"):
        stretch("short", os.urandom(16))


def test_a_key_file_that_the_settings_name_is_never_made_by_itself(tmp_path):
    from gambeson.process.keys import read_master

    with pytest.raises(SealingError, match="is missing: name the right file, or make one"):
        read_master(tmp_path / "keeper", key_file=tmp_path / "typo.key")
    assert not (tmp_path / "typo.key").exists()

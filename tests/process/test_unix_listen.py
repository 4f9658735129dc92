"""Unix sockets of an edge: whose they are, and everything that may be wrong with the place."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from gambeson.process.listen import Listen, bind
from gambeson.process.run_directory import RunError

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def me():
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def edge(path, user=""):
    return Listen("imap#edge", "", 0, unix=str(path), user=user or me())


def test_the_socket_is_its_users_alone(tmp_path):
    with bind(edge(tmp_path / "imap.sock")) as sock:
        status = (tmp_path / "imap.sock").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, os.geteuid())
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(sock.getsockname())


@ROOT
def test_root_gives_it_to_the_edges_user(tmp_path):
    with bind(edge(tmp_path / "imap.sock", "nobody")):
        assert (tmp_path / "imap.sock").stat().st_uid == 65534


def test_what_a_crash_left_is_replaced(tmp_path):
    bind(edge(tmp_path / "imap.sock")).close()
    bind(edge(tmp_path / "imap.sock")).close()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda folder: folder.chmod(0o777), "others may write"),
        (lambda folder: (folder / "imap.sock").write_text("mine"), "no socket is in the way"),
        (lambda folder: folder.rmdir(), "make the directory first"),
        (lambda folder: (folder.rmdir(), folder.write_text("")), "is no directory"),
    ],
)
def test_refused_in_one_sentence(tmp_path, prepare, words):
    folder = tmp_path / "edge"
    folder.mkdir()
    prepare(folder)
    with pytest.raises(RunError, match=words):
        bind(edge(folder / "imap.sock"))


def test_another_programs_socket_is_left_alone(tmp_path):
    with bind(edge(tmp_path / "imap.sock")), pytest.raises(RunError, match="another program") as caught:
        bind(edge(tmp_path / "imap.sock"))
    assert caught.value.code == 3


def test_a_user_that_is_not_there_and_a_path_that_is_too_long(tmp_path):
    with pytest.raises(RunError, match="no user"):
        bind(edge(tmp_path / "imap.sock", "not-a-user-here"))
    with pytest.raises(RunError, match="longer than"):
        bind(edge(tmp_path / ("x" * 110)))

"""Dovecot with its own passwords, asking us before and telling us after each sign-in (``auth_policy``).

Measured with Dovecot 2.3.19 (tests/interop/test_engine_dovecot.py): its defaults fail open, so the recipe says
``auth_policy_reject_on_fail``; it asks a second time after a right password and waits a tarpit twice, so that is off;
``device_id`` comes only with ``imap_id_retain``; a header without a colon is sent as X-API-Key.
"""

from __future__ import annotations

from .facts import Engine, Facts

_HEAD = """\
# Dovecot asks Gambeson of every sign-in. Put it in /etc/dovecot/conf.d/ as it is.
#
# It keeps out who is switched off, throttled, or refused by a rule (network, country, hour), and slows guessing down.
# It is NO second factor: Dovecot shows neither device secret nor certificate, so a password alone still gets in.
#
# 1. In gambeson.toml: [decision_api] listen = "{api}" and key = "file:..."
# 2. Put the file with the key at {etc}/decision-api-key.conf, mode 0600, owner root.
# 3. doveconf -n, then systemctl reload dovecot. Where Gambeson does not answer, nobody signs in.
"""


def dovecot_policy(facts: Facts) -> dict[str, str]:
    """For Dovecot 2.3."""
    engine = _engine(facts)
    conf = (
        _HEAD.format(api=engine.api, etc=facts.etc)
        + f"""
auth_policy_server_url = http://{engine.api}/
auth_policy_server_timeout_msecs = 2000
auth_policy_hash_mech = sha256
auth_policy_hash_nonce = {engine.nonce}
auth_policy_hash_truncate = 12
auth_policy_request_attributes = login=%{{requested_username}} pwhash=%{{hashed_password}} remote=%{{rip}} \
device_id=%{{client_id}} protocol=%s session_id=%{{session}} attrs/mech=%{{mech}} attrs/cert=%{{cert}}
auth_policy_check_before_auth = yes
auth_policy_check_after_auth = no
auth_policy_report_after_auth = yes
# Dovecot's default lets everybody in where nobody answers.
auth_policy_reject_on_fail = yes
auth_policy_log_only = no
imap_id_retain = yes
!include {facts.etc}/decision-api-key.conf
"""
    )
    return {
        "98-gambeson-policy.conf": conf,
        "decision-api-key.conf.secret": f"auth_policy_server_api_header = {engine.key}\n",
    }


def dovecot24_policy(facts: Facts) -> dict[str, str]:
    """For Dovecot 2.4, where the attributes are a list. Not measured here: check it with ``doveconf -n``."""
    engine = _engine(facts)
    conf = (
        "# FOR DOVECOT 2.4. Written from its documentation and not tried by Gambeson's tests.\n"
        + _HEAD.format(api=engine.api, etc=facts.etc)
        + f"""
auth_policy_server_url = http://{engine.api}/
auth_policy_hash_mech = sha256
auth_policy_hash_nonce = {engine.nonce}
auth_policy_hash_truncate = 12
auth_policy_request_attributes =
auth_policy_request_attributes {{
  login = %{{requested_username}}
  pwhash = %{{hashed_password}}
  remote = %{{remote_ip}}
  device_id = %{{client_id}}
  protocol = %{{protocol}}
  session_id = %{{session}}
  fail_type = %{{fail_type}}
  attrs/mech = %{{mechanism}}
  attrs/cert = %{{cert}}
}}
auth_policy {{
  http_client_request_absolute_timeout = 2s
}}
auth_policy_check_before_auth = yes
auth_policy_check_after_auth = no
auth_policy_report_after_auth = yes
auth_policy_reject_on_fail = yes
auth_policy_log_only = no
imap_id_retain = yes
!include {facts.etc}/decision-api-key.conf
"""
    )
    return {
        "98-gambeson-policy.conf": conf,
        "decision-api-key.conf.secret": f"auth_policy_server_api_header = {engine.key}\n",
    }


def _engine(facts: Facts) -> Engine:
    engine = facts.engine
    assert engine is not None
    return engine

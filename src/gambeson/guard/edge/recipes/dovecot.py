"""Dovecot behind the doors: it takes the keeper's tokens and nothing else.

Measured with Dovecot 2.3.19 (tests/guard/edge/walk/test_dovecot.py): the token passdb must have no ``mechanisms``
filter (2.3 then skips it for the bearer mechanisms too), ``client_id`` must be the token's ``aud``, the key is looked
up as AZP/ALG/KID, and without ``login_trusted_networks`` one person's failures delay everybody behind the doors.
PLAIN and LOGIN are there only for a webmail: it shows a token in the password's place, which this passdb checks too.
"""

from __future__ import annotations

from .facts import Facts

_HEAD = """\
# Gambeson's doors before this Dovecot. Put it in {folder} as it is.
#
# 1. In /etc/dovecot/conf.d/10-auth.conf comment out every !include of a passdb (auth-system.conf.ext and the like):
#    each one left is a way in with a password alone. Keep the userdb.
# 2. In gambeson.toml:   [[server]] name = "dovecot", sign_in = "token", audience = "{audience}",
#    imap = "imap+plain://127.0.0.1:10143" (and so on), trusts_us = true
# 3. doveconf -n, then systemctl reload dovecot, then: gambeson guard walk
"""


def dovecot(facts: Facts) -> dict[str, str]:
    """For Dovecot 2.3."""
    key = "" if facts.token_key else "# The key is missing: run this where Gambeson is installed.\n"
    conf = (
        _HEAD.format(folder="/etc/dovecot/conf.d/99-gambeson.conf", audience=facts.audience)
        + key
        + f"""
{_mechanisms(facts)}
disable_plaintext_auth = yes
login_trusted_networks = {facts.doors}
# Where login names hold more than letters, digits and .-_@ (umlauts, +):
#auth_username_chars =

# No "mechanisms" here: Dovecot 2.3 would skip this passdb for the bearer mechanisms too.
passdb {{
  driver = oauth2
  args = {facts.etc}/oauth2.conf.ext
}}

# Nobody but the doors reaches it: loopback only, and no listener under TLS of its own.
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = 10143
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    address = 127.0.0.1
    port = 10110
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    address = 127.0.0.1
    port = 14190
  }}
}}
"""
    )
    oauth2 = f"""\
# Tokens are checked here and nowhere else: no network is asked.
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={facts.etc}/keys/
issuers = {facts.issuer}
client_id = {facts.audience}
username_attribute = sub
"""
    return {"99-gambeson.conf": conf, "oauth2.conf.ext": oauth2, **facts.key_files}


def dovecot24(facts: Facts) -> dict[str, str]:
    """For Dovecot 2.4, whose settings have other names. Not measured here: check it with ``doveconf -n``."""
    conf = (
        "# FOR DOVECOT 2.4. Written from its documentation and not tried by Gambeson's tests.\n"
        + _HEAD.format(folder="/etc/dovecot/conf.d/99-gambeson.conf", audience=facts.audience)
        + f"""
{_mechanisms(facts)}
auth_allow_cleartext = no
login_trusted_networks = {facts.doors}
# Where login names hold more than letters, digits and .-_@ (umlauts, +):
#auth_username_chars =

oauth2 {{
  introspection_mode = local
  issuers = {facts.issuer}
  client_id = {facts.audience}
  username_attribute = sub
  oauth2_local_validation {{
    dict fs {{
      fs posix {{
        prefix = {facts.etc}/keys/
      }}
    }}
  }}
}}
passdb oauth2 {{
}}

service imap-login {{
  inet_listener imap {{
    listen = 127.0.0.1
    port = 10143
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    listen = 127.0.0.1
    port = 10110
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    listen = 127.0.0.1
    port = 14190
  }}
}}
"""
    )
    return {"99-gambeson.conf": conf, **facts.key_files}


def _mechanisms(facts: Facts) -> str:
    bearer = "auth_mechanisms = oauthbearer xoauth2"
    if not facts.webmail:
        return bearer
    return f"""\
# plain and login: a webmail behind the https door shows its token as the password. Passwords open nothing, as long as
# the passdb below is the only one.
{bearer} plain login"""

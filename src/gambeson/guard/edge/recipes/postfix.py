"""Postfix behind the doors: one submission service on loopback that takes the keeper's tokens by Dovecot's SASL."""

from __future__ import annotations

from .facts import Facts


def postfix(facts: Facts) -> dict[str, str]:
    """``master.cf`` and ``main.cf`` pieces, and the pieces of Dovecot's side."""
    main = f"""\
# Behind main.cf. Who the doors are: they tell the client's address (XCLIENT), so that the log shows the person.
smtpd_authorized_xclient_hosts = {facts.doors}
# Nobody signs in on port 25, and loopback is not trusted by itself (the doors come from there).
smtpd_sasl_auth_enable = no
mynetworks =
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
"""
    master = """\
# In master.cf in place of the submission (587) and submissions (465) services: those ports are the doors' now.
127.0.0.1:10587 inet n - y - - smtpd
  -o syslog_name=postfix/gambeson
  -o smtpd_tls_security_level=none
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path=private/auth
  -o smtpd_sasl_security_options=noanonymous
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_forbid_bare_newline=yes
# In gambeson.toml:  submission = "smtp+plain://127.0.0.1:10587"
"""
    auth = """\
# In Dovecot: the SASL service that Postfix asks. It takes the same tokens (gambeson guard export dovecot).
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
"""
    return {"main.cf.gambeson": main, "master.cf.gambeson": master, "dovecot-auth.conf": auth}

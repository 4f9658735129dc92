"""What a directory's answer to a bind says of the password. Pure.

Active Directory answers every failed bind with invalidCredentials and tells the cause in the diagnostic message
("... AcceptSecurityContext error, data 52e, v4563"); OpenLDAP with ppolicy in a control of the answer; others have
result codes of their own. What is not understood is UNAVAILABLE, never RIGHT and never a person's fault.
"""

from __future__ import annotations

import re

from .ldap_messages import (
    CONSTRAINT_VIOLATION,
    INAPPROPRIATE_AUTHENTICATION,
    INVALID_CREDENTIALS,
    NO_SUCH_OBJECT,
    SUCCESS,
    UNWILLING_TO_PERFORM,
    Result,
)
from .source import Verdict

_SUB_CODE = re.compile(r"\bdata ([0-9a-fA-F]{1,8})\b")
_ACTIVE_DIRECTORY = {
    0x525: Verdict.WRONG,  # no such user
    0x52E: Verdict.WRONG,  # wrong password
    0x530: Verdict.LOCKED,  # not at this time
    0x531: Verdict.LOCKED,  # not at this workstation
    0x532: Verdict.EXPIRED,  # password expired
    0x533: Verdict.LOCKED,  # account disabled
    0x701: Verdict.LOCKED,  # account expired
    0x773: Verdict.EXPIRED,  # must change the password first
    0x775: Verdict.LOCKED,  # locked out
}
_POLICY = {0: Verdict.EXPIRED, 1: Verdict.LOCKED, 2: Verdict.EXPIRED}  # expired, locked, must change it first


def verdict(result: Result) -> Verdict:
    """The verdict on the password that this answers."""
    policy = _POLICY.get(result.policy)
    if result.code == SUCCESS:
        return policy or Verdict.RIGHT
    if result.code == INVALID_CREDENTIALS:
        code = _SUB_CODE.search(result.diagnostic)
        return policy or _ACTIVE_DIRECTORY.get(int(code[1], 16) if code else 0, Verdict.WRONG)
    if result.code in (NO_SUCH_OBJECT, INAPPROPRIATE_AUTHENTICATION):
        return Verdict.WRONG  # gone since it was found; an entry without a password
    if result.code in (CONSTRAINT_VIOLATION, UNWILLING_TO_PERFORM):
        return policy or Verdict.LOCKED  # 389 Directory Server: too many failures; inactivated
    return Verdict.UNAVAILABLE

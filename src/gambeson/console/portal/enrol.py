"""The first second factor: password and a binding code, which an administrator made and told by another way than the
mailbox. Nobody registers a first factor without it (NIST SP 800-63B section 6.1).

Whatever is wrong, address, password or code, the answer and the questions behind it are the same; a code is spent only
together with the right password.
"""

from __future__ import annotations

from hashlib import sha256

from gambeson.console.web.visit import ProblemError, Reply, Visit, go
from gambeson.process.messages import Message
from gambeson.process.portal_messages import BINDING_CONTEXT, BindingCodeUse

from . import codewords, proofs, sessions
from .backend import DeniedError, ask
from .routing import get, post
from .services import Services
from .sign_in import MAX_ADDRESS, first_step, open_step, refused, wanted
from .steps import Purpose


async def show(s: Services, visit: Visit) -> Reply:
    """The form."""
    return Reply(page="enrol", values={"error": "", "address": "", "target": wanted(s, visit)})


async def submit(s: Services, visit: Visit) -> Reply:
    """Address, password and code came."""
    target = wanted(s, visit)
    first = await first_step(s, visit)
    account = first.person.account
    # The keeper counts verifiers by whose they are: names that nobody has must not share one count, or its end tells.
    whose = account or sha256(first.claimed.encode()).hexdigest()
    typed = visit.given("code", 4096)[: codewords.MAX_CODE]
    try:
        verifier = await proofs.verifier(s, BINDING_CONTEXT, whose, typed)
    except DeniedError:
        raise ProblemError(429) from None
    # With a wrong password the desk is asked all the same, about a code that nobody has.
    asked = verifier if first.right else s.random(len(verifier))
    try:
        await ask(s.backend, BindingCodeUse(account=account, verifier=asked, at=visit.at), Message)
        spent = first.right
    except DeniedError:
        spent = False
    if not spent:
        await refused(s, visit, first, "portal.enrol.refused")
        address = visit.given("address", 4096)[:MAX_ADDRESS]
        return Reply(403, "enrol", {"error": "enrol.wrong", "address": address, "target": target})
    s.throttling.succeeded(s.throttling.passwords, visit, first.claimed, first.known)
    await sessions.tell(s, visit, "portal.enrol.begun", first.person)
    return go("/factors/new", *open_step(s, visit, Purpose.ENROL, first, target))


ROUTES = (get("/enrol", show), post("/enrol", submit))

"""The weekly mail: Today of one organisation for those who look after it, as an automatic message.

Rules:

- It is due on Monday at 07:00 UTC, or, where Gambeson did not run then, within two days; once for each organisation,
  week and recipient: the name of the mail is made of these and nothing else.
- It says what the page says, in the same words, with a link to where each thing is done. The links are ours alone: what
  somebody else chose (the title of a finding, say) stands there in plain words and can't become one.
- It never says that nothing is to do where something was not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from hashlib import blake2b

from gambeson.guard.core.notice import automatic_message, moment, plain_words

from .chores import Chore
from .today import Today
from .wording import Texts, counted, percent, sentence

KIND = "notice.weekly"
DAY, WEEK = 86400.0, 7 * 86400.0
_FIRST_MONDAY = 4 * DAY  # 1970-01-05
HOUR = 7 * 3600.0  # of the day
LATEST = 2 * DAY  # after it was due: then the week is left out
_OURS = frozenset(("door", "doors", "rung", "severity"))
ALONE = ("refused", "throttled", "shielded", "sprays", "sessions_ended", "findings_closed")


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one ``recipient``. ``origin`` is the console's, ``organisation`` an id and ``name`` its name,
    ``sender`` the address it is from (empty: postmaster at the recipient's domain), ``up`` the fraction of the measured
    time of the week in which all doors were up."""

    recipient: str
    sender: str
    organisation: str
    name: str
    origin: str
    at: float
    today: Today
    up: float


def due_at(now: float) -> float:
    """When the mail of the present week was due: the last Monday, 07:00 UTC."""
    begin = _FIRST_MONDAY + HOUR
    return begin + (now - begin) // WEEK * WEEK


def due(now: float) -> bool:
    """Whether it may still go."""
    return now - due_at(now) <= LATEST


def letter_id(organisation: str, now: float, recipient: str) -> str:
    """The name of the mail to ``recipient`` in the week of ``now``."""
    day = datetime.fromtimestamp(due_at(now), UTC).strftime("%Y-%m-%d")
    text = "\0".join((KIND, organisation, day, recipient)).encode("utf-8", "surrogatepass")
    return f"notice-{blake2b(text, digest_size=20).hexdigest()}"


def compose(letter: Letter, t: Texts) -> EmailMessage:
    """The mail, in the words of a catalogue. Raises ValueError where an address is none."""
    id = letter_id(letter.organisation, letter.at, letter.recipient)
    return automatic_message(
        id,
        letter.recipient,
        letter.sender,
        letter.name,
        _subject(letter.today, t),
        _text(letter, t),
        letter.at,
    )


def _subject(today: Today, t: Texts) -> str:
    if today.nothing_needed:
        return t("weekly.subject-nothing")
    return counted(t, "weekly.subject", len(today.chores)) if today.chores else t("weekly.subject-blind")


def _text(letter: Letter, t: Texts) -> str:
    today, base = letter.today, f"{letter.origin}/o/{letter.organisation}"
    day = datetime.fromtimestamp(letter.at, UTC).strftime("%Y-%m-%d")
    lines = [
        t("weekly.of", name=plain_words(letter.name), day=day),
        "",
        t(
            "weekly.standing",
            exposure=t.word("exposure", today.state.exposure),
            availability=t.word("availability", today.state.availability),
            share=percent(letter.up),
        ),
    ]
    if today.state.blind:
        lines.append(t("today.blind-now"))
    lines += ["", *_hour(today, t, base), "", f"{t('today.alone')}:", ""]
    alone = [
        counted(t, f"today.alone-{name.replace('_', '-')}", count)
        for name in ALONE
        if (count := int(getattr(today.alone, name)))
    ]
    lines += [f"  - {each}" for each in alone or [t("today.alone-nothing")]]
    lines = [line.replace("\u00a0", " ") for line in lines]
    return "\n".join([*lines, "", t("weekly.console", link=f"{base}/today"), t("weekly.ends"), ""])


def where(base: str, link: str) -> str:
    """A chore's page: under the organisation's ``base``, or, where it begins with a slash, of the whole console."""
    return f"{base.partition('/o/')[0]}{link}" if link.startswith("/") else f"{base}/{link}"


def _hour(today: Today, t: Texts, base: str) -> list[str]:
    if today.nothing_needed:
        return [t("today.nothing") + ".", t("today.nothing-text")]
    if not today.chores:
        return [t("today.nothing-shown")]
    lines = [f"{t('today.list')}. {t('today.takes', minutes=today.minutes, budget=today.budget)}", ""]
    for number, chore in enumerate(today.chores, 1):
        minutes = t("today.minutes", count=chore.minutes)
        when = f"{minutes}, {t('today.critical')}" if chore.critical else minutes
        lines += [
            f"  {number}. {sentence(t, _plain(chore), moment)} ({when})",
            f"     {where(base, chore.link)}",
        ]
    if today.rest:
        rest = counted(t, "today.rest", today.rest, minutes=today.rest_minutes)
        lines += ["", rest]
    return lines


def _plain(chore: Chore) -> Chore:
    """With what others chose in plain words."""
    values: Mapping[str, str | int | float] = {
        name: plain_words(value) if isinstance(value, str) and name not in _OURS else value
        for name, value in chore.values.items()
    }
    return replace(chore, values=values)

"""The decision API's part of the plan: its sockets, and what the door is told of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gambeson.guard.edge.decision_plan import DecisionPlan
from gambeson.process.listen import Listen
from gambeson.process.unix_listen import edge_ids
from gambeson.settings import Config, SecretRef

DECISION_API = "decision_api"


def decision_listens(config: Config) -> tuple[Listen, ...]:
    """The sockets of the settings; none where nobody asks."""
    api = config.decision_api
    listens = [
        Listen(f"{DECISION_API}#{number}", address.host, address.port)
        for number, address in enumerate(api.listen, 1)
    ]
    if api.socket:
        listens.append(Listen(f"{DECISION_API}#unix", "", 0, unix=api.socket, user=api.socket_user))
    return tuple(listens)


def asked_by_engines(listen: Listen) -> bool:
    """Whether a listening socket is the decision API's, and no mail program's."""
    return listen.name.partition("#")[0] == DECISION_API


def decision_plan(
    config: Config, listens: Sequence[Listen], secret: Callable[[SecretRef | None], dict[str, str] | None]
) -> DecisionPlan | None:
    """What the door is told; None where nobody asks. Raises RunError, SettingsError."""
    mine = [each for each in listens if asked_by_engines(each)]
    key = secret(config.decision_api.key)
    if not mine or key is None:
        return None
    user = next((each.user for each in mine if each.unix), "")
    return DecisionPlan(
        tuple(each.name for each in mine),
        key["kind"],
        key["name"],
        edge_ids(user)[0] if user else -1,
        config.decision_api.unbound_cookies,
    )

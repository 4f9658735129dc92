"""``gambeson guard export``: settings for the programs before and behind the doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from gambeson.guard.edge.recipes import Engine

    from . import Commands

_PRIVATE = ".secret"  # such a file is the owner's alone
NAMES = ("dovecot", "dovecot-2.4", "nginx", "postfix", "systemd")


def add(group: Commands) -> None:
    """Declares ``guard export``."""
    parser = group.add("export", "settings for the programs before and behind the doors", run)
    parser.add_argument("recipe", choices=NAMES)
    parser.add_argument("--out", metavar="DIR", help="write files there instead of printing")
    parser.add_argument("--doors-at", metavar="IP", default="127.0.0.1", help="where the doors connect from")
    parser.add_argument(
        "--audience", metavar="WORD", help="of the tokens (default: the settings', else gambeson)"
    )
    parser.add_argument(
        "--etc", metavar="DIR", default="", help="where its own files will lie (/etc/ENGINE/gambeson)"
    )
    parser.add_argument(
        "--webmail",
        action="store_true",
        help="dovecot: a webmail signs in there with tokens (known from a [[site]] with sign_in = token)",
    )
    engine = parser.add_argument_group("an engine that stays, and asks us (docs/engines.md)")
    engine.add_argument("--auth-policy", action="store_true", help="dovecot: ask before each sign-in")
    engine.add_argument("--host", metavar="NAME", default="", help="nginx: the web application's public name")
    engine.add_argument("--upstream", metavar="URL", default="", help="nginx: where the application is")
    engine.add_argument("--product", default="", help="nginx: exchange, roundcube or sogo (the [[site]]'s)")
    engine.add_argument("--api", metavar="WHERE", default="", help="the decision API (the settings')")
    engine.add_argument("--listen", metavar="PORT", default="443", help="nginx: where it listens")
    engine.add_argument("--certificate", metavar="FILE", default="", help="nginx: its certificate chain")
    engine.add_argument("--private-key", metavar="FILE", default="", help="nginx: its key")
    engine.add_argument("--authority", metavar="FILE", default="", help="nginx: the device authority")
    engine.add_argument("--upstream-ca", metavar="FILE", default="", help="nginx: who signed the upstream")


def run(args: Namespace) -> int:
    """Prints or writes a recipe. It needs no installation; with one it brings the public key along."""
    from pathlib import Path

    from gambeson.guard.edge.recipes import ENGINE_RECIPES, RECIPES, Facts, RecipeError

    from .common import CommandError, Exit, emit

    known = _known(args)
    try:
        engine = _engine(args)
        program = "nginx" if args.recipe == "nginx" else "dovecot"
        etc = args.etc or f"/etc/{program}/gambeson"
        facts = Facts(doors=args.doors_at, etc=etc, engine=engine, webmail=_webmail(args), **known)
    except RecipeError as error:
        raise CommandError(str(error)) from None
    files = (ENGINE_RECIPES if engine is not None else RECIPES)[args.recipe](facts)
    document: dict[str, Any] = {"recipe": args.recipe, "files": dict(files), "written": []}
    if args.out:
        document["written"] = _write(Path(args.out), files)
        text = "\n".join(f"Written: {path}" for path in document["written"])
    else:
        text = "\n".join(f"### {name}\n{body}" for name, body in files.items())
    emit(args, document, text)
    return Exit.GOOD


def _engine(args: Namespace) -> Engine | None:
    """What the recipe of an engine that asks us needs; None for every other. The key goes into files only, never to the
    terminal. Raises RecipeError."""
    import secrets

    from gambeson.guard.edge.recipes import Engine, RecipeError
    from gambeson.settings.declare import SettingsError

    from .common import CommandError, config

    nginx = bool(args.host or args.upstream)
    if (nginx and args.recipe != "nginx") or (args.auth_policy and not args.recipe.startswith("dovecot")):
        raise RecipeError("--host and --upstream belong to nginx, --auth-policy to dovecot; correct one.")
    if nginx and not args.host:
        raise RecipeError("The application's public name is missing; add --host.")
    if not nginx and not args.auth_policy:
        return None
    settings = config(args)
    api = settings.decision_api
    where = args.api or (str(api.listen[0]) if api.listen else "")
    if nginx and not where and api.socket:
        where = f"unix:{api.socket}"
    site = next((each for each in settings.sites if args.host in (*each.hosts, *each.device_hosts)), None)
    given = {
        "api": where,
        "product": args.product or (site.product.value if site is not None else ""),
        "certificate": args.certificate or settings.tls.certificate,
        "private_key": args.private_key or settings.tls.key,
        "upstream_ca": args.upstream_ca,
    }
    if args.out and api.key is not None:
        try:
            given["key"] = api.key.read().decode("ascii")
        except (SettingsError, UnicodeDecodeError) as error:
            raise CommandError(f"decision_api.key cannot be used: {error}") from None
    return Engine(
        host=args.host,
        upstream=args.upstream,
        listen=args.listen,
        authority=args.authority,
        nonce=secrets.token_hex(16),
        **{name: value for name, value in given.items() if value},
    )


def _webmail(args: Namespace) -> bool:
    """Whether a web application shows Dovecot the doors' tokens as passwords, as Roundcube does."""
    from gambeson.model.web import WebSignIn

    from .common import config

    return args.webmail or any(site.web_sign_in is WebSignIn.TOKEN for site in config(args).sites)


def _known(args: Namespace) -> dict[str, str]:
    """What an installation or the settings say; the defaults where there is none."""
    from pathlib import Path

    from gambeson.app.place import Place
    from gambeson.model.server import SignIn

    from .common import config, config_path, data_dir

    settings = config(args)
    place = Place(data_dir(args, configured=settings.data))
    known = {"data": str(place.data)}
    if place.control.is_file() or args.data:
        known["config"] = str(Path(config_path(args)).absolute())
    else:
        del known["data"]
    if settings.doors.hostname:
        known["hostname"] = settings.doors.hostname
    tokens = [s.audience for s in settings.servers if s.sign_in is SignIn.TOKEN]
    if args.audience or tokens:
        known["audience"] = args.audience or tokens[0]
    try:
        known["token_key"] = place.token_key.read_text("ascii")
    except (OSError, UnicodeError):
        return known
    from joserfc.jwk import ECKey

    known["kid"] = ECKey.import_key(known["token_key"]).thumbprint()
    return known


def _write(folder: Path, files: Mapping[str, str]) -> list[str]:
    import os

    from .common import CommandError, Exit

    written: list[str] = []
    path = folder
    try:
        for name, body in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = 0o600 if name.endswith(_PRIVATE) else 0o666
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
                file.write(body)
            written.append(str(path))
    except FileExistsError:
        raise CommandError(f"{path} is there already; name an empty directory with --out.") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.", Exit.UNREACHABLE) from None
    return written

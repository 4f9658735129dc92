"""``gambeson guard export``: settings for the programs before and behind the doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from . import Commands

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
        "--etc", metavar="DIR", default="/etc/dovecot/gambeson", help="where its own files will lie"
    )


def run(args: Namespace) -> int:
    """Prints or writes a recipe. It needs no installation; with one it brings the public key along."""
    from pathlib import Path

    from gambeson.guard.edge.recipes import RECIPES, Facts, RecipeError

    from .common import CommandError, Exit, emit

    known = _known(args)
    try:
        facts = Facts(doors=args.doors_at, etc=args.etc, **known)
    except RecipeError as error:
        raise CommandError(str(error)) from None
    files = RECIPES[args.recipe](facts)
    document: dict[str, Any] = {"recipe": args.recipe, "files": dict(files), "written": []}
    if args.out:
        document["written"] = _write(Path(args.out), files)
        text = "\n".join(f"Written: {path}" for path in document["written"])
    else:
        text = "\n".join(f"### {name}\n{body}" for name, body in files.items())
    emit(args, document, text)
    return Exit.GOOD


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
    from .common import CommandError, Exit

    written: list[str] = []
    path = folder
    try:
        for name, body in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(body)
            written.append(str(path))
    except FileExistsError:
        raise CommandError(f"{path} is there already; name an empty directory with --out.") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.", Exit.UNREACHABLE) from None
    return written

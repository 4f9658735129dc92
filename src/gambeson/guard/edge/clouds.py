"""A folder with the administrator's own files of cloud services, read while files can still be opened."""

from __future__ import annotations

from pathlib import Path

from gambeson.guard.core.clouds import CloudError, Clouds, load_clouds, with_files

MAX_FILES = 100
MAX_OCTETS = 1024 * 1024  # each


def read_clouds(folder: str) -> Clouds:
    """The services that come with Gambeson, replaced and added to by the ``*.toml`` of ``folder`` (empty: none).
    Raises CloudError, one sentence."""
    if not folder:
        return load_clouds()
    own: dict[str, str] = {}
    try:
        for path in sorted(Path(folder).iterdir()):
            if path.suffix != ".toml" or path.name.startswith("."):
                continue
            if len(own) >= MAX_FILES or path.stat().st_size > MAX_OCTETS:
                raise CloudError(f"{path}: more than {MAX_FILES} files, or larger than 1 MiB.")
            own[path.name] = path.read_text("utf-8")
    except OSError as error:
        raise CloudError(
            f"the folder of clouds {folder} can't be read ({error.strerror}); correct doors.clouds."
        ) from None
    except UnicodeDecodeError:
        raise CloudError(f"the folder of clouds {folder} has a file that is no UTF-8.") from None
    return with_files(own)

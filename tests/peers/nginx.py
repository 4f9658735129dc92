"""nginx before a web application that is a peer: its own folder, one worker, a log of who asked what."""

from __future__ import annotations

from pathlib import Path

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def configuration(folder: Path, log: Path, inside: str) -> str:
    """The whole file. ``inside`` is what stands in ``http``; ``folder/nginx`` must be there."""
    temporary = "".join(f"  {name}_temp_path {folder}/nginx/{name};\n" for name in _TEMPORARY)
    return f"""daemon off;
worker_processes 1;
pid {folder}/nginx/pid;
events {{ worker_connections 128; }}
http {{
  include /etc/nginx/mime.types;
{temporary}  log_format told '$request_method $request_uri $status user="$remote_user"';
  access_log {log} told;
{inside}}}
"""

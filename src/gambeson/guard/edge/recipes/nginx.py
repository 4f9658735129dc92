"""nginx before the doors, as a plain TCP load balancer that says by the PROXY protocol who the client is."""

from __future__ import annotations

from .facts import Facts

_PORTS = (("imap", 143), ("imaps", 993), ("submission", 587), ("submissions", 465), ("sieve", 4190))


def nginx(facts: Facts) -> dict[str, str]:
    """One ``stream`` block. TLS is not ended here: client certificates reach the doors."""
    blocks = "".join(
        f"""\
    server {{
        listen {port};
        proxy_pass {_host(facts.doors)}:{10000 + port};
        proxy_protocol on;
        proxy_connect_timeout 5s;
        proxy_timeout 35m;  # longer than IMAP's IDLE
    }}
"""
        for _, port in _PORTS
    )
    listens = "\n".join(f'#   {name} = "{_host(facts.doors)}:{10000 + port}"' for name, port in _PORTS)
    text = f"""\
# In nginx.conf beside (not inside) http {{}}. Needs the stream module (Debian: libnginx-mod-stream).
# In gambeson.toml, with the addresses of these nginx machines and no others:
#   [doors]
#   proxy_protocol_from = ["192.0.2.10/32"]
#   [listen]
{listens}
stream {{
{blocks}}}
"""
    return {"gambeson-stream.conf": text}


def _host(doors: str) -> str:
    host = doors.partition("/")[0]
    return f"[{host}]" if ":" in host else host

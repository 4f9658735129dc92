"""nginx as the web door, with our decision: ``auth_request`` before every request.

What the configuration is careful about, and why (tests/interop/test_engine_nginx.py runs it):

- Proofs that belong to a connection (NTLM, Negotiate) are refused both ways, and no connection to the mail server is
  used twice: on a pooled connection one person's sign-in would serve the next.
- ``proxy_set_header`` in a location drops every inherited one, so each location has its whole list.
- The client's Authorization and Cookie never go upstream; what goes is what the decision says.
- Where the API does not answer, nginx answers 503 and passes nothing.
- Names of ours in the client's head are overwritten; the API refuses those that nobody here knows.
"""

from __future__ import annotations

import re

from gambeson.guard.core.web.grammar import load_grammars
from gambeson.guard.core.web.grammar_source import Line
from gambeson.model.web import Lane, Product

from .facts import Engine, Facts

_UNDER = re.compile(r"((?:\\.|[a-z0-9_/])+)/\[\^")
_REMOVED = (
    *("X-API-Key", "X-Original-URI", "X-Original-Method", "X-Original-Host", "X-Gambeson-Client"),
    *("X-Gambeson-Length", "X-Gambeson-Coding", "X-Gambeson-Verified", "X-Gambeson-Certificate"),
    *("Forwarded", "X-Real-IP", "X-Originating-IP", "X-Forwarded-Client-Cert", "X-Forwarded-Server"),
    *("X-Remote-User", "Remote-User", "Proxy-Authorization", "Proxy"),
)


def nginx_web(facts: Facts) -> dict[str, str]:
    """A file for ``conf.d`` and one with the key."""
    assert facts.engine is not None
    engine = facts.engine
    key = f"{facts.etc}/decision-api-key.conf"
    return {
        "gambeson-web.conf": _http(engine, key),
        "decision-api-key.conf.secret": f'proxy_set_header X-API-Key "{engine.key}";\n',
    }


def _http(engine: Engine, key: str) -> str:
    lines = load_grammars()[Product(engine.product)].lines
    tls = "" if engine.upstream.startswith("http:") else _upstream_tls(engine)
    return f"""\
# nginx before {engine.host}, deciding as Gambeson's own doors do. For conf.d (inside http {{}}), nginx 1.18 or later.
#
# 1. In gambeson.toml: [decision_api] {_where(engine.api)} and key = "file:...", and a [[site]] with this host.
# 2. Put the file decision-api-key.conf.secret at {key}, mode 0600, owner root.
# 3. nginx -t, then reload, then: gambeson guard walk
# The portal stays with Gambeson: its host name leads to Gambeson's https door, not to this nginx.

map $http_authorization $gambeson_bound {{
    default 0;
    "~*(^|,)\\s*(ntlm|negotiate)" 1;
}}
map $upstream_status $gambeson_challenge {{
    default "";
    "~(^|[ ,])401$" 'Basic realm="Mail", charset="UTF-8"';
}}
upstream gambeson_api {{
    server {engine.api};
    keepalive 16;  # to the decision only: it authenticates no connection
}}

server {{
    listen {engine.listen} ssl;  # HTTP/1.1 only
    server_name {engine.host};
    ssl_certificate {engine.certificate};
    ssl_certificate_key {engine.private_key};
    ssl_protocols TLSv1.2 TLSv1.3;
{_client_certificates(engine)}
    merge_slashes off;
    underscores_in_headers off;
    ignore_invalid_headers on;
    absolute_redirect off;
    server_tokens off;
    large_client_header_buffers 4 6k;
    client_header_timeout 15s;
    client_body_timeout 60s;
    client_max_body_size 110m;

    # What no client of the product asks for, by name. Everything unlisted is closed by the decision.
{_closed(lines)}
    # Answered by Gambeson itself.
{_local(lines, key)}    location ^~ /.gambeson/ {{
        if ($gambeson_bound) {{
            return 403;
        }}
        rewrite ^ /own? break;
{_to_api(key)}        proxy_pass http://gambeson_api;
    }}

    location = /.gambeson-decision {{
        internal;
{_to_api(key)}        proxy_method GET;
        proxy_pass http://gambeson_api/auth_request;
    }}

    location / {{
        if ($gambeson_bound) {{
            return 403;
        }}
        auth_request /.gambeson-decision;
        auth_request_set $gambeson_authorization $upstream_http_x_gambeson_authorization;
        auth_request_set $gambeson_cookie $upstream_http_x_gambeson_upstream_cookie;
        auth_request_set $gambeson_location $upstream_http_x_gambeson_location;
        auth_request_set $gambeson_cookie_1 $upstream_http_x_gambeson_set_cookie_1;
        auth_request_set $gambeson_cookie_2 $upstream_http_x_gambeson_set_cookie_2;
        auth_request_set $gambeson_cookie_3 $upstream_http_x_gambeson_set_cookie_3;
        error_page 401 = @gambeson_sign_in;
        error_page 500 502 504 = @gambeson_closed;

        proxy_pass {engine.upstream};  # the server itself, never a pool of kept connections
        proxy_http_version 1.1;
{tls}        proxy_set_header Host $host;
        proxy_set_header Connection close;  # one request a connection: nobody inherits another's sign-in
        proxy_set_header Authorization $gambeson_authorization;
        proxy_set_header Cookie $gambeson_cookie;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header X-Forwarded-Host $host;
{_removed()}        proxy_request_buffering off;
        proxy_buffering off;
        proxy_max_temp_file_size 0;
        proxy_connect_timeout 5s;
        proxy_send_timeout 300s;
        proxy_read_timeout 3900s;  # ActiveSync and MAPI poll for up to 59 minutes
        send_timeout 3900s;
        proxy_next_upstream off;

        # The server's own challenges would name NTLM and Negotiate.
        proxy_hide_header WWW-Authenticate;
        proxy_hide_header Persistent-Auth;
        proxy_hide_header Service-Worker-Allowed;
        proxy_hide_header Strict-Transport-Security;
        add_header WWW-Authenticate $gambeson_challenge always;
        add_header Strict-Transport-Security "max-age=31536000" always;
        add_header Set-Cookie $gambeson_cookie_1 always;
        add_header Set-Cookie $gambeson_cookie_2 always;
        add_header Set-Cookie $gambeson_cookie_3 always;
    }}

    location @gambeson_sign_in {{
        auth_request off;
        default_type text/plain;
        add_header Cache-Control no-store always;
        add_header Strict-Transport-Security "max-age=31536000" always;
        add_header Set-Cookie $gambeson_cookie_1 always;
        add_header Set-Cookie $gambeson_cookie_2 always;
        add_header Set-Cookie $gambeson_cookie_3 always;
        if ($gambeson_location) {{
            return 303 $gambeson_location;
        }}
        return 401 "Please sign in.\\n";
    }}

    location @gambeson_closed {{
        auth_request off;
        default_type text/plain;
        add_header Retry-After 60 always;
        return 503 "The mail server can't be reached now; please try again in a few minutes.\\n";
    }}
}}
"""


def _where(api: str) -> str:
    path = api.removeprefix("unix:")
    return f'listen = "{api}"' if path == api else f'socket = "{path}", socket_user = "www-data"'


def _client_certificates(engine: Engine) -> str:
    if not engine.authority:
        return "    ssl_verify_client off;\n"
    return f"    ssl_verify_client optional;\n    ssl_client_certificate {engine.authority};\n"


def _upstream_tls(engine: Engine) -> str:
    name = engine.upstream.removeprefix("https://")
    name = name.rpartition(":")[0] if re.search(r":[0-9]+\Z", name) else name
    return f"""\
        proxy_ssl_verify on;
        proxy_ssl_verify_depth 5;
        proxy_ssl_trusted_certificate {engine.upstream_ca};
        proxy_ssl_server_name on;
        proxy_ssl_name {name.strip("[]")};
        proxy_ssl_protocols TLSv1.2 TLSv1.3;
"""


def _to_api(key: str) -> str:
    """The whole list for a question: every header that the API reads, over the client's own."""
    return f"""\
        include {key};
        proxy_http_version 1.1;
        proxy_set_header Host gambeson;
        proxy_set_header Connection "";
        proxy_set_header Content-Length "";
        proxy_set_header X-Original-URI $request_uri;
        proxy_set_header X-Original-Method $request_method;
        proxy_set_header X-Original-Host $host:$server_port;
        proxy_set_header X-Gambeson-Client $remote_addr;
        proxy_set_header X-Gambeson-Length $http_content_length;
        proxy_set_header X-Gambeson-Coding $http_transfer_encoding;
        proxy_set_header X-Gambeson-Verified $ssl_client_verify;
        proxy_set_header X-Gambeson-Certificate $ssl_client_escaped_cert;
        proxy_pass_request_body off;
        proxy_connect_timeout 2s;
        proxy_read_timeout 15s;
        proxy_next_upstream off;
        proxy_intercept_errors off;
"""


def _removed() -> str:
    return "".join(f'        proxy_set_header {name} "";\n' for name in _REMOVED)


def _before_proof(lines: tuple[Line, ...]) -> list[Line]:
    """The lines that no line with a way in stands before: what they say holds for every request of their path."""
    found = []
    for line in lines:
        if line.lane not in (Lane.NEVER, Lane.LOCAL):
            break
        found.append(line)
    return found


def _closed(lines: tuple[Line, ...]) -> str:
    exact: set[str] = set()
    under: set[str] = set()
    for line in _before_proof(lines):
        if line.lane is not Lane.NEVER or line.need or line.methods:
            continue
        prefix = _UNDER.match(line.path.pattern)
        if line.exact:
            exact.add(re.escape(line.exact))
        elif prefix is not None:
            under.add(prefix[1])
    patterns = [f"^(?:{'|'.join(sorted(exact))})$"] if exact else []
    patterns += [f"^(?:{'|'.join(sorted(under))})/"] if under else []
    return "".join(f'    location ~* "{pattern}" {{\n        return 404;\n    }}\n' for pattern in patterns)


def _local(lines: tuple[Line, ...], key: str) -> str:
    """What needs no body: the decision's answer is the whole answer."""
    paths = [
        re.escape(line.exact)
        for line in _before_proof(lines)
        if line.lane is Lane.LOCAL and line.exact and line.methods and line.methods <= {"GET", "HEAD"}
    ]
    if not paths:
        return ""
    return f"""\
    location ~* "^(?:{"|".join(sorted(set(paths)))})$" {{
        rewrite ^ /own? break;
{_to_api(key)}        proxy_pass http://gambeson_api;
    }}
"""

"""Envoy's bootstrap: ext_authz over HTTP to the decision service, then the backend over verified TLS."""

from __future__ import annotations

from typing import Any

_TYPES = "type.googleapis.com/envoy.extensions."
Json = dict[str, Any]


def _address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str, port: int, ca: str = "") -> Json:
    thresholds = {"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000}
    endpoint = {"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}
    made: Json = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [endpoint]},
        "circuit_breakers": {"thresholds": [thresholds]},
    }
    if ca:
        # One upstream connection a client connection, as ours: pooled ones mix up NTLM's identities.
        made["connection_pool_per_downstream_connection"] = True
        name_must_be = {"san_type": "DNS", "matcher": {"exact": "localhost"}}
        made["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": _TYPES + "transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": "localhost",
                "common_tls_context": {
                    "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
                    "validation_context": {
                        "trusted_ca": {"filename": ca},
                        "match_typed_subject_alt_names": [name_must_be],
                    },
                },
            },
        }
    return made


def bootstrap(
    port: int, backend: int, sink: int, decision: int, *, upload: str, certificate: str, key: str, ca: str
) -> Json:
    """The whole document. ``upload`` is the path that leads to ``sink``."""
    named = [{"exact": name} for name in ("authorization", "cookie")]
    decide = {
        "name": "envoy.filters.http.ext_authz",
        "typed_config": {
            "@type": _TYPES + "filters.http.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "failure_mode_allow": False,
            "allowed_headers": {"patterns": named},
            "http_service": {
                "server_uri": {"uri": "http://127.0.0.1", "cluster": "decision", "timeout": "5s"},
                "authorization_response": {"allowed_upstream_headers": {"patterns": [{"exact": "x-user"}]}},
            },
        },
    }
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": _TYPES + "filters.http.router.v3.Router"},
    }
    routes = [
        {"match": {"path": upload}, "route": {"cluster": "sink", "timeout": "0s"}},
        {"match": {"prefix": "/"}, "route": {"cluster": "backend", "timeout": "0s"}},
    ]
    manager = {
        "@type": _TYPES + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "door",
        "codec_type": "HTTP1",
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "stream_idle_timeout": "3900s",
        "common_http_protocol_options": {"idle_timeout": "3900s"},
        "http_filters": [decide, router],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }
    chain = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": _TYPES + "transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
                    "alpn_protocols": ["http/1.1"],
                    "tls_certificates": [
                        {"certificate_chain": {"filename": certificate}, "private_key": {"filename": key}}
                    ],
                },
            },
        },
    }
    listener = {"name": "https", "address": _address(port), "filter_chains": [chain]}
    return {
        "static_resources": {
            "listeners": [{**listener, "per_connection_buffer_limit_bytes": 1048576}],
            "clusters": [
                _cluster("backend", backend, ca),
                _cluster("sink", sink, ca),
                _cluster("decision", decision),
            ],
        }
    }

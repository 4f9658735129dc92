"""A service of the machine: unit, users, and where the data lie."""

from __future__ import annotations

from .facts import Facts


def systemd(facts: Facts) -> dict[str, str]:
    """``gambeson.service`` and ``gambeson.conf`` for sysusers.d."""
    unit = f"""\
# /etc/systemd/system/gambeson.service
[Unit]
Description=Gambeson, guarded mail doors
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart={facts.program} up --data {facts.data} --config {facts.config}
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
KillSignal=SIGTERM
TimeoutStopSec=20
Restart=on-failure
RestartSec=2
UMask=0077
LimitNOFILE=65536

# It starts as root to open ports and files, then each process becomes its own user and gives everything up.
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL
CapabilityBoundingSet=CAP_SETPCAP
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={facts.data}
ReadWritePaths=-/run/gambeson-edge
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""
    users = "".join(
        f'u gambeson-{name} - "Gambeson: {what}" - -\n'
        for name, what in (
            ("doors", "the doors"),
            ("keeper", "the keeper"),
            ("worker", "the worker, owner of the databases"),
            ("console", "the portal"),
        )
    )
    head = "# /etc/sysusers.d/gambeson.conf, then: systemd-sysusers\n"
    folder = f"# /etc/tmpfiles.d/gambeson.conf\nd {facts.data} 0710 root gambeson-worker -\n"
    return {
        "gambeson.service": unit,
        "sysusers-gambeson.conf": head + users,
        "tmpfiles-gambeson.conf": folder,
    }

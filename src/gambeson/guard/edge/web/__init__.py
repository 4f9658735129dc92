"""The native HTTPS door: connections, one upstream connection for each, and the gate that asks for decisions."""

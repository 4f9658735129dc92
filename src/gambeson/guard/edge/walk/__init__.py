"""``guard walk`` at the edge: the addresses, the canary's devices, the sockets. What is tried is in ``core/walk*``."""

"""Everything of guard that touches the world: listeners, TLS, mail servers, the keeper."""

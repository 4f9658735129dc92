"""The playground: an embedded mail server with a sample organisation, on loopback only."""

"""What measures: resolver, probes of doors, TLS and web pages, and the time and manners they keep."""

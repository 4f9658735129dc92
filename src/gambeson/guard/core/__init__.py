"""Pure: the access policy, the throttles, the ways to sign in upstream, the door-by-door logic."""

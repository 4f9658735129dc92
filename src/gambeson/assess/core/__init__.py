"""Pure: facts in, outcomes out. No clock, socket, randomness or file; the time is part of the facts."""

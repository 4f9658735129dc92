"""Who knows the passwords, for the few places that check one: beside a device certificate, and at the portal."""

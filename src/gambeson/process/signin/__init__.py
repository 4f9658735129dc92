"""The ways a door signs in at the mail server behind it. One file each, one function each."""

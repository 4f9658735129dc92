"""The web doors' decisions, pure: grammar, shields, lanes, ActiveSync and EWS rules, what is answered."""

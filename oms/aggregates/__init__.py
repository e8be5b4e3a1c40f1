"""Decision state, pure: no clock, no randomness, no I/O, no float. Events in, state out."""

"""A command in; events, a reply and instructions out. Pure: time and identity come in with the call."""

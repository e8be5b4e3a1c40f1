"""The journal: a JetStream stream that is the truth. Appending fenced, reading checked."""

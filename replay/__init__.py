"""Rebuild state from the journal: recovery, snapshots, audits and the follower share this one code path."""

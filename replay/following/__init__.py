"""Following: what the follower does with each frame: answers, public events, archive, trade log, reports, trimming."""

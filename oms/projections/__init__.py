"""Read models: what people and programs ask for, built from the journal's events alone."""

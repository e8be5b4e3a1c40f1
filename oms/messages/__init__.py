"""Everything that crosses a wire or goes to disk: commands, reports, events, instructions, frames, subjects, codes."""

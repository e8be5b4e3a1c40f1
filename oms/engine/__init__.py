"""The engine's shell: the I/O around the pure core. One process, one writer, group commit."""

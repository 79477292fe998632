"""What outlives a restart: tables, the directory file, and the directory as call control wants it. SQLite for now."""

"""What every room may use: time as a value, timers, ids, errors and sounds. Imports nothing of Parkade."""

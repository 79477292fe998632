"""SIP without I/O and without a clock: grammar, messages, transactions, dialogs, sessions."""

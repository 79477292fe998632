"""The middle floor: one request and its responses. Retransmission, CANCEL, and finding each message its transaction."""

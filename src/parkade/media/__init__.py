"""The media plane: a process of its own that plays music and prompts and relays RTP between legs, and its client.

``python -m parkade.media`` is the process; ``client`` starts it and speaks to it over a unix socket; ``sounds`` is what it
plays. Signalling decides what each leg hears; nothing here knows of calls or SIP.
"""

"""Call control: who is calling whom, what is parked where, and what happens next. Knows no SIP. Read park.py first."""

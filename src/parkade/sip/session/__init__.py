"""The upper floor: dialogs and what happens in them. INVITE sessions, session timer, REFER, the user agent."""

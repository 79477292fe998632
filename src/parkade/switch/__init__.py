"""Translates between SIP dialogs and calls, pure: who is calling, which leg is whose, what a REFER means to call control."""

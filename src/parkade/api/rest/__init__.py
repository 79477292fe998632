"""One file per noun; ``api/app.py`` has the list of them."""

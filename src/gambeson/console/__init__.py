"""The console process. For now it serves the health page: what runs, which doors are open, how fresh the snapshot is.

``health`` is the report and its rendering (pure); ``web`` is the ASGI application; ``serve`` runs it under TLS.
"""

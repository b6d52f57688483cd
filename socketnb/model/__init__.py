"""The data types that the layers exchange: frozen, without IO.

`trace.py` holds the table of trace columns, `content.py` what a person sees, `actions.py` what a user can do and set,
`effects.py` what a protocol machine asks for, `secret.py` credentials, `json.py` JSON of unknown shape.
"""

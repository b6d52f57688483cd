"""The data types that the layers exchange. They are immutable and perform no IO.

`trace.py` defines the columns of traces, `content.py` displayable content, `actions.py` actions, verbs and settings,
`effects.py` the effects of protocol machines, `secret.py` credentials, and `json.py` readers of JSON.
"""

"""The dialects: each platform's protocol as two pure machines, a client and a server.

The rules of this package:
* A machine takes plain inputs and returns a list of effects (`model/effects.py`). It performs nothing itself.
* No IO, threads, clocks, randomness or ids: time and ids are passed in.
* No dialect imports another. Outside this package nothing names a platform's events or options.
* An unknown event is recorded with kind `custom` and its payload intact; a malformed one with kind `error`. Neither
  ends the conversation.

So a client and a server machine can be tested against each other with a list as the network, against transcripts
written from the vendors' pages, and over real sockets.

`base.py` defines the abstract machines and the `Dialect`, `registry.py` finds a dialect by name, `messages.py` turns
traces into messages. `sound.py` and `tokens.py` hold formats that several dialects share.
"""
